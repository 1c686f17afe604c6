import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { parseContentRange } from '../../model/byte-range.js';
import { tooLarge } from '../../streams/byte-limit.js';
import { CallClock } from '../../streams/call-clock.js';
import { type BodyLimits, discard, limitBody } from '../../streams/limited-body.js';
import { withoutCodings } from '../content-coding.js';

/** Headers and the body as a stream, {@link withoutCodings}. The holder must drain or destroy `body`. */
export interface StreamedResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

export interface StreamLimits extends BodyLimits {
  /** Limits the time until the headers. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Sends one request and resolves at the headers, on every HTTP status. Rejects with NetError TIMEOUT, CONNECTION,
 * BAD_RESPONSE or RESPONSE_TOO_LARGE (see {@link announcesMoreThan}), or with the signal's reason. The body fails with
 * the same errors rather than end early.
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
    if (announcesMoreThan(limits.maxBytes, statusCode, headers)) {
      discard(body);
      throw tooLarge(limits.maxBytes);
    }
    return withoutCodings({ statusCode, headers, body: limitBody(body, limits, call) }, limits.maxBytes);
  } catch (thrown) {
    call.end();
    throw call.reasonOr(thrown);
  }
}

/**
 * Whether the headers announce a media above the limit, also if this response holds only a part of it. An error
 * response never does: its status matters more, and its bytes are limited as they arrive.
 */
export function announcesMoreThan(maxBytes: number, statusCode: number, headers: IncomingHttpHeaders): boolean {
  if (statusCode >= 300) return false;
  const whole = statusCode === 206 ? parseContentRange(headers['content-range'])?.sizeBytes : null;
  return Number(whole ?? headers['content-length'] ?? 0) > maxBytes;
}
