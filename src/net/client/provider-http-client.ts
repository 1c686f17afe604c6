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
import { parseUrl } from '../../model/parse-url.js';
import { NetError, toNetError } from '../../streams/net-error.js';
import { Slots } from '../../streams/slots.js';
import type { ProviderMetrics } from '../../telemetry/metrics.js';
import type { ProviderTrace } from '../../telemetry/tracing.js';
import { type BufferedResponse, dispatchBuffered } from './buffered-response.js';
import type { OriginPools } from './origin-pools.js';
import { retryAfterMs } from './retry-after.js';
import { type RequestBody, sendBody } from './sent-body.js';
import { openStream, type StreamedResponse } from './streamed-response.js';

/** How long, how often and how many at once; from `providers.<name>` of the configuration. */
export interface CallPolicy {
  /** Until a call's headers, all its attempts together, and of silence within a streamed body. */
  readonly timeoutMs: number;
  /** Attempts after the first; only for calls that may be repeated. */
  readonly retries: number;
  /** Calls under way at once, for one channel. */
  readonly maxConcurrency: number;
}

export interface ProviderHttpClientOptions {
  /** The channel's base URL, or an origin of its media. Origin and path prefix are the only place that `headers` go to. */
  readonly baseUrl: string;
  /** Credentials and whatever else each call carries. */
  readonly headers: Readonly<Record<string, string>>;
  readonly policy: CallPolicy;
  /** Cap of a buffered answer. */
  readonly maxResponseBytes?: number;
  readonly pools: OriginPools;
  readonly metrics?: ProviderMetrics;
  readonly trace?: ProviderTrace;
}

export interface ProviderRequest {
  /** What may be repeated: RFC 9110 section 9.2.2. */
  readonly method: 'GET' | 'DELETE';
  /** Path and query as the origin gets them: made by `pathOf` or passed by `pathWithin`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Attempts after the first, where the provider counts each; the policy's unless given. */
  readonly retries?: number;
}

export interface ProviderPost {
  readonly path: string;
  readonly body: RequestBody;
  readonly signal?: AbortSignal;
  /** Of silence, where the provider has more to do than to answer; the policy's timeout unless given. */
  readonly silenceMs?: number;
}

type Headers = Readonly<Record<string, string>>;

interface Attempted extends Pick<ProviderRequest, 'signal' | 'retries'> {
  readonly method: ProviderRequest['method'] | 'POST';
}

const DEFAULT_MAX_RESPONSE_BYTES = 2_000_000;
const RETRYABLE_STATUS = new Set([429, 500, 502, 503, 504]);
const FIRST_BACKOFF_MS = 100;
const CONSECUTIVE_FAILURES_TO_OPEN = 10;
const HALF_OPEN_BACKOFF = { initialDelay: 1_000, maxDelay: 30_000 };

/**
 * Calls one channel's API with its credentials. Redirects are answers like any other: read, never followed.
 *
 * Every call passes the channel's concurrency bound and circuit breaker. What may be repeated has one deadline for all its
 * attempts, and is repeated after a 429, a 5xx or a lost connection as long as the deadline allows, waiting as
 * `Retry-After` says (RFC 9110 section 10.2.3). Resolves on every final HTTP status; rejects a {@link NetError} or the
 * signal's reason, and a POST also with what is wrong with its body.
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

  /** The path of a resource below the base URL; every segment is encoded, so that an id cannot add one. */
  pathOf(...segments: readonly string[]): string {
    return `${this.#prefix}/${segments.map(encodeURIComponent).join('/')}`;
  }

  /**
   * The path of an address that the provider's answer named, if credentials may go there: same origin, and below
   * `parentPath` (a path made by `pathOf`). null otherwise.
   */
  pathWithin(address: string, parentPath: string): string | null {
    const url = parseUrl(address, this.#base.origin);
    if (!url || url.origin !== this.#base.origin || url.username || url.password) return null;
    const within = url.pathname === parentPath || url.pathname.startsWith(`${parentPath}/`);
    // An encoded slash or dot would be judged as one segment here and split by the server.
    return within && !/%2e|%2f|%5c/i.test(url.pathname) ? url.pathname + url.search : null;
  }

  /** The whole address of a path made by `pathOf` or passed by `pathWithin`. */
  addressOf(path: string): string {
    return this.#base.origin + path;
  }

  /** A whole answer in memory, capped. */
  request(request: ProviderRequest): Promise<BufferedResponse> {
    const { maxResponseBytes: maxBytes = DEFAULT_MAX_RESPONSE_BYTES } = this.options;
    return this.#attempt(request, (timeoutMs, traced) =>
      dispatchBuffered(this.#pool, this.#dispatchOptions(request, traced), {
        timeoutMs,
        maxBytes,
        signal: request.signal,
      }),
    );
  }

  /**
   * Sends a body once: never again, not even after a lost connection, since the provider may have taken it. Silence
   * bounds the call and not its length, see {@link sendBody}. The body has ended when this settles.
   */
  async post({
    path,
    body,
    signal,
    silenceMs = this.options.policy.timeoutMs,
  }: ProviderPost): Promise<BufferedResponse> {
    const { headers, maxResponseBytes: maxBytes = DEFAULT_MAX_RESPONSE_BYTES } = this.options;
    try {
      return await this.#attempt({ method: 'POST', signal, retries: 0 }, (_timeoutMs, traced) =>
        sendBody(this.#pool, { method: 'POST', path, headers: { ...headers, ...traced } }, body, {
          silenceMs,
          maxBytes,
          signal,
        }),
      );
    } finally {
      body.destroy();
    }
  }

  /** Headers now, bytes as they come; the caller drains or destroys `body`. The deadline is that of the headers. */
  open(request: ProviderRequest & { readonly maxBytes: number }): Promise<StreamedResponse> {
    const { signal, maxBytes } = request;
    const silenceTimeoutMs = this.options.policy.timeoutMs;
    return this.#attempt(request, (timeoutMs, traced) =>
      openStream(this.#pool, this.#dispatchOptions(request, traced), { timeoutMs, silenceTimeoutMs, maxBytes, signal }),
    );
  }

  // Private: the retry loop. Ours, because the wait must fit into what is left of the deadline and end with the caller.
  async #attempt<Response extends BufferedResponse | StreamedResponse>(
    { method, signal, retries = this.options.policy.retries }: Attempted,
    send: (timeoutMs: number, traced: Headers) => Promise<Response>,
  ): Promise<Response> {
    const { timeoutMs } = this.options.policy;
    let deadline: number | undefined;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      const turn = this.#slots.take(signal);
      if (turn) await turn;
      // Time spent waiting for a free slot is ours, not the provider's.
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
        this.options.metrics?.requestEnded(wordFor(outcome), (performance.now() - startedAt) / 1000);
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

  #dispatchOptions({ method, path, headers }: ProviderRequest, traced: Headers): Dispatcher.DispatchOptions {
    return { method, path, headers: { ...this.options.headers, ...headers, ...traced } };
  }
}

/** @throws the signal's reason, if that is why the call failed */
function failureOf(thrown: unknown, signal: AbortSignal | undefined): Error {
  signal?.throwIfAborted();
  if (!(thrown instanceof BrokenCircuitError)) return toNetError(thrown);
  return new NetError('CIRCUIT_OPEN', 'too many calls failed in a row', { cause: thrown });
}

// Private: for metrics; no outcome is a caller who did not wait for it.
function wordFor(outcome: Error | BufferedResponse | StreamedResponse | undefined): string {
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

// Private: how long to wait before the next attempt; null = this outcome is final.
function retryDelayMs(outcome: Error | BufferedResponse | StreamedResponse, attempt: number): number | null {
  const backoffMs = FIRST_BACKOFF_MS * 2 ** attempt * (0.5 + Math.random());
  if (outcome instanceof Error) {
    return outcome instanceof NetError && outcome.code === 'CONNECTION' ? backoffMs : null;
  }
  if (!RETRYABLE_STATUS.has(outcome.statusCode)) return null;
  return Math.max(backoffMs, retryAfterMs(outcome.headers['retry-after'], Date.now()) ?? 0);
}
