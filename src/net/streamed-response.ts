import type { IncomingHttpHeaders } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { byteLimit, silenceLimit, tooLarge } from './byte-limit.js';
import { NetError, toNetError } from './net-error.js';

/** Headers that came, and the bytes as they come. Whoever holds it drains or destroys `body`. */
export interface StreamedResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

export interface StreamLimits {
  /** Until the headers. */
  readonly timeoutMs: number;
  /** The longest pause within the body, while somebody reads it. */
  readonly silenceTimeoutMs: number;
  readonly maxBytes: number;
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
  { timeoutMs, silenceTimeoutMs, maxBytes, signal }: StreamLimits,
): Promise<StreamedResponse> {
  const controller = new AbortController();
  let reason: unknown = null;
  const abort = (why: unknown) => {
    reason ??= why;
    controller.abort(why);
  };
  const onCallerAbort = () => abort(signal?.reason);
  signal?.addEventListener('abort', onCallerAbort, { once: true });
  const release = () => signal?.removeEventListener('abort', onCallerAbort);
  const timer = setTimeout(() => abort(new NetError('TIMEOUT', `no headers within ${timeoutMs} ms`)), timeoutMs);
  try {
    const { statusCode, headers, body } = await dispatcher.request({ ...request, signal: controller.signal });
    if (statusCode < 300 && Number(headers['content-length'] ?? 0) > maxBytes) {
      body.on('error', () => {}).destroy();
      throw tooLarge(maxBytes);
    }
    const limited = byteLimit(maxBytes);
    // First in line, so that the reader meets our error and not undici's.
    body.once('error', (error) => limited.destroy(reason instanceof Error ? reason : toNetError(error)));
    limited.on('error', () => {}).once('close', release);
    pipeline(body, silenceLimit(silenceTimeoutMs), limited, () => {});
    return { statusCode, headers, body: limited };
  } catch (thrown) {
    release();
    throw reason ?? toNetError(thrown);
  } finally {
    clearTimeout(timer);
  }
}
