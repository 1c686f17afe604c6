import type { Clock } from '../model/clock.js';

const MEASURE_MS = 10_000;
const SAMPLES = 3;

/**
 * The database's clock: this machine's, and by how much it is off, measured at once and then every ten seconds. While the
 * database does not answer, the last measurement counts.
 */
export class DatabaseClock implements Clock {
  #offsetMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param ask what the database's clock says; milliseconds since the epoch */
  constructor(private readonly ask: () => Promise<number>) {}

  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Resolves when it was measured. Rejects where the database does not answer. */
  async start(): Promise<void> {
    await this.#measure();
    this.#timer ??= setInterval(() => void this.#measure().catch(() => {}), MEASURE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The answer that came fastest is off by the least: by half of its time at most. */
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
