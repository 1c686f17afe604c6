import type { Draw, Drawn } from '../../catalogue/request-counts.js';

/** Whether a request may be performed, and what the tenant may do next. */
export interface Charge {
  readonly isAllowed: boolean;
  /** Requests per minute. */
  readonly limit: number;
  readonly remaining: number;
  /** The time until further requests become possible. */
  readonly resetMs: number;
}

/** Draws allowances for requests. It never rejects. */
export type DrawAllowances = (draw: Draw) => Promise<Drawn>;

/** Unused allowances are given back after this time, so that a block is used in the second in which it is counted. */
const BLOCK_LASTS_MS = 1_000;
/** A block has at most this part of the limit, so that the blocks of two replicas have less than 5 %. */
const PARTS_OF_LIMIT = 50;
/** Near the limit, blocks become smaller, so that no replica keeps what others need. */
const PARTS_OF_REMAINDER = 10;
/** How long a refusal is repeated without another draw. Other replicas may have given allowances back. */
const MAX_REFUSED_FOR_MS = 2_000;
const MIN_REFUSED_FOR_MS = 50;

const NOTHING_DRAWN: Drawn = { granted: 0, remaining: 0, resetMs: 0, at: 0 };

/**
 * The rate of one tenant in this process. Requests take allowances, which the process draws in blocks, so that not every
 * request writes to the database. One draw is under way at a time, for all requests that wait for it.
 */
export class TenantRate {
  #last: Drawn = NOTHING_DRAWN;
  #left = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #refusedUntil = Number.NEGATIVE_INFINITY;
  /** Allowances that requests have taken since the last draw. */
  #taken = 0;
  readonly #waiting: Array<(charge: Charge) => void> = [];
  #isDrawing = false;

  constructor(
    readonly limit: number,
    private readonly draw: DrawAllowances,
  ) {}

  /** When the last draw was made, by `performance.now()`. */
  get drawnAt(): number {
    return this.#drawnAt;
  }

  take(): Charge | Promise<Charge> {
    const now = performance.now();
    if (this.#left > 0 && now < this.#drawnAt + BLOCK_LASTS_MS) return this.#allowed();
    if (now < this.#refusedUntil) return this.#charge(false);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isDrawing) void this.#drawForAll();
    });
  }

  async #drawForAll(): Promise<void> {
    this.#isDrawing = true;
    while (this.#waiting.length > 0) {
      const wanted = Math.min(this.#waiting.length + this.#reserve(), this.limit);
      const unused = this.#left;
      this.#left = 0;
      this.#taken = 0;
      const drawn = await this.draw({ wanted, limit: this.limit, unused, unusedOf: this.#last.at });
      this.#last = drawn;
      this.#left = drawn.granted;
      this.#drawnAt = performance.now();
      const refusedForMs = Math.min(Math.max(drawn.resetMs, MIN_REFUSED_FOR_MS), MAX_REFUSED_FOR_MS);
      if (drawn.granted < wanted) this.#refusedUntil = this.#drawnAt + refusedForMs;
      this.#answer();
    }
    this.#isDrawing = false;
  }

  /** Serves the requests in their order. */
  #answer(): void {
    while (this.#left > 0) {
      const resolve = this.#waiting.shift();
      if (!resolve) return;
      resolve(this.#allowed());
    }
    if (performance.now() >= this.#refusedUntil) return;
    for (const resolve of this.#waiting.splice(0)) resolve(this.#charge(false));
  }

  /** As many allowances as requests took within the last block, twice as many where it was used up. */
  #reserve(): number {
    if (performance.now() > this.#drawnAt + 2 * BLOCK_LASTS_MS) return 0;
    const expected = this.#left > 0 ? this.#taken : 2 * this.#taken;
    const { remaining } = this.#last;
    return Math.floor(Math.min(expected, this.limit / PARTS_OF_LIMIT, remaining / PARTS_OF_REMAINDER));
  }

  #allowed(): Charge {
    this.#left -= 1;
    this.#taken += 1;
    return this.#charge(true);
  }

  #charge(isAllowed: boolean): Charge {
    const { remaining, resetMs } = this.#last;
    const elapsedMs = performance.now() - this.#drawnAt;
    return {
      isAllowed,
      limit: this.limit,
      remaining: isAllowed ? remaining + this.#left : 0,
      resetMs: Math.max(0, resetMs - elapsedMs),
    };
  }
}
