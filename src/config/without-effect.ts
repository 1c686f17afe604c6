import { valueAt } from '../settings/faults.js';

/** Keys that are checked but not used by this version. Whoever gives one its effect deletes its line. */
const WITHOUT_EFFECT_YET = ['auth.jwt', 'limits.requestsPerMinute'];

/** What says "not wanted", which this version fulfils: null, and a switch that is off. */
const NOT_WANTED: ReadonlySet<unknown> = new Set([undefined, null, false, 'false']);

/** The paths that a configuration sets although this version does nothing with them yet, for one honest warning. */
export function withoutEffectYet(given: unknown): string[] {
  return WITHOUT_EFFECT_YET.filter((path) => !NOT_WANTED.has(valueAt(given, path.split('.'))));
}
