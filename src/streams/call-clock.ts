import { isError, NetError, toNetError } from './net-error.js';

/** Combines the timeouts of a call and its caller's signal into one signal. `end` removes all timers and listeners. */
export class CallClock {
  readonly #controller = new AbortController();
  readonly #headersTimer: NodeJS.Timeout;
  readonly #deadlineTimer: NodeJS.Timeout | undefined;
  // `AbortSignal.any` would leave a reference on a long-lived signal for every call (Node 20).
  readonly #onCallerAbort = () => this.#abort(callerReason(this.caller?.reason));
  #reason: Error | null = null;

  constructor(
    private readonly caller: AbortSignal | undefined,
    headersTimeoutMs: number,
    deadlineMs: number | undefined,
  ) {
    this.#headersTimer = this.#timer('response headers', headersTimeoutMs);
    this.#deadlineTimer = deadlineMs === undefined ? undefined : this.#timer('the whole response', deadlineMs);
    caller?.addEventListener('abort', this.#onCallerAbort, { once: true });
    if (caller?.aborted) this.#onCallerAbort();
  }

  /** The combined signal, for undici. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  headersArrived(): void {
    clearTimeout(this.#headersTimer);
  }

  end(): void {
    clearTimeout(this.#headersTimer);
    clearTimeout(this.#deadlineTimer);
    this.caller?.removeEventListener('abort', this.#onCallerAbort);
  }

  throwIfAborted(): void {
    if (this.#reason !== null) throw this.#reason;
  }

  /**
   * Calls the listener on abort, or immediately if the call has been aborted. Returns a function that removes the
   * listener.
   */
  onAbort(listener: (reason: Error) => void): () => void {
    const notify = () => this.#reason !== null && listener(this.#reason);
    this.signal.addEventListener('abort', notify, { once: true });
    notify();
    return () => this.signal.removeEventListener('abort', notify);
  }

  /**
   * Settles with the outcome of `work`, or rejects with the reason of an abort that comes first. A result that arrives
   * after the abort goes to `discardLate`.
   */
  orAbort<Result>(work: Promise<Result>, discardLate: (late: Result) => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      const removeListener = this.onAbort(reject);
      work
        .then((result) => (this.#reason === null ? resolve(result) : discardLate(result)), reject)
        .finally(removeListener);
    });
  }

  /**
   * Returns the reason why the call failed. undici often reports a consequence of an abort, so the abort's own reason
   * wins.
   */
  reasonOr(thrown: unknown): Error {
    return this.#reason ?? toNetError(thrown);
  }

  #abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller.abort(this.#reason);
  }

  #timer(awaited: string, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#abort(new NetError('TIMEOUT', `expected ${awaited} within ${ms} ms`)), ms);
  }
}

/** Returns a caller's reason unchanged, except that an `AbortSignal.timeout` counts as a timeout of ours. */
function callerReason(reason: unknown): Error {
  return isError(reason) && reason.name !== 'TimeoutError' ? reason : toNetError(reason);
}
