/** One thing that is wrong with a configuration. Neither part ever holds a secret. */
export interface Fault {
  /** Such as `channels[0].baseUrl`; `(file)` for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export const FILE_PATH = '(file)';

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(
    readonly faults: readonly Fault[],
    /** Where the configuration came from, for people. */
    readonly source: string,
    options?: { cause?: unknown },
  ) {
    super(`${source}: ${faults.map(({ path, message }) => `${path}: ${message}`).join('; ')}`, options);
  }
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What stands at a path, undefined where nothing does. */
export function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const key of path) {
    if (Array.isArray(value)) {
      value = value[Number(key)];
    } else {
      value = isMapping(value) && Object.hasOwn(value, key) ? value[String(key)] : undefined;
    }
  }
  return value;
}

/** `['channels', 0, 'baseUrl']` as `channels[0].baseUrl`; keys that are no plain words are quoted. */
export function formatPath(path: readonly PropertyKey[]): string {
  const parts = path.map((key) => {
    if (typeof key === 'number') {
      return `[${key}]`;
    }
    const word = String(key);
    return /^[A-Za-z_$][\w-]*$/.test(word) ? `.${word}` : `[${JSON.stringify(word)}]`;
  });
  return parts.join('').replace(/^\./, '') || FILE_PATH;
}
