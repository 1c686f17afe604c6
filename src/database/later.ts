/** Times are the caller's, never the database's: so many milliseconds after `now`. */
export function later(now: Date, ms: number): Date {
  return new Date(now.getTime() + ms);
}
