import { type Fault, formatPath, isMapping } from '../settings/faults.js';

/** The content of `${NAME}` and `${NAME:-default}`. Other text in braces is not replaced. */
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/** Deeper than any valid file. A YAML anchor that contains itself is nested without end. */
const MAX_DEPTH = 16;

export interface Replaced {
  /** A value whose variable is missing is undefined here, so that it has no second fault. */
  readonly document: unknown;
  readonly faults: readonly Fault[];
  /** Paths of values that contain something from the environment. No fault shows them. */
  readonly fromEnvironment: ReadonlySet<string>;
}

/**
 * Replaces variables in the strings of a parsed file. Keys and the raw text are left alone, so that a value cannot become
 * structure. The value of a variable is not expanded again. As in a shell, the default replaces a variable that is set
 * and empty.
 */
export function replaceVariables(file: unknown, env: NodeJS.ProcessEnv): Replaced {
  const faults: Fault[] = [];
  const fromEnvironment = new Set<string>();

  function walk(value: unknown, path: readonly PropertyKey[]): unknown {
    if (path.length > MAX_DEPTH) {
      faults.push({ path: formatPath(path), message: 'nested too deeply' });
      return undefined;
    }
    if (Array.isArray(value)) {
      return value.map((item, index) => walk(item, [...path, index]));
    }
    if (isMapping(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]));
    }
    return typeof value === 'string' ? replaceIn(value, formatPath(path)) : value;
  }

  function replaceIn(text: string, path: string): string | undefined {
    const faultsBefore = faults.length;
    const replaced = replaceEach(text, (name, fallback) => {
      fromEnvironment.add(path);
      if (fallback?.includes('${')) {
        faults.push({ path, message: `the default of ${name} must not contain another variable` });
      }
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value === undefined && fallback === undefined) {
        faults.push({ path, message: `the environment variable ${name} is not set and has no default` });
      }
      return value || (fallback ?? '');
    });
    return faults.length > faultsBefore ? undefined : replaced;
  }

  return { document: walk(file, []), faults, fromEnvironment };
}

/** Replaces every variable of a text, from left to right. A pattern for this would take more than linear time. */
function replaceEach(text: string, replacement: (name: string, fallback: string | undefined) => string): string {
  let replaced = '';
  let done = 0;
  let end = 0;
  for (let start = text.indexOf('${'); start !== -1; start = text.indexOf('${', Math.max(start + 2, done))) {
    if (end < start + 2) end = text.indexOf('}', start + 2);
    if (end === -1) break;
    const [variable, name = '', fallback] = VARIABLE.exec(text.slice(start + 2, end)) ?? [];
    if (variable === undefined) continue;
    replaced += text.slice(done, start) + replacement(name, fallback);
    done = end + 1;
  }
  return replaced + text.slice(done);
}
