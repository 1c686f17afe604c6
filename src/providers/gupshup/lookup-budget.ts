import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { AbortFanOut } from '../../net/abort-fan-out.js';

const WINDOW_MS = 60 * 60 * 1000;
/** Failures within the window after which media that was never seen to work is not asked for. */
const STRIKES_FOR_UNPROVEN = 15;
/** The same for media that worked before: "20+" failures lock the app out (partner-docs.gupshup.io, media-management). */
const STRIKES_FOR_PROVEN = 19;
const REMEMBERED_MEDIA = 50_000;

/** `found`, `gone`: about the media, for good; `refused`: a failure all the same; `none`: nobody counts it. */
export type LookupVerdict = 'found' | 'gone' | 'refused' | 'none';

export type LookupTurn =
  /** Ask, and say what came, always. */
  | { readonly kind: 'ask'; readonly settle: (verdict: LookupVerdict) => void }
  | { readonly kind: 'gone' }
  | { readonly kind: 'wait'; readonly retryAfterMs: number };

interface Waiting {
  readonly key: string;
  /** Has waited for another look-up of the same media; once is enough, lest a slow one hold all. */
  hasFollowed: boolean;
  readonly go: (turn: LookupTurn) => void;
}

const aborts = new AbortFanOut();

/**
 * Keeps one channel's look-ups below the provider's lock-out. Failures of the last hour are counted, and a look-up under
 * way counts as one until it is known better, so that many at once cannot overshoot; who finds no room while they are
 * under way waits its turn. Media that is gone is never asked for again. In memory: each process counts its own.
 */
export class LookupBudget {
  readonly #gone = new LRUCache<string, true>({ max: REMEMBERED_MEDIA });
  readonly #proven = new LRUCache<string, true>({ max: REMEMBERED_MEDIA });
  /** When the failures of the window were, oldest first. */
  readonly #strikes: number[] = [];
  /** In the order of their coming; not empty only while look-ups are under way. */
  readonly #queue = new Set<Waiting>();
  /** By media under way that was never seen to work: who waits for the same verdict. */
  readonly #followers = new Map<string, Set<Waiting>>();
  #underWay = 0;
  #closedUntil = 0;

  /** @param now milliseconds since the epoch */
  constructor(private readonly now: () => number) {}

  /** Resolves at once, or when there is room. Rejects with the signal's reason. */
  async enter(url: string, signal?: AbortSignal): Promise<LookupTurn> {
    signal?.throwIfAborted();
    // Hashed: an address may have thousands of characters, and many of them are remembered.
    const key = createHash('sha256').update(url).digest('base64');
    return this.#refusal(key) ?? this.#wait(key, signal);
  }

  /** The provider said for how long it answers nothing. */
  close(forMs: number): void {
    this.#closedUntil = Math.max(this.#closedUntil, this.now() + forMs);
  }

  #wait(key: string, signal: AbortSignal | undefined): Promise<LookupTurn> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown): void => {
        this.#queue.delete(waiting);
        this.#followers.get(key)?.delete(waiting);
        reject(reason);
      };
      const go = (turn: LookupTurn): void => {
        if (signal) aborts.remove(signal, leave);
        resolve(turn);
      };
      const waiting: Waiting = { key, hasFollowed: false, go };
      if (signal) aborts.add(signal, leave);
      this.#queue.add(waiting);
      this.#serve();
    });
  }

  // Private: everybody at the head of the queue whose turn it is, whatever it is.
  #serve(): void {
    for (const waiting of this.#queue) {
      const { key } = waiting;
      const refusal = this.#refusal(key);
      const others = this.#followers.get(key);
      if (!refusal && others && !waiting.hasFollowed && !this.#proven.has(key)) {
        waiting.hasFollowed = true;
        others.add(waiting);
      } else if (refusal || this.#strikes.length + this.#underWay < this.#limitOf(key)) {
        waiting.go(refusal ?? { kind: 'ask', settle: this.#begin(key) });
      } else {
        return;
      }
      this.#queue.delete(waiting);
    }
  }

  #begin(key: string): (verdict: LookupVerdict) => void {
    this.#underWay += 1;
    if (!this.#followers.has(key)) this.#followers.set(key, new Set());
    return (verdict) => {
      this.#underWay -= 1;
      if (verdict === 'found') this.#proven.set(key, true);
      if (verdict === 'gone') this.#gone.set(key, true);
      if (verdict === 'gone' || verdict === 'refused') this.#strikes.push(this.now());
      for (const follower of this.#followers.get(key) ?? []) this.#queue.add(follower);
      this.#followers.delete(key);
      this.#serve();
    };
  }

  // Private: what can be said without a call and without waiting.
  #refusal(key: string): Exclude<LookupTurn, { kind: 'ask' }> | null {
    if (this.#gone.get(key)) return { kind: 'gone' };
    const retryAfterMs = this.#closedForMs(this.#limitOf(key));
    return retryAfterMs > 0 ? { kind: 'wait', retryAfterMs } : null;
  }

  #limitOf(key: string): number {
    return this.#proven.get(key) ? STRIKES_FOR_PROVEN : STRIKES_FOR_UNPROVEN;
  }

  // Private: until so many failures have left the window that one more is below the limit; 0 = it is below already.
  #closedForMs(limit: number): number {
    const now = this.now();
    while ((this.#strikes[0] ?? now) <= now - WINDOW_MS) this.#strikes.shift();
    const leaving = this.#strikes[this.#strikes.length - limit];
    return Math.max(this.#closedUntil - now, leaving === undefined ? 0 : leaving + WINDOW_MS - now, 0);
  }
}
