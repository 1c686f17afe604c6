import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { AbortFanOut } from '../../streams/abort-fan-out.js';
import { NetError, toNetError } from '../../streams/net-error.js';

/** A whole answer in memory: for API calls, whose answers are small and capped. */
export interface BufferedResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const aborts = new AbortFanOut();

interface Limits {
  /** null: the signal is all that ends the call. */
  readonly timeoutMs: number | null;
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * Sends one request and collects its answer. Goes below `Pool.request` on purpose: no stream is made per answer, which
 * is a third of the CPU of a query that asks fifty messages.
 *
 * Rejects NetError TIMEOUT (whole answer not there in `timeoutMs`), RESPONSE_TOO_LARGE (one byte above `maxBytes`,
 * announced or sent), CONNECTION and BAD_RESPONSE, or the signal's reason. Resolves on every HTTP status.
 */
export function dispatchBuffered(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  limits: Limits,
): Promise<BufferedResponse> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(request, new BufferingHandler(limits, resolve, reject));
  });
}

class BufferingHandler implements Dispatcher.DispatchHandler {
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #statusCode = 0;
  #headers: IncomingHttpHeaders = {};
  #receivedBytes = 0;
  #settled = false;
  readonly #timer: NodeJS.Timeout | null;

  constructor(
    private readonly limits: Limits,
    private readonly resolve: (response: BufferedResponse) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    this.#timer = limits.timeoutMs === null ? null : setTimeout(this.#onTimeout, limits.timeoutMs);
    if (limits.signal) aborts.add(limits.signal, this.#onAbort);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new NetError('CONNECTION', 'nobody waits for this request any more'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    this.#statusCode = statusCode;
    this.#headers = headers;
    if (Number(headers['content-length']) > this.limits.maxBytes) this.#fail(this.#tooLarge());
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > this.limits.maxBytes) this.#fail(this.#tooLarge());
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.#settle()) return;
    const [first] = this.#chunks;
    const body = first && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
    this.resolve({ statusCode: this.#statusCode, headers: this.#headers, body });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#settle()) this.reject(toNetError(error));
  }

  // Private: rejects first, so that the error which the abort below brings back is no news any more.
  #fail(error: unknown): void {
    if (!this.#settle()) return;
    this.reject(error);
    this.#controller?.abort(
      error instanceof Error ? error : new NetError('CONNECTION', 'call abandoned', { cause: error }),
    );
  }

  // Private: true for the first outcome alone.
  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.limits.signal) aborts.remove(this.limits.signal, this.#onAbort);
    return true;
  }

  readonly #onTimeout = (): void => {
    this.#fail(new NetError('TIMEOUT', `no complete answer within ${this.limits.timeoutMs} ms`));
  };

  readonly #onAbort = (reason: unknown): void => this.#fail(reason);

  #tooLarge(): NetError {
    return new NetError('RESPONSE_TOO_LARGE', `expected at most ${this.limits.maxBytes} bytes`);
  }
}
