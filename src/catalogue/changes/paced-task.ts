/** A task that runs once at a time and, when it is requested often, with a pause between the beginnings of two runs. */
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

  /** Starts a run after this call: now, or when the pause is over. Requests until then share it; failures are ignored. */
  request(): void {
    if (this.#isStopped || this.#timer !== undefined || this.#next !== null) return;
    const waitMs = Math.max(0, this.#startedAt + this.pauseMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.runNext().catch(() => {});
    }, waitMs);
  }

  /** Starts a run without a pause, after the one that is under way. Calls until then share it, and its failure. */
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

  /** Drops what was requested, and waits for the run that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running.catch(() => {});
  }
}
