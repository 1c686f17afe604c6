/** Counts what a provider allows few of, the same for all replicas: one call too many locks an account out. */
export interface Quota {
  /**
   * Takes one of `limit` in any `windowMs`, whether the call succeeds afterwards or not. null = taken; else how long
   * nothing is left. Rejects when the count cannot be asked: then nothing is sent.
   * @param name what is counted and for whom, e.g. `gupshup-deletions:<app id>`
   */
  take(name: string, limit: number, windowMs: number): Promise<{ readonly retryAfterMs: number } | null>;
  /**
   * Takes one of `limit` for a call under way, where failures alone are counted. Rejects when the count cannot be asked.
   * @param name shares no count with a name of `take`
   */
  hold(name: string, limits: HoldLimits): Promise<QuotaHold | QuotaFull>;
}

export interface HoldLimits {
  /** Failures within the window and calls under way, together. */
  readonly limit: number;
  readonly windowMs: number;
  /** When the hold of a process that died comes back by itself. */
  readonly holdMs: number;
}

export interface QuotaHold {
  readonly kind: 'held';
  /** Once, when the call is over: a failure counts from now on, anything else comes back. Never rejects. */
  settle(failed: boolean): Promise<void>;
}

export interface QuotaFull {
  readonly kind: 'full';
  /** Until so many failures have left the window that there is room; 0 = calls under way are all that fills it. */
  readonly retryAfterMs: number;
}
