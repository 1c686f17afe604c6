import type { Counting, Instruments } from './instruments/instruments.js';

const REFUSALS = [
  ['graphql', 'rate'],
  ['graphql', 'overload'],
  ['rendition', 'overload'],
  ['delivery', 'overload'],
] as const;
export type RefusedWork = (typeof REFUSALS)[number][0];
export type RefusalReason = (typeof REFUSALS)[number][1];

/** Requests that were refused before any work. */
export class RefusalMetrics {
  readonly #refusals: Counting<'work' | 'reason'>;

  constructor(instruments: Instruments) {
    this.#refusals = instruments.counter('mediagraph_refused_requests_total');
    // Starts every counter at 0, so that a scrape sees the first increase.
    for (const [work, reason] of REFUSALS) this.#refusals.inc({ work, reason }, 0);
  }

  refused(work: RefusedWork, reason: RefusalReason): void {
    this.#refusals.inc({ work, reason });
  }
}
