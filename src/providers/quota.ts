/** Counts what a provider allows few of, the same for all replicas: one call too many locks an account out. */
export interface Quota {
  /**
   * Takes one of `limit` in any `windowMs`, whether the call succeeds afterwards or not. null = taken; else how long
   * nothing is left. Rejects when the count cannot be asked: then nothing is sent.
   * @param name what is counted and for whom, e.g. `gupshup-deletions:<app id>`
   */
  take(name: string, limit: number, windowMs: number): Promise<{ readonly retryAfterMs: number } | null>;
}
