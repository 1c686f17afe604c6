/**
 * A clock that all processes agree on. Several processes share the database's time; a single process uses its
 * machine's.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

export const MACHINE_CLOCK: Clock = { now: () => Date.now() };

export function dateOf(clock: Clock): Date {
  return new Date(clock.now());
}

/** The time that is so many milliseconds after `date`; before it, where they are negative. */
export function addMilliseconds(date: Date, ms: number): Date {
  return new Date(date.getTime() + ms);
}
