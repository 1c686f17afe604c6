import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
} from 'cockatiel';
import type { Dispatcher, Pool } from 'undici';
import { parseUrl } from '../../model/text/parse-url.js';
import { NetError, toNetError } from '../../streams/net-error.js';
import { Slots } from '../../streams/slots.js';
import type { ProviderMetrics } from '../../telemetry/metrics.js';
import type { ProviderTrace } from '../../telemetry/tracing.js';
import { type BufferedResponse, dispatchBuffered } from './buffered-response.js';
import type { OriginPools } from './origin-pools.js';
import { type RequestBody, sendBody } from './request-body.js';
import { retryAfterMs } from './retry-after.js';
import { openStream, type StreamedResponse } from './streamed-response.js';

/** Timeout, retries and concurrency of calls, from `providers.<name>` of the configuration. */
export interface CallPolicy {
  /** Limits the time until a call's headers, over all its attempts, and each silence within a streamed body. */
  readonly timeoutMs: number;
  /** Attempts after the first, for idempotent calls only. */
  readonly retries: number;
  /** Concurrent calls of one channel. */
  readonly maxConcurrency: number;
}

export interface ProviderHttpClientOptions {
  /** The channel's base URL or one of its media origins. `headers` are sent below this URL only. */
  readonly baseUrl: string;
  /** Headers of every call, including the credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly policy: CallPolicy;
  /** Maximum size of a buffered response. */
  readonly maxResponseBytes?: number;
  readonly pools: OriginPools;
  readonly metrics?: ProviderMetrics;
  readonly trace?: ProviderTrace;
}

export interface ProviderRequest {
  /** Idempotent methods only (RFC 9110 section 9.2.2), because calls are retried. */
  readonly method: 'GET' | 'DELETE';
  /** Path and query, from `pathOf` or `pathWithin`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Attempts after the first, for providers that count each. Default: the policy's. */
  readonly retries?: number;
}

export interface ProviderPost {
  readonly path: string;
  readonly body: RequestBody;
  readonly signal?: AbortSignal;
  /** The longest silence, for calls that take the provider long. Default: the policy's timeout. */
  readonly silenceMs?: number;
}

type Headers = Readonly<Record<string, string>>;

interface AttemptOptions extends Pick<ProviderRequest, 'signal' | 'retries'> {
  readonly method: ProviderRequest['method'] | 'POST';
}

const DEFAULT_MAX_RESPONSE_BYTES = 2_000_000;
const RETRYABLE_STATUS = new Set([429, 500, 502, 503, 504]);
const FIRST_BACKOFF_MS = 100;
const CONSECUTIVE_FAILURES_TO_OPEN = 10;
const HALF_OPEN_BACKOFF = { initialDelay: 1_000, maxDelay: 30_000 };

/**
 * Calls one channel's API with its credentials. Redirects are returned, never followed.
 *
 * Every call passes the channel's concurrency limit and circuit breaker. An idempotent call has one deadline for all
 * its attempts. It is retried after a 429, a 5xx or a lost connection while the deadline allows, and waits as
 * `Retry-After` says (RFC 9110 section 10.2.3). Resolves on every final HTTP status. Rejects with a {@link NetError} or
 * the signal's reason; a POST also rejects with a fault of its body.
 */
export class ProviderHttpClient {
  readonly #base: URL;
  readonly #prefix: string;
  readonly #pool: Pool;
  readonly #slots: Slots;
  readonly #breaker: CircuitBreakerPolicy;

  constructor(private readonly options: ProviderHttpClientOptions) {
    this.#base = new URL(options.baseUrl);
    this.#prefix = this.#base.pathname.replace(/\/$/, '');
    this.#pool = options.pools.for(this.#base.origin);
    this.#slots = new Slots(options.policy.maxConcurrency);
    this.#breaker = circuitBreaker(handleWhen(isOutage).orWhenResult(isOutage), {
      breaker: new ConsecutiveBreaker(CONSECUTIVE_FAILURES_TO_OPEN),
      halfOpenAfter: new ExponentialBackoff(HALF_OPEN_BACKOFF),
    });
    options.metrics?.watchCircuit(() => this.#breaker.state !== CircuitState.Closed);
  }

  /** Builds the path of a resource below the base URL. Every segment is encoded, so an id cannot add a segment. */
  pathOf(...segments: readonly string[]): string {
    return `${this.#prefix}/${segments.map(encodeURIComponent).join('/')}`;
  }

  /**
   * Returns the path of an address from the provider's answer if the address has the same origin and lies below
   * `parentPath` (from `pathOf`). Otherwise returns null: credentials must not be sent there.
   */
  pathWithin(address: string, parentPath: string): string | null {
    const url = parseUrl(address, this.#base.origin);
    if (!url || url.origin !== this.#base.origin || url.username || url.password) return null;
    const within = url.pathname === parentPath || url.pathname.startsWith(`${parentPath}/`);
    // An encoded slash or dot counts as one segment here, but the server may split it.
    return within && !/%2e|%2f|%5c/i.test(url.pathname) ? url.pathname + url.search : null;
  }

  /** Returns the absolute URL of a path from `pathOf` or `pathWithin`. */
  addressOf(path: string): string {
    return this.#base.origin + path;
  }

  /** Buffers the whole response, up to `maxResponseBytes`. */
  request(request: ProviderRequest): Promise<BufferedResponse> {
    const { maxResponseBytes: maxBytes = DEFAULT_MAX_RESPONSE_BYTES } = this.options;
    return this.#attempt(request, (timeoutMs, traceHeaders) =>
      dispatchBuffered(this.#pool, this.#dispatchOptions(request, traceHeaders), {
        timeoutMs,
        maxBytes,
        signal: request.signal,
      }),
    );
  }

  /**
   * Sends a body once, without a retry even after a lost connection, because the provider may have processed it. The
   * call has no deadline but a limit on silence, see {@link sendBody}. The body is destroyed when the promise settles.
   */
  async post({
    path,
    body,
    signal,
    silenceMs = this.options.policy.timeoutMs,
  }: ProviderPost): Promise<BufferedResponse> {
    const { headers, maxResponseBytes: maxBytes = DEFAULT_MAX_RESPONSE_BYTES } = this.options;
    try {
      return await this.#attempt({ method: 'POST', signal, retries: 0 }, (_timeoutMs, traceHeaders) =>
        sendBody(this.#pool, { method: 'POST', path, headers: { ...headers, ...traceHeaders } }, body, {
          silenceMs,
          maxBytes,
          signal,
        }),
      );
    } finally {
      body.destroy();
    }
  }

  /**
   * Resolves at the headers and streams the body, which the caller must drain or destroy. The deadline covers the
   * headers only.
   */
  open(request: ProviderRequest & { readonly maxBytes: number }): Promise<StreamedResponse> {
    const { signal, maxBytes } = request;
    const silenceTimeoutMs = this.options.policy.timeoutMs;
    return this.#attempt(request, (timeoutMs, traceHeaders) =>
      openStream(this.#pool, this.#dispatchOptions(request, traceHeaders), {
        timeoutMs,
        silenceTimeoutMs,
        maxBytes,
        signal,
      }),
    );
  }

  // The retry loop is hand-written because a wait must fit into the rest of the deadline and end with the caller's
  // signal.
  async #attempt<Response extends BufferedResponse | StreamedResponse>(
    { method, signal, retries = this.options.policy.retries }: AttemptOptions,
    send: (timeoutMs: number, traceHeaders: Headers) => Promise<Response>,
  ): Promise<Response> {
    const { timeoutMs } = this.options.policy;
    let deadline: number | undefined;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      const turn = this.#slots.take(signal);
      if (turn) await turn;
      // Time spent waiting for a free slot does not count against the provider.
      deadline ??= performance.now() + timeoutMs;
      const startedAt = performance.now();
      const leftMs = deadline - startedAt;
      let outcome: Response | Error | undefined;
      try {
        const sendTraced = (headers: Headers) => this.#breaker.execute(() => send(leftMs, headers), signal);
        const { trace } = this.options;
        outcome = await (trace?.call({ method, origin: this.#base, attempt }, sendTraced) ?? sendTraced({}));
      } catch (thrown) {
        outcome = failureOf(thrown, signal);
      } finally {
        this.#slots.release();
        this.options.metrics?.requestEnded(outcomeLabel(outcome), (performance.now() - startedAt) / 1000);
      }
      const waitMs = retryDelayMs(outcome, attempt);
      if (waitMs === null || attempt >= retries || performance.now() + waitMs >= deadline) {
        if (outcome instanceof Error) throw outcome;
        return outcome;
      }
      if (!(outcome instanceof Error) && outcome.body instanceof Readable) outcome.body.destroy();
      await sleep(waitMs, undefined, { signal });
    }
  }

  #dispatchOptions({ method, path, headers }: ProviderRequest, traceHeaders: Headers): Dispatcher.DispatchOptions {
    return { method, path, headers: { ...this.options.headers, ...headers, ...traceHeaders } };
  }
}

/** @throws the signal's reason if the call was aborted */
function failureOf(thrown: unknown, signal: AbortSignal | undefined): Error {
  signal?.throwIfAborted();
  if (!(thrown instanceof BrokenCircuitError)) return toNetError(thrown);
  return new NetError('CIRCUIT_OPEN', 'too many calls failed in a row', { cause: thrown });
}

// The outcome label for metrics. undefined means that the caller aborted while the call waited.
function outcomeLabel(outcome: Error | BufferedResponse | StreamedResponse | undefined): string {
  if (outcome === undefined) return 'ABORTED';
  if (outcome instanceof NetError) return outcome.code;
  return outcome instanceof Error ? 'UNEXPECTED' : `${Math.floor(outcome.statusCode / 100)}xx`;
}

function isOutage(outcome: unknown): boolean {
  if (outcome instanceof NetError)
    return outcome.code === 'TIMEOUT' || outcome.code === 'CONNECTION' || outcome.code === 'BAD_RESPONSE';
  return (
    typeof outcome === 'object' && outcome !== null && 'statusCode' in outcome && Number(outcome.statusCode) >= 500
  );
}

// Returns how long to wait before the next attempt; null = the outcome is final.
function retryDelayMs(outcome: Error | BufferedResponse | StreamedResponse, attempt: number): number | null {
  const backoffMs = FIRST_BACKOFF_MS * 2 ** attempt * (0.5 + Math.random());
  if (outcome instanceof Error) {
    return outcome instanceof NetError && outcome.code === 'CONNECTION' ? backoffMs : null;
  }
  if (!RETRYABLE_STATUS.has(outcome.statusCode)) return null;
  return Math.max(backoffMs, retryAfterMs(outcome.headers['retry-after'], Date.now()) ?? 0);
}
