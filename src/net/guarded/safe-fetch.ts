import type { IncomingHttpHeaders } from 'node:http';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { SpanKind } from '@opentelemetry/api';
import type { Agent, Dispatcher } from 'undici';
import { assertByteCount, tooLarge } from '../../streams/byte-limit.js';
import { CallClock } from '../../streams/call-clock.js';
import { discard, limitBody } from '../../streams/limited-body.js';
import { isLostConnection, NetError } from '../../streams/net-error.js';
import { inSpan } from '../../telemetry/spans.js';
import { announcesMoreThan } from '../client/streamed-response.js';
import { withoutCodings } from '../content-coding.js';
import { REDIRECT_STATUSES } from '../redirect-statuses.js';
import { createGuardedAgent } from './guarded-agent.js';
import type { AddressPolicy } from './public-address.js';
import { judgeRedirect, judgeUrl } from './url-policy.js';

export interface SafeFetchOptions {
  readonly policy: AddressPolicy;
  /** Limits the time until the headers of the final response: name resolution, connections and redirects together. */
  readonly headersTimeoutMs: number;
  /** The longest pause within a body while the consumer reads. */
  readonly silenceTimeoutMs: number;
  /** Maximum number of followed redirects; one more fails the call. Default 5. */
  readonly maxRedirects?: number;
  readonly userAgent: string;
  /** Resolves host names, with the signature of `dns.lookup`, which is the default. */
  readonly lookup?: LookupFunction;
}

/** Headers that may be sent to an untrusted server: none identifies this service, its users or a credential. */
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
  /** Limits the whole call, including the body, in milliseconds. Default: only the two timeouts apply. */
  readonly deadlineMs?: number;
  readonly maxBytes: number;
}

export interface SafeFetchResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /**
   * The body, {@link withoutCodings}. It fails with a NetError or the abort's reason rather than end early. The caller
   * must drain or destroy it; until then it holds a connection.
   */
  readonly body: Readable;
  /** The URL of the response after redirects. */
  readonly url: URL;
}

const DEFAULT_MAX_REDIRECTS = 5;

/**
 * Fetches untrusted URLs, from callers and from providers' answers. It sends no credentials and no cookies. The policy
 * judges every hop as text and as an address. Use one instance per policy, because open connections were judged by that
 * policy.
 */
export class SafeFetch {
  readonly #agent: Agent;

  constructor(private readonly options: SafeFetchOptions) {
    const { policy, headersTimeoutMs, lookup } = options;
    this.#agent = createGuardedAgent({ policy, connectTimeoutMs: headersTimeoutMs, lookup });
  }

  /**
   * Resolves at the headers of the first response that is no redirect, on every status.
   * @throws MediagraphError URL_NOT_ALLOWED for the URL, a `Location`, or an address of either; NetError (every code
   *   but CIRCUIT_OPEN); the signal's reason; TypeError for a header that may not be sent; RangeError for `maxBytes`.
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
        if (!REDIRECT_STATUSES.has(response.statusCode)) return this.#answer(response, request, target, call);
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

  /** Closes all connections, including those with a body in progress. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Closes the connections when the requests in progress have ended. Later requests fail. Never rejects. */
  async closeWhenIdle(): Promise<void> {
    // It rejects if `close` comes first.
    await this.#agent.close().catch(() => {});
  }

  #requestHeaders(requested: SendableHeaders): Record<string, string> {
    // Checked at run time too: a spread object may have more keys than its type.
    const sendable: readonly string[] = SENDABLE_HEADERS;
    const refused = Object.keys(requested).find((name) => !sendable.includes(name));
    if (refused !== undefined) throw new TypeError(`expected only ${sendable.join(', ')} as headers, got "${refused}"`);
    return { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': this.options.userAgent, ...requested };
  }

  // A server may close a keep-alive connection at the moment of reuse; a client may then retry once (RFC 9112 section
  // 9.3.1).
  async #send(
    target: URL,
    method: 'GET' | 'HEAD',
    headers: Record<string, string>,
    call: CallClock,
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await this.#sendTraced(target, method, headers, call);
    } catch (thrown) {
      if (!isLostConnection(thrown)) throw thrown;
      return await this.#sendTraced(target, method, headers, call);
    }
  }

  /** The address is not part of the span, because a caller or a provider chose it. */
  #sendTraced(
    target: URL,
    method: 'GET' | 'HEAD',
    headers: Record<string, string>,
    call: CallClock,
  ): Promise<Dispatcher.ResponseData> {
    const describe = () => ({ name: 'fetch', kind: SpanKind.CLIENT, attributes: { 'http.request.method': method } });
    return inSpan(describe, async (span) => {
      const response = await this.#sendOnce(target, method, headers, call);
      span.setAttribute('http.response.status_code', response.statusCode);
      return response;
    });
  }

  #sendOnce(
    target: URL,
    method: 'GET' | 'HEAD',
    headers: Record<string, string>,
    call: CallClock,
  ): Promise<Dispatcher.ResponseData> {
    call.throwIfAborted();
    const path = target.pathname + target.search;
    const sent = this.#agent.request({ origin: target.origin, path, method, headers, signal: call.signal });
    // undici notices an abort only after it has connected. A host that ignores SYN packets or a slow resolver must not
    // delay it.
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
    if (announcesMoreThan(request.maxBytes, statusCode, headers)) {
      discard(response.body);
      throw tooLarge(request.maxBytes);
    }
    const { silenceTimeoutMs } = this.options;
    const body = limitBody(response.body, { maxBytes: request.maxBytes, silenceTimeoutMs }, call);
    return withoutCodings({ statusCode, headers, body, url }, request.maxBytes);
  }
}

function locationOf(headers: IncomingHttpHeaders): string {
  // undici passes two Location headers as an array, against its type. Which one is meant is unknown.
  const location: unknown = headers.location;
  if (typeof location === 'string' && location !== '') return location;
  throw new NetError('BAD_REDIRECT', 'expected a redirect to have one Location');
}
