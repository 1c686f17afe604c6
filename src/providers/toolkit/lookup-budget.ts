import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { upTo } from '../../model/lru-limit.js';
import { AbortFanOut } from '../../streams/abort-fan-out.js';
import type { CallOptions } from '../provider-adapter.js';
import type { Quota, QuotaHold } from '../quota.js';
import { type AbsencePolicy, Absences, type AbsenceVerdict } from './absences.js';
import { MAX_REMEMBERED_MEDIA } from './remembered-media.js';

const WINDOW_MS = 60 * 60 * 1000;
/**
 * Failures within the window at which look-ups stop. Twenty lock an account out (partner-docs.gupshup.io,
 * media-management: "20+"; docs.360dialog.com, media: 20 in 60 minutes). Media that failed before has a lower limit, so
 * that one missing media leaves room for new ones. Queries have the lowest, so that jobs keep the rest.
 */
const LIMITS = { failedForQueries: 6, failedForJobs: 12, unproven: 15, proven: 19 } as const;
/** The pause between attempts to get a hold while calls in progress use up the limit. */
const RETRY_HOLD_MS = 100;

/**
 * The outcome of a look-up. `found` and `absent` concern the media. `refused` is another failure that the provider
 * counts. `none` is an outcome that it does not count.
 */
export type LookupVerdict = 'found' | 'absent' | 'refused' | 'none';

export interface LookupPermit {
  readonly kind: 'permit';
  /**
   * Must be called once with the outcome of the look-up. Never rejects.
   * @returns the verdict on an `absent` outcome, else null
   */
  settle(verdict: LookupVerdict): Promise<AbsenceVerdict | null>;
}

export type LookupAdmission =
  | LookupPermit
  | { readonly kind: 'absent'; readonly verdict: AbsenceVerdict }
  | { readonly kind: 'wait'; readonly retryAfterMs: number };

export interface LookupBudgetOptions {
  /** Name of the counter that all replicas share. */
  readonly name: string;
  readonly quota: Pick<Quota, 'hold'>;
  readonly absences: AbsencePolicy;
  /** Maximum duration of a look-up. */
  readonly timeoutMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type Started = { readonly kind: 'begin'; readonly end: (verdict: LookupVerdict) => AbsenceVerdict | null };
type LocalAdmission = Started | Exclude<LookupAdmission, LookupPermit>;

interface WaitingLookup {
  readonly key: string;
  readonly job: boolean;
  /**
   * Whether it has waited for another look-up of the same media. It waits only once, so that slow look-ups cannot delay
   * it without end.
   */
  hasFollowed: boolean;
  readonly go: (admission: LocalAdmission) => void;
}

const aborts = new AbortFanOut();

/**
 * Limits an account's media look-ups so that their failures stay below the provider's lock-out. Failures of the last
 * hour are counted over all replicas. A look-up in progress counts as a failure until its outcome is known, so
 * concurrent look-ups cannot exceed the limit. A look-up waits if only look-ups in progress use up the limit. While the
 * shared counter is unavailable, each process counts for itself.
 */
export class LookupBudget {
  readonly #absences: Absences;
  readonly #proven = new LRUCache<string, true>(upTo(MAX_REMEMBERED_MEDIA));
  readonly #failed = new LRUCache<string, true>(upTo(MAX_REMEMBERED_MEDIA));
  /** Times of this process's failures within the window, oldest first. */
  readonly #failureTimes: number[] = [];
  /** Waiting look-ups in order of arrival. Empty unless look-ups are in progress. */
  readonly #queue = new Set<WaitingLookup>();
  /** Per unproven media with a look-up in progress: the waiting look-ups that need the same verdict. */
  readonly #followers = new Map<string, Set<WaitingLookup>>();
  #inProgress = 0;
  #pausedUntil = 0;

  constructor(private readonly options: LookupBudgetOptions) {
    this.#absences = new Absences(options.absences, options.now);
  }

  /**
   * Asks for a permit to look a media up. Resolves immediately or when there is room. Rejects with the signal's reason.
   * @param media id or address of the media
   */
  async enter(media: string, { signal, job = false }: CallOptions): Promise<LookupAdmission> {
    signal?.throwIfAborted();
    // Hashed, because an address may have thousands of characters and many are remembered.
    const key = createHash('sha256').update(media).digest('base64');
    const admission = this.#refusal({ key, job, hasFollowed: false }) ?? (await this.#wait({ key, job }, signal));
    if (admission.kind !== 'begin') return admission;
    let hold: QuotaHold | number | null;
    try {
      hold = await this.#takeSharedHold(this.#limitOf({ key, job }), signal);
    } catch (thrown) {
      admission.end('none');
      throw thrown;
    }
    if (typeof hold === 'number') {
      admission.end('none');
      return { kind: 'wait', retryAfterMs: hold };
    }
    return {
      kind: 'permit',
      settle: async (verdict) => {
        const absence = admission.end(verdict);
        await hold?.settle(isFailure(verdict));
        return absence;
      },
    };
  }

  /** Stops all look-ups for as long as the provider said it refuses them. */
  pause(forMs: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.options.now() + forMs);
  }

  // Returns null if the shared counter is unavailable, and a number of milliseconds if there is no room.
  async #takeSharedHold(limit: number, signal: AbortSignal | undefined): Promise<QuotaHold | number | null> {
    const { name, quota, timeoutMs } = this.options;
    const limits = { limit, windowMs: WINDOW_MS, holdMs: 3 * timeoutMs };
    const until = performance.now() + timeoutMs;
    for (;;) {
      const held = await quota.hold(name, limits).catch(() => null);
      if (held === null || held.kind === 'held') return held;
      if (held.retryAfterMs > 0) return held.retryAfterMs;
      if (performance.now() >= until) return RETRY_HOLD_MS;
      await sleep(RETRY_HOLD_MS * (0.5 + Math.random()), undefined, { signal }).catch((thrown: unknown) => {
        signal?.throwIfAborted();
        throw thrown;
      });
    }
  }

  #wait(lookup: Pick<WaitingLookup, 'key' | 'job'>, signal: AbortSignal | undefined): Promise<LocalAdmission> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown): void => {
        this.#queue.delete(waiting);
        this.#followers.get(lookup.key)?.delete(waiting);
        reject(reason);
      };
      const go = (admission: LocalAdmission): void => {
        if (signal) aborts.remove(signal, leave);
        resolve(admission);
      };
      const waiting: WaitingLookup = { ...lookup, hasFollowed: false, go };
      if (signal) aborts.add(signal, leave);
      this.#queue.add(waiting);
      this.#serve();
    });
  }

  // Serves the head of the queue. A look-up with a lower limit does not hold up those behind it.
  #serve(): void {
    for (const waiting of this.#queue) {
      const { key } = waiting;
      const refusal = this.#refusal(waiting);
      const followers = this.#followers.get(key);
      const limit = this.#limitOf(waiting);
      if (!refusal && followers && !waiting.hasFollowed && !this.#proven.has(key)) {
        waiting.hasFollowed = true;
        followers.add(waiting);
      } else if (refusal || this.#failureTimes.length + this.#inProgress < limit) {
        waiting.go(refusal ?? { kind: 'begin', end: this.#begin(key) });
      } else if (limit < LIMITS.unproven) {
        continue;
      } else {
        return;
      }
      this.#queue.delete(waiting);
    }
  }

  #begin(key: string): Started['end'] {
    this.#inProgress += 1;
    if (!this.#followers.has(key)) this.#followers.set(key, new Set());
    return (verdict) => {
      this.#inProgress -= 1;
      const absence = this.#recordOutcome(key, verdict);
      for (const follower of this.#followers.get(key) ?? []) this.#queue.add(follower);
      this.#followers.delete(key);
      this.#serve();
      return absence;
    };
  }

  #recordOutcome(key: string, verdict: LookupVerdict): AbsenceVerdict | null {
    if (verdict === 'found') {
      this.#proven.set(key, true);
      this.#failed.delete(key);
      this.#absences.forget(key);
    }
    if (!isFailure(verdict)) return null;
    this.#failureTimes.push(this.options.now());
    this.#failed.set(key, true);
    return verdict === 'absent' ? this.#absences.note(key) : null;
  }

  // Returns an outcome that needs neither a call nor a wait. For a job, a verdict that it waited for is as good as its
  // own call.
  #refusal({ key, job, hasFollowed }: Omit<WaitingLookup, 'go'>): Exclude<LookupAdmission, LookupPermit> | null {
    const verdict = job && !hasFollowed ? null : this.#absences.recall(key);
    if (verdict) return { kind: 'absent', verdict };
    const retryAfterMs = this.#msUntilRoom(this.#limitOf({ key, job }));
    return retryAfterMs > 0 ? { kind: 'wait', retryAfterMs } : null;
  }

  #limitOf({ key, job }: Pick<WaitingLookup, 'key' | 'job'>): number {
    if (this.#failed.get(key)) return job ? LIMITS.failedForJobs : LIMITS.failedForQueries;
    return this.#proven.get(key) ? LIMITS.proven : LIMITS.unproven;
  }

  // Returns how long until one more failure is below the limit; 0 = it is now.
  #msUntilRoom(limit: number): number {
    const now = this.options.now();
    while ((this.#failureTimes[0] ?? now) <= now - WINDOW_MS) this.#failureTimes.shift();
    const leaving = this.#failureTimes[this.#failureTimes.length - limit];
    return Math.max(this.#pausedUntil - now, leaving === undefined ? 0 : leaving + WINDOW_MS - now, 0);
  }
}

function isFailure(verdict: LookupVerdict): boolean {
  return verdict === 'absent' || verdict === 'refused';
}
