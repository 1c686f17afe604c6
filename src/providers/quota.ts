/** Counts calls against a provider's limits, over all replicas. One call too many may lock an account out. */
export interface Quota {
  /**
   * Takes one of `limit` calls within `windowMs`. The call counts whether it succeeds or not. Returns null if it may be
   * made, else how long the limit stays exhausted. Rejects when the store is unavailable; the call must not be made
   * then.
   * @param name the counted calls and their account, e.g. `gupshup-deletions:<app id>`
   */
  take(name: string, limit: number, windowMs: number): Promise<{ readonly retryAfterMs: number } | null>;
  /**
   * Reserves one of `limit` for a call in progress, for providers that count failures only. Rejects when the store is
   * unavailable.
   * @param name shares no counter with a name of `take`
   */
  hold(name: string, limits: HoldLimits): Promise<QuotaHold | QuotaFull>;
}

export interface HoldLimits {
  /** Maximum of failures within the window and calls in progress together. */
  readonly limit: number;
  readonly windowMs: number;
  /** After this time the hold of a dead process expires. */
  readonly holdMs: number;
}

export interface QuotaHold {
  readonly kind: 'held';
  /**
   * Called once, at the end of the call. A failure counts from now on; otherwise the hold is released. Never rejects.
   */
  settle(failed: boolean): Promise<void>;
}

export interface QuotaFull {
  readonly kind: 'full';
  /** The time until enough failures have left the window; 0 = only calls in progress fill it. */
  readonly retryAfterMs: number;
}
