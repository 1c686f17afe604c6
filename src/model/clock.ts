/** The time that all processes agree on: the database's, or this machine's own where there is one process alone. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

export const MACHINE_CLOCK: Clock = { now: () => Date.now() };

export function dateOf(clock: Clock): Date {
  return new Date(clock.now());
}
