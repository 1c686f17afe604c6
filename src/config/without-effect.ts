import { formatPath, isMapping, valueAt } from '../settings/faults.js';

/** Keys that are validated and have no effect in this version. The change that implements one deletes its line. */
const WITHOUT_EFFECT_YET = ['tenants.*.maxStorageBytes'];

/** Values that turn a key off, which needs no implementation. */
const OFF_VALUES: ReadonlySet<unknown> = new Set([undefined, null, false, 'false']);

/** The paths that a document sets although they have no effect in this version. They are logged as warnings. */
export function withoutEffectYet(document: unknown): string[] {
  return WITHOUT_EFFECT_YET.flatMap((pattern) => pathsOf(document, pattern.split('.')))
    .filter((path) => !OFF_VALUES.has(valueAt(document, path)))
    .map(formatPath);
}

/** The paths of a pattern, in which `*` stands for every key of a mapping. */
function pathsOf(document: unknown, pattern: readonly string[]): string[][] {
  const wildcard = pattern.indexOf('*');
  if (wildcard === -1) return [[...pattern]];
  const before = pattern.slice(0, wildcard);
  const mapping = valueAt(document, before);
  const keys = isMapping(mapping) ? Object.keys(mapping) : [];
  return keys.flatMap((key) => pathsOf(document, [...before, key, ...pattern.slice(wildcard + 1)]));
}
