import { LRUCache } from 'lru-cache';
import { upTo } from '../../model/remembered.js';

export interface AbsencePolicy {
  /** From one "no" to the next question, one after the other; the last repeats itself. */
  readonly pausesMs: readonly [number, ...number[]];
  /**
   * A "no" that was said three times or more, the first and the last so far apart, is believed. null: never, since the
   * provider's "no" may mean something else, and the media's own lifetime is all that ends the questions.
   */
  readonly believedAfterMs: number | null;
}

interface Absence {
  readonly count: number;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** `later`: it may pass, so ask again; `gone`: said plainly and repeatedly. */
export type AbsenceVerdict = { readonly kind: 'later'; readonly retryAfterMs: number } | { readonly kind: 'gone' };

const REMEMBERED_MEDIA = 50_000;
const REMEMBERED_FOR_MS = 60 * 60 * 1000;
const BELIEVED_TIMES = 3;

/**
 * What a provider said that it does not have. Its first "no" is doubted: a webhook may be faster than the file that it
 * announces, and some providers have one word for "gone" and "not permitted". Queries that come sooner than the pause says
 * are answered without a call; jobs, which come back by themselves, always ask.
 */
export class Absences {
  readonly #seen = new LRUCache<string, Absence>(upTo(REMEMBERED_MEDIA));

  /** @param now milliseconds since the epoch */
  constructor(
    private readonly policy: AbsencePolicy,
    private readonly now: () => number,
  ) {}

  /** What is known without a call; null = ask. */
  recall(key: string): AbsenceVerdict | null {
    const absence = this.#seen.get(key);
    if (!absence) return null;
    const leftMs = this.#rememberedMs(absence) - (this.now() - absence.lastSeenAt);
    if (leftMs <= 0) return null;
    return this.#isBelieved(absence) ? { kind: 'gone' } : { kind: 'later', retryAfterMs: leftMs };
  }

  /** Notes a "no". */
  note(key: string): AbsenceVerdict {
    const lastSeenAt = this.now();
    const { count = 0, firstSeenAt = lastSeenAt } = this.#seen.get(key) ?? {};
    const absence = { count: count + 1, firstSeenAt, lastSeenAt };
    this.#seen.set(key, absence);
    if (this.#isBelieved(absence)) return { kind: 'gone' };
    return { kind: 'later', retryAfterMs: this.#rememberedMs(absence) };
  }

  /** It is there after all. */
  forget(key: string): void {
    if (this.#seen.size > 0) this.#seen.delete(key);
  }

  #isBelieved({ count, firstSeenAt, lastSeenAt }: Absence): boolean {
    const { believedAfterMs } = this.policy;
    return believedAfterMs !== null && count >= BELIEVED_TIMES && lastSeenAt - firstSeenAt >= believedAfterMs;
  }

  #rememberedMs(absence: Absence): number {
    if (this.#isBelieved(absence)) return REMEMBERED_FOR_MS;
    const { pausesMs } = this.policy;
    return pausesMs[Math.min(absence.count, pausesMs.length) - 1] ?? pausesMs[0];
  }
}
