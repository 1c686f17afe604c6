import type { Logger } from './logger.js';

const SHORTEST_PAUSE_MS = 5_000;
/**
 * Keeps the share of such queries at 0.5 %, so that webhook responses, 99 % of which take less than 100 ms, rarely wait
 * behind one on the embedded database.
 */
const PAUSE_PER_TIME_TAKEN = 200;

/**
 * Caches the result of a slow query. At most one query runs at a time, and queries run during 0.5 % of the time at
 * most.
 */
export class PacedQuery<Result> {
  #result: Result | null = null;
  #running: Promise<void> | null = null;
  #nextRunAt = 0;

  constructor(
    private readonly query: () => Promise<Result>,
    private readonly logger: Logger,
    /** The shortest time from one query to the next. */
    private readonly pauseMs = SHORTEST_PAUSE_MS,
  ) {}

  /** The last result; null before the first one, and after a failure. */
  get result(): Result | null {
    return this.#result;
  }

  /**
   * Starts a query if one is due. Resolves when it ends or after `patienceMs`, whichever comes first. Never rejects.
   */
  async refresh(patienceMs: number): Promise<void> {
    if (performance.now() >= this.#nextRunAt) this.#running ??= this.#run();
    if (this.#running) await succeedsInTime(this.#running, patienceMs);
  }

  /** Discards the result, which no longer holds. */
  discard(): void {
    this.#result = null;
    this.#nextRunAt = 0;
  }

  async #run(): Promise<void> {
    const startedAt = performance.now();
    try {
      this.#result = await this.query();
    } catch (err) {
      this.#result = null;
      this.logger.warn({ err }, 'the database could not be counted; its metrics are omitted');
    }
    const endedAt = performance.now();
    this.#nextRunAt = endedAt + Math.max(this.pauseMs, PAUSE_PER_TIME_TAKEN * (endedAt - startedAt));
    this.#running = null;
  }
}

/** Resolves to false if the promise rejects or takes longer. */
export async function succeedsInTime(promise: Promise<void>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false);
  });
  const succeeded = promise.then(
    () => true,
    () => false,
  );
  return Promise.race([succeeded, late]).finally(() => clearTimeout(timer));
}
