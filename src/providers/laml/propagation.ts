import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { upTo } from '../../model/lru-limit.js';
import { MAX_REMEMBERED_MEDIA } from '../toolkit/remembered-media.js';

const DELAYS_MS = [1_000, 2_000];
const REMEMBERED_FOR_MS = 60 * 60 * 1000;

/**
 * Retries a 404, which a resource may return for a few seconds after its webhook (support.twilio.com 44750147594523:
 * retry after 1 to 3 s, a bounded number of times). A 404 that persists is remembered and returned immediately
 * afterwards, so that queries for a deleted message do not wait each time.
 */
export class PropagationWait {
  readonly #absent = new LRUCache<string, true>({ ...upTo(MAX_REMEMBERED_MEDIA), ttl: REMEMBERED_FOR_MS });
  readonly #delaysMs: readonly number[];

  /** @param budgetMs upper bound of all waits together */
  constructor(budgetMs: number) {
    let sum = 0;
    this.#delaysMs = DELAYS_MS.filter((delay) => {
      sum += delay;
      return sum < budgetMs;
    });
  }

  /**
   * Calls `ask`, which returns null for a 404, until it returns something else or the waits are over. Rejects as `ask`
   * does, or with the signal's reason.
   */
  async settle<Answer>(
    resource: string,
    ask: () => Promise<Answer | null>,
    signal?: AbortSignal,
  ): Promise<Answer | null> {
    const first = await ask();
    if (first !== null) {
      if (this.#absent.size > 0) this.#absent.delete(resource);
      return first;
    }
    if (this.#absent.has(resource)) return null;
    for (const delayMs of this.#delaysMs) {
      await sleep(delayMs, undefined, { signal });
      const answer = await ask();
      if (answer !== null) return answer;
    }
    this.markAbsent(resource);
    return null;
  }

  /** Marks a resource as deleted: its next 404 is final. */
  markAbsent(resource: string): void {
    this.#absent.set(resource, true);
  }
}
