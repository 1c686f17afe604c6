import { NetError } from './net-error.js';

/**
 * Calls back with `NetError TIMEOUT` when no byte has arrived for `silenceMs` milliseconds. (undici's `bodyTimeout`
 * ticks every half second: a timeout of 100 ms was measured to take 1.0 s.)
 */
export class SilenceTimer {
  #timer: NodeJS.Timeout | null = null;
  #hasEnded = false;

  constructor(
    private readonly silenceMs: number,
    private readonly onSilence: (error: NetError) => void,
  ) {
    this.restart();
  }

  /** A byte has arrived. */
  restart(): void {
    if (this.#timer !== null) this.#timer.refresh();
    else this.startIfStopped();
  }

  /** The consumer does not read, which is not the sender's silence. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The consumer reads again. */
  startIfStopped(): void {
    if (this.#timer !== null || this.#hasEnded) return;
    this.#timer = setTimeout(() => {
      this.onSilence(new NetError('TIMEOUT', `expected a byte within ${this.silenceMs} ms, got silence`));
    }, this.silenceMs);
  }

  /** Stops for ever. */
  end(): void {
    this.#hasEnded = true;
    this.stop();
  }
}
