/** What the tests of the configuration share. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Fault, loadConfig, parseConfig } from '../../../src/config/config.js';

export type Settings = Record<string, unknown>;

export const DIGEST = 'ab'.repeat(32);

/** A valid channel, with other keys. */
export const kirim = (extra: Settings = {}): Settings => ({
  id: 'support',
  provider: 'kirim',
  baseUrl: 'https://api.example.com/v1',
  credentials: { token: 'kirim-token' },
  ...extra,
});

/** Parses a configuration without channels, unless it has some. */
export const parse = (settings: Settings, env: NodeJS.ProcessEnv = {}) =>
  parseConfig({ channels: [], ...settings }, env);

export function errorOf(run: () => unknown): ConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error;
    }
    throw error;
  }
  throw new Error('expected a ConfigError, but the configuration was accepted');
}

const linesOf = (faults: readonly Fault[]) => faults.map(({ path, message }) => `${path}: ${message}`);
/** The faults of a configuration, as `check-config` prints them. */
export const faultsOf = (settings: Settings, env: NodeJS.ProcessEnv = {}) =>
  linesOf(errorOf(() => parse(settings, env)).faults);

export async function withFile<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-config-'));
  const file = join(folder, 'config.yaml');
  try {
    await writeFile(file, text);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

export const loadText = (text: string, env: NodeJS.ProcessEnv = {}) =>
  withFile(text, (file) => loadConfig({ file, env }));

export async function fileFaultsOf(text: string): Promise<string[]> {
  const error = await loadText(text).then(
    () => new Error('accepted'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  return linesOf(error.faults);
}
