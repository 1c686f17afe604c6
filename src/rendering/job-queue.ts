import { Slots } from '../streams/slots.js';
import { RendererOverloaded } from './renderer.js';

/** So many jobs at once, so many that wait behind them in the order in which they came, and no more. */
export class JobQueue {
  readonly #slots: Slots;
  readonly #most: number;
  #admitted = 0;

  constructor({ concurrency, maxWaiting }: { readonly concurrency: number; readonly maxWaiting: number }) {
    this.#slots = new Slots(concurrency);
    this.#most = concurrency + maxWaiting;
  }

  /**
   * What `job` comes to, once its turn has come. One whose signal aborts before that leaves the queue with the reason.
   * @throws RendererOverloaded at once
   */
  async run<Result>(signal: AbortSignal, job: () => Promise<Result>): Promise<Result> {
    signal.throwIfAborted();
    if (this.#admitted >= this.#most)
      throw new RendererOverloaded(`expected at most ${this.#most} renderings at a time, got one more`);
    this.#admitted += 1;
    try {
      return await this.#inTurn(signal, job);
    } finally {
      this.#admitted -= 1;
    }
  }

  async #inTurn<Result>(signal: AbortSignal, job: () => Promise<Result>): Promise<Result> {
    const turn = this.#slots.take(signal);
    if (turn) await turn;
    try {
      return await job();
    } finally {
      this.#slots.release();
    }
  }
}
