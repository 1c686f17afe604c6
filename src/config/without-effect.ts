import { valueAt } from '../settings/faults.js';

/** Keys that are validated and have no effect in this version. The change that implements one deletes its line. */
const WITHOUT_EFFECT_YET = ['limits.requestsPerMinute'];

/** Values that turn a key off, which needs no implementation. */
const OFF_VALUES: ReadonlySet<unknown> = new Set([undefined, null, false, 'false']);

/** The paths that a document sets although they have no effect in this version. They are logged as warnings. */
export function withoutEffectYet(document: unknown): string[] {
  return WITHOUT_EFFECT_YET.filter((path) => !OFF_VALUES.has(valueAt(document, path.split('.'))));
}
