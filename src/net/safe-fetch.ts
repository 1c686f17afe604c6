import type { IncomingHttpHeaders } from 'node:http';
import type { LookupFunction } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import type { Agent, Dispatcher } from 'undici';
import { assertByteCount, byteLimit, silenceLimit, tooLarge } from './byte-limit.js';
import { createGuardedAgent } from './guarded-agent.js';
import { isError, NetError, toNetError } from './net-error.js';
import type { AddressPolicy } from './public-address.js';
import { judgeRedirect, judgeUrl } from './url-policy.js';

export interface SafeFetchOptions {
  readonly policy: AddressPolicy;
  /** From the call until the headers of the final response: name resolution, connections and redirects together. */
  readonly headersTimeoutMs: number;
  /** The longest pause within a body, while somebody reads it. */
  readonly silenceTimeoutMs: number;
  /** Redirects that are followed; the next one fails the call. Default 5. */
  readonly maxRedirects?: number;
  readonly userAgent: string;
  /** Resolves host names; the shape of `dns.lookup`, which is the default. */
  readonly lookup?: LookupFunction;
}

/** What may be said to a stranger's server: nothing that names us, our user, or a credential. */
const SENDABLE_HEADERS = [
  'accept',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
] as const;

export type SendableHeaders = Readonly<Partial<Record<(typeof SENDABLE_HEADERS)[number], string>>>;

export interface SafeFetchRequest {
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: SendableHeaders;
  readonly signal?: AbortSignal;
  /** For the whole call, body included, in milliseconds. Default: none beyond the two timeouts. */
  readonly deadlineMs?: number;
  readonly maxBytes: number;
}

export interface SafeFetchResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /**
   * The bytes as they came (`identity` was asked for; see `content-encoding`). Fails with a NetError or the abort's
   * reason rather than end early. The caller drains or destroys it; until then it holds a connection.
   */
  readonly body: Readable;
  /** Where the response came from, after redirects. */
  readonly url: URL;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const DEFAULT_MAX_REDIRECTS = 5;

/**
 * Fetches URLs that a stranger, or a provider's answer, names. Anonymous: no credentials, no cookies. Every hop is judged
 * by the policy, as text and as address. One instance per policy, because its connections were judged by that policy.
 */
export class SafeFetch {
  readonly #agent: Agent;

  constructor(private readonly options: SafeFetchOptions) {
    const { policy, headersTimeoutMs, lookup } = options;
    this.#agent = createGuardedAgent({ policy, connectTimeoutMs: headersTimeoutMs, lookup });
  }

  /**
   * Resolves at the headers of the first response that is no redirect, whatever its status.
   * @throws MediagraphError URL_NOT_ALLOWED for the URL, a `Location`, or an address that either leads to;
   *   NetError (every code but CIRCUIT_OPEN); the signal's reason; TypeError for a header that may not be sent; RangeError for `maxBytes`.
   */
  async open(url: string | URL, request: SafeFetchRequest): Promise<SafeFetchResponse> {
    const { policy, headersTimeoutMs, maxRedirects = DEFAULT_MAX_REDIRECTS } = this.options;
    const headers = this.#requestHeaders(request.headers ?? {});
    assertByteCount(request.maxBytes);
    const call = new CallClock(request.signal, headersTimeoutMs, request.deadlineMs);
    try {
      let target = judgeUrl(typeof url === 'string' ? url : url.href, policy);
      for (let followed = 0; ; followed++) {
        const response = await this.#send(target, request.method ?? 'GET', headers, call);
        if (!REDIRECTS.has(response.statusCode)) return this.#answer(response, request, target, call);
        discard(response.body);
        if (followed >= maxRedirects) {
          throw new NetError('TOO_MANY_REDIRECTS', `expected at most ${maxRedirects} redirects, got more`);
        }
        target = judgeRedirect(locationOf(response.headers), target, policy);
      }
    } catch (thrown) {
      call.end();
      throw call.reasonOr(thrown);
    }
  }

  /** Ends every connection, also those with a body under way. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #requestHeaders(given: SendableHeaders): Record<string, string> {
    // Checked at run time too: a spread object may carry more than its type says.
    const sendable: readonly string[] = SENDABLE_HEADERS;
    const refused = Object.keys(given).find((name) => !sendable.includes(name));
    if (refused !== undefined) throw new TypeError(`expected only ${sendable.join(', ')} as headers, got "${refused}"`);
    return { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': this.options.userAgent, ...given };
  }

  #send(
    target: URL,
    method: 'GET' | 'HEAD',
    headers: Record<string, string>,
    call: CallClock,
  ): Promise<Dispatcher.ResponseData> {
    call.throwIfAborted();
    const path = target.pathname + target.search;
    const sent = this.#agent.request({ origin: target.origin, path, method, headers, signal: call.signal });
    // undici notices an abort only once connected; a host that answers no SYN or a slow resolver must not hold the call.
    return call.orAbort(sent, (late) => discard(late.body));
  }

  #answer(response: Dispatcher.ResponseData, request: SafeFetchRequest, url: URL, call: CallClock): SafeFetchResponse {
    call.headersArrived();
    const { statusCode, headers } = response;
    if (request.method === 'HEAD') {
      discard(response.body);
      call.end();
      return { statusCode, headers, body: Readable.from([], { objectMode: false }), url };
    }
    // An error page may be as long as it likes: its status matters more, and its bytes are limited below.
    if (statusCode < 300 && Number(headers['content-length'] ?? 0) > request.maxBytes) {
      discard(response.body);
      throw tooLarge(request.maxBytes);
    }
    return { statusCode, headers, body: this.#limited(response.body, request.maxBytes, call), url };
  }

  #limited(source: Readable, maxBytes: number, call: CallClock): Readable {
    const body = byteLimit(maxBytes);
    // First in line, so that the reader meets our error and not undici's, which `pipeline` would pass on.
    source.once('error', (error) => body.destroy(call.reasonOr(error)));
    call.onAbort((reason) => body.destroy(reason));
    // A caller may destroy or drop the body before it listens; an error must not end the process then.
    body.on('error', ignore).once('close', () => call.end());
    pipeline(source, silenceLimit(this.options.silenceTimeoutMs), body, ignore);
    return body;
  }
}

/** What can end a call from outside, its clocks and its caller's signal, as one signal; `end` leaves nothing behind. */
class CallClock {
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

function locationOf(headers: IncomingHttpHeaders): string {
  // Two Locations come as an array, against its type: which of them is meant is anybody's guess.
  const location: unknown = headers.location;
  if (typeof location === 'string' && location !== '') return location;
  throw new NetError('BAD_REDIRECT', 'expected a redirect to have one Location');
}

/** Ends a body that nobody reads, and its connection with it: the rest may be endless. */
function discard(body: Readable): void {
  body.on('error', ignore).destroy();
}

function ignore(): void {}
