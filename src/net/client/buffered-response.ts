import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { AbortFanOut } from '../../streams/abort-fan-out.js';
import { NetError, toNetError } from '../../streams/net-error.js';

/** A complete response in memory, for API calls, whose responses are small and limited. */
export interface BufferedResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const aborts = new AbortFanOut();

interface Limits {
  /** null = no timeout; only the signal ends the call. */
  readonly timeoutMs: number | null;
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * Sends one request and buffers its response. It uses `dispatch` instead of `Pool.request`, which creates a stream per
 * response; that stream took a third of the CPU of a query for fifty messages.
 *
 * Rejects with NetError TIMEOUT (no complete response within `timeoutMs`), RESPONSE_TOO_LARGE (announced or received
 * more than `maxBytes`), CONNECTION or BAD_RESPONSE, or with the signal's reason. Resolves on every HTTP status.
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
    if (this.#settled) controller.abort(new NetError('CONNECTION', 'the request was abandoned'));
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

  // Rejects before it aborts, so that the error which the abort causes finds the promise settled.
  #fail(error: unknown): void {
    if (!this.#settle()) return;
    this.reject(error);
    this.#controller?.abort(
      error instanceof Error ? error : new NetError('CONNECTION', 'call abandoned', { cause: error }),
    );
  }

  // Returns true for the first outcome only.
  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.limits.signal) aborts.remove(this.limits.signal, this.#onAbort);
    return true;
  }

  readonly #onTimeout = (): void => {
    this.#fail(new NetError('TIMEOUT', `expected a complete answer within ${this.limits.timeoutMs} ms`));
  };

  readonly #onAbort = (reason: unknown): void => this.#fail(reason);

  #tooLarge(): NetError {
    return new NetError('RESPONSE_TOO_LARGE', `expected at most ${this.limits.maxBytes} bytes, got more`);
  }
}
