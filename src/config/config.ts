import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { type Fault, FILE_PATH, isMapping } from '../settings/faults.js';
import { check } from './check.js';
import { ConfigError } from './config-error.js';
import { crossFaults } from './cross-rules.js';
import { parseFile } from './document.js';
import { configSchema } from './schema.js';
import { replaceVariables } from './variables.js';
import { withoutEffectYet } from './without-effect.js';

export type { Fault } from '../settings/faults.js';
export { ConfigError } from './config-error.js';
export { withoutEffectYet } from './without-effect.js';

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/**
 * Everything that an operator decided, with the defaults filled in. Durations are milliseconds and their names end in
 * `Ms`; sizes are bytes and their names end in `Bytes`.
 */
export type Config = DeepReadonly<z.output<typeof configSchema>> & {
  /** Keys that the file sets and this version does not use yet; see {@link withoutEffectYet}. */
  readonly withoutEffect: readonly string[];
  /** NODE_ENV=production: introspection, suggestions and stack traces are off. */
  readonly production: boolean;
  /** PATH: where programs that render are looked for; '' looks nowhere. */
  readonly toolsPath: string;
};

/** The process's environment; nobody else reads it. */
export function readEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

export interface ConfigSource {
  /** From `--config`; absent: the variable MEDIA_CONFIG names the file. */
  readonly file?: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Reads the configuration file. Rejects with a {@link ConfigError} that holds every fault, an unreadable file included. */
export async function loadConfig({ file, env }: ConfigSource): Promise<Config> {
  const name = file ?? env.MEDIA_CONFIG ?? '';
  if (name === '') {
    const message = 'no configuration file; name one with --config FILE or in the variable MEDIA_CONFIG';
    throw new ConfigError([{ path: FILE_PATH, message }], 'the configuration');
  }
  const { given, faults } = parseFile(await readText(name));
  if (faults) {
    throw new ConfigError(faults, name);
  }
  return parseConfig(given, env, name);
}

/**
 * Turns a parsed file into a configuration, with variables replaced from `env`. Throws a {@link ConfigError} that holds
 * every fault; `source` is what people call the file.
 */
export function parseConfig(given: unknown, env: NodeJS.ProcessEnv, source = 'the configuration'): Config {
  const replaced = replaceVariables(given ?? {}, env);
  if (!isMapping(replaced.document)) {
    throw new ConfigError([{ path: FILE_PATH, message: 'expected a mapping of keys to values' }], source);
  }
  const checked = check(configSchema, replaced);
  const faults = merged(replaced.faults, [...(checked.faults ?? []), ...crossFaults(replaced)]);
  if (checked.faults || faults.length > 0) {
    throw new ConfigError(faults, source);
  }
  return {
    ...checked.value,
    withoutEffect: withoutEffectYet(replaced.document),
    production: env.NODE_ENV === 'production',
    toolsPath: env.PATH ?? '',
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = isMapping(cause) && typeof cause.code === 'string' ? cause.code : 'unknown error';
    throw new ConfigError([{ path: FILE_PATH, message: `cannot be read (${code})` }], file, { cause });
  }
}

/** All faults by path; a value that could not be replaced is told once, with its variable, and only its key is judged. */
function merged(unreplaced: readonly Fault[], others: readonly Fault[]): Fault[] {
  const settled = new Set(unreplaced.map(({ path }) => path));
  const stillTrue = others.filter(({ path, message }) => !settled.has(path) || message.startsWith('unknown key'));
  const faults = [...unreplaced, ...stillTrue];
  const distinct = new Map(faults.map((fault) => [`${fault.path}: ${fault.message}`, fault]));
  return [...distinct.values()].sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }));
}
