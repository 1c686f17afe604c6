import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { type Fault, FILE_PATH, isMapping } from '../settings/faults.js';
import { check } from './check.js';
import { ConfigError } from './config-error.js';
import { crossFaults } from './cross-rules.js';
import { parseFile } from './document.js';
import { withEnvironmentDefaults } from './environment-defaults.js';
import { printedConfig } from './printed-config.js';
import { configSchema } from './schema.js';
import { replaceVariables } from './variables.js';
import { withoutEffectYet } from './without-effect.js';

export type { Fault } from '../settings/faults.js';
export { ConfigError } from './config-error.js';
export { withoutEffectYet } from './without-effect.js';

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/**
 * The configuration with its defaults. Durations are in milliseconds and their names end in `Ms`. Sizes are in bytes and
 * their names end in `Bytes`.
 */
export type Config = DeepReadonly<z.output<typeof configSchema>> & {
  /** Keys that the file sets and that have no effect in this version; see {@link withoutEffectYet}. */
  readonly withoutEffect: readonly string[];
  /** `NODE_ENV=production`: introspection, suggestions and stack traces are off. */
  readonly production: boolean;
  /** `PATH`, in which the programs that render are searched; '' finds none. */
  readonly toolsPath: string;
};

/** The environment of the process. No other module reads it; a test holds that. */
export function readEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

export interface ConfigSource {
  /** From `--config`. Absent: the variable MEDIA_CONFIG names the file. */
  readonly file?: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Reads the configuration file. Rejects with a {@link ConfigError} that holds all faults; an unreadable file is one. */
export async function loadConfig(source: ConfigSource): Promise<Config> {
  const { document, name } = await readDocument(source);
  return parseConfig(document, source.env, name);
}

/**
 * The configuration as YAML, with all defaults, with the values of variables, and without secrets. Rejects like {@link
 * loadConfig}.
 */
export async function printConfig(source: ConfigSource): Promise<string> {
  const { document, name } = await readDocument(source);
  parseConfig(document, source.env, name);
  return printedConfig(replaceVariables(document ?? {}, source.env).document);
}

async function readDocument({ file, env }: ConfigSource): Promise<{ document: unknown; name: string }> {
  const name = file ?? env.MEDIA_CONFIG ?? '';
  if (name === '') {
    const message = 'no configuration file; set --config FILE or the environment variable MEDIA_CONFIG';
    throw new ConfigError([{ path: FILE_PATH, message }], 'the configuration');
  }
  const { document, faults } = parseFile(await readText(name));
  if (faults) {
    throw new ConfigError(faults, name);
  }
  return { document: withEnvironmentDefaults(document, env), name };
}

/**
 * Makes a configuration from a parsed file and replaces its variables from `env`.
 * @param source the name of the file in messages
 * @throws ConfigError with all faults
 */
export function parseConfig(document: unknown, env: NodeJS.ProcessEnv, source = 'the configuration'): Config {
  const replaced = replaceVariables(document ?? {}, env);
  if (!isMapping(replaced.document)) {
    throw new ConfigError([{ path: FILE_PATH, message: 'expected a mapping of keys to values' }], source);
  }
  const checked = check(configSchema, replaced);
  const faults = mergedFaults(replaced.faults, [...(checked.faults ?? []), ...crossFaults(replaced)]);
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

/**
 * All faults, sorted by path. A value whose variable is missing has that one fault; further faults of the value would
 * follow from it, but its key may still be unknown.
 */
function mergedFaults(faultsOfVariables: readonly Fault[], faultsOfValues: readonly Fault[]): Fault[] {
  const unreplaced = new Set(faultsOfVariables.map(({ path }) => path));
  const independent = faultsOfValues.filter(
    ({ path, message }) => !unreplaced.has(path) || message.startsWith('unknown key'),
  );
  const faults = [...faultsOfVariables, ...independent];
  const distinct = new Map(faults.map((fault) => [`${fault.path}: ${fault.message}`, fault]));
  return [...distinct.values()].sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }));
}
