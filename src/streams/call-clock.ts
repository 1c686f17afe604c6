import { isError, NetError, toNetError } from './net-error.js';

/** What can end a call from outside, its clocks and its caller's signal, as one signal; `end` leaves nothing behind. */
export class CallClock {
  readonly #controller = new AbortController();
  readonly #headersTimer: NodeJS.Timeout;
  readonly #deadlineTimer: NodeJS.Timeout | undefined;
  // `AbortSignal.any` would leave a trace on a long-lived signal for every call (Node 20).
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

  /** For undici. */
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

  /** Calls back at the abort, or at once if that has passed. Returns the way to take the listener off. */
  onAbort(listener: (reason: Error) => void): () => void {
    const tell = () => this.#reason !== null && listener(this.#reason);
    this.signal.addEventListener('abort', tell, { once: true });
    tell();
    return () => this.signal.removeEventListener('abort', tell);
  }

  /** The outcome of `work`, or the abort's reason as soon as there is one; what comes too late goes to `discardLate`. */
  orAbort<Result>(work: Promise<Result>, discardLate: (late: Result) => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      const forget = this.onAbort(reject);
      work.then((result) => (this.#reason === null ? resolve(result) : discardLate(result)), reject).finally(forget);
    });
  }

  /** Why the call ended: by abort, if there was one; undici reports its consequences, not always the reason. */
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

/** A caller's reason is handed back as it is; only the clock of `AbortSignal.timeout` is a timeout like our own. */
function callerReason(reason: unknown): Error {
  return isError(reason) && reason.name !== 'TimeoutError' ? reason : toNetError(reason);
}
