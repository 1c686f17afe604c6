import { LRUCache } from 'lru-cache';
import { upTo } from '../../model/lru-limit.js';
import { MAX_REMEMBERED_MEDIA } from './remembered-media.js';

export interface AbsencePolicy {
  /** The pauses between consecutive absent answers and the next call; the last pause repeats. */
  readonly pausesMs: readonly [number, ...number[]];
  /**
   * An absence counts as final after three absent answers, if the first and the last are at least this far apart. null
   * = never final: the provider's answer may mean something else, so only the end of the media's lifetime ends the
   * calls.
   */
  readonly finalAfterMs: number | null;
}

interface Absence {
  readonly count: number;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

/** `retry`: the absence may be temporary. `gone`: it is final. */
export type AbsenceVerdict = { readonly kind: 'retry'; readonly retryAfterMs: number } | { readonly kind: 'gone' };

const REMEMBERED_FOR_MS = 60 * 60 * 1000;
const FINAL_COUNT = 3;

/**
 * Remembers media that a provider reported as absent. The first absent answer is not trusted: a webhook may be faster
 * than the file it announces, and some providers use one answer for "gone" and "not permitted". Queries that come
 * before the pause has ended are answered without a call. Background jobs, which retry by themselves, always call.
 */
export class Absences {
  readonly #seen = new LRUCache<string, Absence>(upTo(MAX_REMEMBERED_MEDIA));

  /** @param now milliseconds since the epoch */
  constructor(
    private readonly policy: AbsencePolicy,
    private readonly now: () => number,
  ) {}

  /** Returns what is known without a call; null = a call is needed. */
  recall(key: string): AbsenceVerdict | null {
    const absence = this.#seen.get(key);
    if (!absence) return null;
    const leftMs = this.#rememberedMs(absence) - (this.now() - absence.lastSeenAt);
    if (leftMs <= 0) return null;
    return this.#isFinal(absence) ? { kind: 'gone' } : { kind: 'retry', retryAfterMs: leftMs };
  }

  /** Records an absent answer. */
  note(key: string): AbsenceVerdict {
    const lastSeenAt = this.now();
    const { count = 0, firstSeenAt = lastSeenAt } = this.#seen.get(key) ?? {};
    const absence = { count: count + 1, firstSeenAt, lastSeenAt };
    this.#seen.set(key, absence);
    if (this.#isFinal(absence)) return { kind: 'gone' };
    return { kind: 'retry', retryAfterMs: this.#rememberedMs(absence) };
  }

  /** Forgets the absence of a media that the provider has. */
  forget(key: string): void {
    if (this.#seen.size > 0) this.#seen.delete(key);
  }

  #isFinal({ count, firstSeenAt, lastSeenAt }: Absence): boolean {
    const { finalAfterMs } = this.policy;
    return finalAfterMs !== null && count >= FINAL_COUNT && lastSeenAt - firstSeenAt >= finalAfterMs;
  }

  #rememberedMs(absence: Absence): number {
    if (this.#isFinal(absence)) return REMEMBERED_FOR_MS;
    const { pausesMs } = this.policy;
    return pausesMs[Math.min(absence.count, pausesMs.length) - 1] ?? pausesMs[0];
  }
}
