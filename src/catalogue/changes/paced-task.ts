/**
 * A task that never runs concurrently. When it is requested often, it waits for a minimum interval between the starts
 * of two runs.
 */
export class PacedTask {
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  constructor(
    private readonly run: () => Promise<void>,
    private readonly pauseMs: number,
  ) {}

  /** Starts a run now, or when the interval has passed. Requests until then share the run. Failures are ignored. */
  request(): void {
    if (this.#isStopped || this.#timer !== undefined || this.#next !== null) return;
    const waitMs = Math.max(0, this.#startedAt + this.pauseMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.runNext().catch(() => {});
    }, waitMs);
  }

  /** Starts a run without an interval, after the current run. Calls until then share the run and its failure. */
  runNext(): Promise<void> {
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = null;
        if (this.#isStopped) throw new Error('the task was stopped');
        this.#startedAt = performance.now();
        this.#running = this.run();
        return this.#running;
      });
    return this.#next;
  }

  /** Drops requested runs and waits for the current run. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running.catch(() => {});
  }
}
