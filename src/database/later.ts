/** Returns the time `ms` milliseconds after `now`. Times come from the caller, never from the database. */
export function later(now: Date, ms: number): Date {
  return new Date(now.getTime() + ms);
}
