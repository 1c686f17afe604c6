import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { request } from 'undici';
import { ConfigError, type ConfigSource, loadConfig } from '../config/config.js';
import { EXIT_BAD_CONFIG, formatFaults } from './check-config.js';

/** Longer than `/readyz` waits for a dependency. */
const ANSWER_WITHIN_MS = 8_000;

export interface HealthOptions extends ConfigSource {
  /** Asks `/readyz` in place of `/livez`. */
  readonly ready: boolean;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/**
 * `mediagraph health`: asks the server that runs on this machine with this configuration. Resolves to the exit status: 1
 * unless the server answers 200, and 2 for faults in the file.
 */
export async function health({ ready, stdout, stderr, ...source }: HealthOptions): Promise<number> {
  try {
    const { server } = await loadConfig(source);
    if (server.port === 0) {
      stderr.write('server.port is 0, so the port of the running server is not known\n');
      return 1;
    }
    const url = `http://${reachable(server.host)}:${server.port}/${ready ? 'readyz' : 'livez'}`;
    const outcome = await ask(url);
    (outcome === '200' ? stdout : stderr).write(`${url}: ${outcome}\n`);
    return outcome === '200' ? 0 : 1;
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    stderr.write(formatFaults(thrown));
    return EXIT_BAD_CONFIG;
  }
}

/** The status of the response, or why there is none. */
async function ask(url: string): Promise<string> {
  try {
    const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS), reset: true });
    await body.dump();
    return String(statusCode);
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  }
}

/** The host, as in a URL, at which this machine reaches a server that listens on `host`. */
function reachable(host: string): string {
  if (isIP(host) === 0) return host;
  const address = ipaddr.parse(host);
  const isIpv6 = address.kind() === 'ipv6';
  if (address.range() === 'unspecified') return isIpv6 ? '[::1]' : '127.0.0.1';
  return isIpv6 ? `[${host}]` : host;
}
