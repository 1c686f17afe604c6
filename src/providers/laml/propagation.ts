import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { upTo } from '../../model/remembered.js';

const DELAYS_MS = [1_000, 2_000];
const REMEMBERED_ABSENCES = 50_000;
const REMEMBERED_FOR_MS = 60 * 60 * 1000;

/**
 * A resource may answer 404 for a few seconds after its webhook (support.twilio.com 44750147594523: retry after 1 to
 * 3 s, a bounded number of times). So the first 404 of a resource is doubted; one that outlasts the waits is remembered
 * and believed at once from then on, since a deleted message must not cost every query these seconds.
 */
export class PropagationWait {
  readonly #absent = new LRUCache<string, true>({ ...upTo(REMEMBERED_ABSENCES), ttl: REMEMBERED_FOR_MS });
  readonly #delaysMs: readonly number[];

  /** @param budgetMs the waits together stay below it */
  constructor(budgetMs: number) {
    let sum = 0;
    this.#delaysMs = DELAYS_MS.filter((delay) => {
      sum += delay;
      return sum < budgetMs;
    });
  }

  /** `ask` answers null for a 404. Rejects as `ask` does, or with the signal's reason. */
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
    this.believeAbsent(resource);
    return null;
  }

  /** A 404 of this resource needs no doubt from now on: it was deleted. */
  believeAbsent(resource: string): void {
    this.#absent.set(resource, true);
  }
}
