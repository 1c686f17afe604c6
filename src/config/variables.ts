import { type Fault, formatPath, isMapping } from '../settings/faults.js';

/** What stands in the braces of `${NAME}` or `${NAME:-default}`; anything else that looks similar stays as it is. */
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/** Deeper than any valid file; a YAML anchor that contains itself has no end at all. */
const MAX_DEPTH = 16;

export interface Replaced {
  /** A value whose variable is missing is left out, so that it gives no second fault. */
  readonly document: unknown;
  readonly faults: readonly Fault[];
  /** Paths of the values that took something from the environment; those are never shown. */
  readonly fromEnvironment: ReadonlySet<string>;
}

/**
 * Replaces variables inside the strings of a parsed file, never in its keys or its raw text: a value cannot become
 * structure. What a variable holds is taken as it is, `${` included. A variable that is set but empty counts as empty,
 * or gives way to the default, as in a shell.
 */
export function replaceVariables(given: unknown, env: NodeJS.ProcessEnv): Replaced {
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

  function replaceIn(value: string, path: string): string | undefined {
    const before = faults.length;
    const replaced = replaceEach(value, (name, fallback) => {
      fromEnvironment.add(path);
      if (fallback?.includes('${')) {
        faults.push({ path, message: `the default of ${name} must not contain another variable` });
      }
      const found = Object.hasOwn(env, name) ? env[name] : undefined;
      if (found === undefined && fallback === undefined) {
        faults.push({ path, message: `the environment variable ${name} is not set and has no default` });
      }
      return found || (fallback ?? '');
    });
    return faults.length > before ? undefined : replaced;
  }

  return { document: walk(given, []), faults, fromEnvironment };
}

/** The text with every variable replaced, from left to right. */
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
