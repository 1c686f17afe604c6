import type { CheckResult, CheckStatus } from '../app/doctor/check.js';
import { examine } from '../app/doctor/doctor.js';
import { ConfigError, type ConfigSource, loadConfig } from '../config/config.js';
import { EXIT_BAD_CONFIG, formatFaults } from './check-config.js';

const EXIT_FAILED = 1;

export interface DoctorOptions extends ConfigSource {
  readonly json: boolean;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/**
 * `mediagraph doctor`: checks everything that a server depends on and prints one line for each check. Resolves to the
 * exit status: 2 for faults in the file, 1 if a check failed.
 */
export async function doctor({ json, stdout, stderr, ...source }: DoctorOptions): Promise<number> {
  try {
    const results = await examine(await loadConfig(source));
    stdout.write(json ? `${JSON.stringify(results)}\n` : formatResults(results));
    return results.some(({ status }) => status === 'fail') ? EXIT_FAILED : 0;
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    stderr.write(formatFaults(thrown));
    if (json) stdout.write(`${JSON.stringify(resultsOf(thrown))}\n`);
    return EXIT_BAD_CONFIG;
  }
}

function resultsOf({ faults }: ConfigError): CheckResult[] {
  return faults.map(({ path, message }) => ({
    check: 'configuration',
    status: 'fail',
    message: `${path}: ${message}`,
  }));
}

function formatResults(results: readonly CheckResult[]): string {
  const names = results.map(({ check, channelId }) => (channelId === undefined ? check : `${check} ${channelId}`));
  const width = Math.max(...names.map((name) => name.length));
  const lines = results.map(
    ({ status, message }, index) => `${status.padEnd(4)}  ${(names[index] ?? '').padEnd(width)}  ${message}`,
  );
  return `${[...lines, summaryOf(results)].join('\n')}\n`;
}

function summaryOf(results: readonly CheckResult[]): string {
  const count = (wanted: CheckStatus) => results.filter(({ status }) => status === wanted).length;
  return `${results.length} checks: ${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`;
}
