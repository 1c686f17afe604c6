/** One fault of a configuration. Neither part ever holds a secret. */
export interface Fault {
  /** Such as `channels[0].baseUrl`, or `(file)` for the whole file. */
  readonly path: string;
  readonly message: string;
}

export const FILE_PATH = '(file)';

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value at a path, or undefined where the document has none. */
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

/** Formats `['channels', 0, 'baseUrl']` as `channels[0].baseUrl`. Keys that are not plain words are quoted. */
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
