import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { upTo } from '../../model/remembered.js';
import { AbortFanOut } from '../../streams/abort-fan-out.js';
import type { CallOptions } from '../provider-adapter.js';
import type { Quota, QuotaHold } from '../quota.js';
import { type AbsencePolicy, Absences, type AbsenceVerdict } from './absences.js';

const WINDOW_MS = 60 * 60 * 1000;
/**
 * Failures of the window after which a look-up is not made. Twenty lock an account out (partner-docs.gupshup.io,
 * media-management: "20+"; docs.360dialog.com, media: 20 in 60 minutes). What failed before has less of them, so that one
 * media that is gone leaves room for those that are new; what queries ask again has least, so that jobs keep the rest.
 */
const LIMITS = { failedForQueries: 6, failedForJobs: 12, unproven: 15, proven: 19 } as const;
const REMEMBERED_MEDIA = 50_000;
/** How long others' calls under way are waited for, again and again. */
const PATIENCE_MS = 100;

/** `found`, `absent`: about the media; `refused`: a failure all the same; `none`: nothing that a provider counts. */
export type LookupVerdict = 'found' | 'absent' | 'refused' | 'none';

export interface LookupAsk {
  readonly kind: 'ask';
  /** Always, when it is known what came. Never rejects. @returns what to think of an `absent` */
  settle(verdict: LookupVerdict): Promise<AbsenceVerdict | null>;
}

export type LookupTurn =
  | LookupAsk
  | { readonly kind: 'absent'; readonly verdict: AbsenceVerdict }
  | { readonly kind: 'wait'; readonly retryAfterMs: number };

export interface LookupBudgetOptions {
  /** Of the count that the replicas share. */
  readonly name: string;
  readonly quota: Pick<Quota, 'hold'>;
  readonly absences: AbsencePolicy;
  /** How long a look-up may take. */
  readonly timeoutMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type Started = { readonly kind: 'begin'; readonly end: (verdict: LookupVerdict) => AbsenceVerdict | null };
type LocalTurn = Started | Exclude<LookupTurn, LookupAsk>;

interface Waiting {
  readonly key: string;
  readonly job: boolean;
  /** Has waited for another look-up of the same media; once is enough, lest a slow one hold all. */
  hasFollowed: boolean;
  readonly go: (turn: LocalTurn) => void;
}

const aborts = new AbortFanOut();

/**
 * Keeps one account's look-ups of media below its provider's lock-out. Failures of the last hour are counted for all replicas
 * together, and a look-up under way counts as one until it is known better, so that many at once cannot overshoot; one that
 * finds no room while others are under way waits its turn. While the count cannot be asked, each process counts its own.
 */
export class LookupBudget {
  readonly #absences: Absences;
  readonly #proven = new LRUCache<string, true>(upTo(REMEMBERED_MEDIA));
  readonly #failed = new LRUCache<string, true>(upTo(REMEMBERED_MEDIA));
  /** When this process's failures of the window were, oldest first. */
  readonly #strikes: number[] = [];
  /** In the order of their coming; not empty only while look-ups are under way. */
  readonly #queue = new Set<Waiting>();
  /** By media under way that was never seen to work: those that wait for the same verdict. */
  readonly #followers = new Map<string, Set<Waiting>>();
  #underWay = 0;
  #closedUntil = 0;

  constructor(private readonly options: LookupBudgetOptions) {
    this.#absences = new Absences(options.absences, options.now);
  }

  /** @param media its name, or its address. Resolves at once, or when there is room. Rejects with the signal's reason. */
  async enter(media: string, { signal, job = false }: CallOptions): Promise<LookupTurn> {
    signal?.throwIfAborted();
    // Hashed: an address may have thousands of characters, and many of them are remembered.
    const key = createHash('sha256').update(media).digest('base64');
    const turn = this.#refusal({ key, job, hasFollowed: false }) ?? (await this.#wait({ key, job }, signal));
    if (turn.kind !== 'begin') return turn;
    let hold: QuotaHold | number | null;
    try {
      hold = await this.#holdForAll(this.#limitOf({ key, job }), signal);
    } catch (thrown) {
      turn.end('none');
      throw thrown;
    }
    if (typeof hold === 'number') {
      turn.end('none');
      return { kind: 'wait', retryAfterMs: hold };
    }
    return {
      kind: 'ask',
      settle: async (verdict) => {
        const absence = turn.end(verdict);
        await hold?.settle(isFailure(verdict));
        return absence;
      },
    };
  }

  /** The provider said for how long it answers nothing. */
  close(forMs: number): void {
    this.#closedUntil = Math.max(this.#closedUntil, this.options.now() + forMs);
  }

  // null: the count cannot be asked; a number: how long there is no room.
  async #holdForAll(limit: number, signal: AbortSignal | undefined): Promise<QuotaHold | number | null> {
    const { name, quota, timeoutMs } = this.options;
    const limits = { limit, windowMs: WINDOW_MS, holdMs: 3 * timeoutMs };
    const until = performance.now() + timeoutMs;
    for (;;) {
      const held = await quota.hold(name, limits).catch(() => null);
      if (held === null || held.kind === 'held') return held;
      if (held.retryAfterMs > 0) return held.retryAfterMs;
      if (performance.now() >= until) return PATIENCE_MS;
      await sleep(PATIENCE_MS * (0.5 + Math.random()), undefined, { signal }).catch((thrown: unknown) => {
        signal?.throwIfAborted();
        throw thrown;
      });
    }
  }

  #wait(who: Pick<Waiting, 'key' | 'job'>, signal: AbortSignal | undefined): Promise<LocalTurn> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown): void => {
        this.#queue.delete(waiting);
        this.#followers.get(who.key)?.delete(waiting);
        reject(reason);
      };
      const go = (turn: LocalTurn): void => {
        if (signal) aborts.remove(signal, leave);
        resolve(turn);
      };
      const waiting: Waiting = { ...who, hasFollowed: false, go };
      if (signal) aborts.add(signal, leave);
      this.#queue.add(waiting);
      this.#serve();
    });
  }

  // Everything at the head of the queue whose turn it is, whatever it is; what has a smaller limit holds nothing up.
  #serve(): void {
    for (const waiting of this.#queue) {
      const { key } = waiting;
      const refusal = this.#refusal(waiting);
      const others = this.#followers.get(key);
      const limit = this.#limitOf(waiting);
      if (!refusal && others && !waiting.hasFollowed && !this.#proven.has(key)) {
        waiting.hasFollowed = true;
        others.add(waiting);
      } else if (refusal || this.#strikes.length + this.#underWay < limit) {
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
    this.#underWay += 1;
    if (!this.#followers.has(key)) this.#followers.set(key, new Set());
    return (verdict) => {
      this.#underWay -= 1;
      const absence = this.#learn(key, verdict);
      for (const follower of this.#followers.get(key) ?? []) this.#queue.add(follower);
      this.#followers.delete(key);
      this.#serve();
      return absence;
    };
  }

  #learn(key: string, verdict: LookupVerdict): AbsenceVerdict | null {
    if (verdict === 'found') {
      this.#proven.set(key, true);
      this.#failed.delete(key);
      this.#absences.forget(key);
    }
    if (!isFailure(verdict)) return null;
    this.#strikes.push(this.options.now());
    this.#failed.set(key, true);
    return verdict === 'absent' ? this.#absences.note(key) : null;
  }

  // What can be said without a call and without waiting. What a job heard while it followed is news to it, too.
  #refusal({ key, job, hasFollowed }: Omit<Waiting, 'go'>): Exclude<LookupTurn, LookupAsk> | null {
    const verdict = job && !hasFollowed ? null : this.#absences.recall(key);
    if (verdict) return { kind: 'absent', verdict };
    const retryAfterMs = this.#closedForMs(this.#limitOf({ key, job }));
    return retryAfterMs > 0 ? { kind: 'wait', retryAfterMs } : null;
  }

  #limitOf({ key, job }: Pick<Waiting, 'key' | 'job'>): number {
    if (this.#failed.get(key)) return job ? LIMITS.failedForJobs : LIMITS.failedForQueries;
    return this.#proven.get(key) ? LIMITS.proven : LIMITS.unproven;
  }

  // Until so many failures have left the window that one more is below the limit; 0 = it is below already.
  #closedForMs(limit: number): number {
    const now = this.options.now();
    while ((this.#strikes[0] ?? now) <= now - WINDOW_MS) this.#strikes.shift();
    const leaving = this.#strikes[this.#strikes.length - limit];
    return Math.max(this.#closedUntil - now, leaving === undefined ? 0 : leaving + WINDOW_MS - now, 0);
  }
}

function isFailure(verdict: LookupVerdict): boolean {
  return verdict === 'absent' || verdict === 'refused';
}
