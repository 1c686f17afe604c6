import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { tooLarge } from './byte-limit.js';
import { CallClock } from './call-clock.js';
import { type BodyLimits, discard, limitBody } from './limited-body.js';

/** Headers that came, and the bytes as they come. Whoever holds it drains or destroys `body`. */
export interface StreamedResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

export interface StreamLimits extends BodyLimits {
  /** Until the headers. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Sends one request and resolves at the headers, on every HTTP status. Rejects NetError TIMEOUT, CONNECTION,
 * BAD_RESPONSE, RESPONSE_TOO_LARGE (announced length above `maxBytes`), or the signal's reason; the body fails with the
 * same rather than end early.
 */
export async function openStream(
  dispatcher: Dispatcher,
  request: Dispatcher.RequestOptions,
  limits: StreamLimits,
): Promise<StreamedResponse> {
  const call = new CallClock(limits.signal, limits.timeoutMs, undefined);
  try {
    call.throwIfAborted();
    const sent = dispatcher.request({ ...request, signal: call.signal });
    const { statusCode, headers, body } = await call.orAbort(sent, (late) => discard(late.body));
    call.headersArrived();
    if (statusCode < 300 && Number(headers['content-length'] ?? 0) > limits.maxBytes) {
      discard(body);
      throw tooLarge(limits.maxBytes);
    }
    return { statusCode, headers, body: limitBody(body, limits, call) };
  } catch (thrown) {
    call.end();
    throw call.reasonOr(thrown);
  }
}
