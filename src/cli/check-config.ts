import { type Config, ConfigError, type ConfigSource, loadConfig, printConfig } from '../config/config.js';

/** The exit status of a process with a faulty configuration. */
export const EXIT_BAD_CONFIG = 2;

export interface CheckConfigOptions extends ConfigSource {
  /** Prints the configuration with its defaults and without its secrets instead of a summary. */
  readonly print: boolean;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** `mediagraph check-config`: checks whether `serve` would accept the file. Resolves to the exit status, 0 or 2. */
export async function checkConfig({ print, stdout, stderr, ...source }: CheckConfigOptions): Promise<number> {
  try {
    stdout.write(print ? await printConfig(source) : summarise(await loadConfig(source)));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    stderr.write(formatFaults(error));
    return EXIT_BAD_CONFIG;
  }
}

/** One line with the file and the number of faults, then one line for each fault. */
export function formatFaults({ source, faults }: ConfigError): string {
  const lines = faults.map(({ path, message }) => `${path}: ${message}`);
  return `${[`${count(faults.length, 'fault')} in ${source}:`, ...lines].join('\n')}\n`;
}

function summarise({ channels, withoutEffect }: Config): string {
  const byTenant = new Map<string, string[]>();
  for (const { id, provider, tenant } of channels) {
    byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), `${id} (${provider})`]);
  }
  const lines = [`configuration is valid: ${count(channels.length, 'channel')} of ${count(byTenant.size, 'tenant')}`];
  for (const [tenant, names] of byTenant) {
    lines.push(`  ${tenant}: ${names.join(', ')}`);
  }
  if (withoutEffect.length > 0) {
    lines.push(`  without effect in this version: ${withoutEffect.join(', ')}`);
  }
  return `${lines.join('\n')}\n`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
