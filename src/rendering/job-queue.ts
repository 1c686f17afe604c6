import { Slots } from '../streams/slots.js';
import { RendererOverloaded } from './renderer.js';

/** Runs a bounded number of jobs at once. A bounded number of others wait, first come, first served. */
export class JobQueue {
  readonly #slots: Slots;
  readonly #maxAdmitted: number;
  #admitted = 0;

  constructor({ concurrency, maxWaiting }: { readonly concurrency: number; readonly maxWaiting: number }) {
    this.#slots = new Slots(concurrency);
    this.#maxAdmitted = concurrency + maxWaiting;
  }

  /**
   * The result of `job`. A job whose signal aborts while it waits leaves the queue and rejects with the reason.
   * @throws RendererOverloaded at once, when too many jobs wait
   */
  async run<Result>(signal: AbortSignal, job: () => Promise<Result>): Promise<Result> {
    signal.throwIfAborted();
    if (this.#admitted >= this.#maxAdmitted)
      throw new RendererOverloaded(`expected at most ${this.#maxAdmitted} renderings at a time, got one more`);
    this.#admitted += 1;
    try {
      return await this.#runInSlot(signal, job);
    } finally {
      this.#admitted -= 1;
    }
  }

  async #runInSlot<Result>(signal: AbortSignal, job: () => Promise<Result>): Promise<Result> {
    const waiting = this.#slots.take(signal);
    if (waiting) await waiting;
    try {
      return await job();
    } finally {
      this.#slots.release();
    }
  }
}
