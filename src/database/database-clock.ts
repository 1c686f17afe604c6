import type { Clock } from '../model/clock.js';

const MEASURE_MS = 10_000;
const SAMPLES = 3;

/**
 * The database's clock, computed from this machine's clock and its offset. The offset is measured at the start and then
 * every ten seconds. While the database is unavailable, the last measurement applies.
 */
export class DatabaseClock implements Clock {
  #offsetMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param ask reads the database's clock in milliseconds since the epoch */
  constructor(private readonly ask: () => Promise<number>) {}

  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Resolves after the first measurement. Rejects if the database is unavailable. */
  async start(): Promise<void> {
    await this.#measure();
    this.#timer ??= setInterval(() => void this.#measure().catch(() => {}), MEASURE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The error of a measurement is at most half of its duration, so the fastest measurement is the most accurate. */
  async #measure(): Promise<void> {
    let fastestMs = Number.POSITIVE_INFINITY;
    for (let sample = 0; sample < SAMPLES; sample++) {
      const asked = performance.now();
      const there = await this.ask();
      const tookMs = performance.now() - asked;
      if (tookMs < fastestMs) this.#offsetMs = there + tookMs / 2 - Date.now();
      fastestMs = Math.min(fastestMs, tookMs);
    }
  }
}
