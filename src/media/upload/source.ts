import type { Readable } from 'node:stream';
import { type ErrorCode, type ErrorDetails, MediagraphError } from '../../model/errors.js';
import type { SafeFetch, SafeFetchResponse } from '../../net/guarded/safe-fetch.js';
import { readMediaHeaders } from '../../providers/toolkit/media-headers.js';
import { NetError } from '../../streams/net-error.js';

export interface SourceRequest {
  readonly url: string;
  readonly maxBytes: number;
  /** The maximum time for the whole download in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Bytes from a caller's URL. The holder drains or destroys `body` and passes its failures through {@link sourceFault}.
 */
export interface UploadSourceStream {
  readonly body: Readable;
  /** The type from the headers; null if they contain no valid type. */
  readonly declaredMimeType: string | null;
  /** The announced size; null if it is not announced or the body is compressed. */
  readonly sizeBytes: number | null;
  readonly filename: string | null;
}

/** @throws MediagraphError URL_NOT_ALLOWED, SOURCE_FAILED, SOURCE_TIMEOUT, MEDIA_TOO_LARGE; the signal's reason */
export async function openSource(fetch: SafeFetch, request: SourceRequest): Promise<UploadSourceStream> {
  const { url, maxBytes, timeoutMs: deadlineMs, signal } = request;
  let response: SafeFetchResponse;
  try {
    response = await fetch.open(url, { maxBytes, deadlineMs, signal });
  } catch (thrown) {
    throw sourceFault(thrown);
  }
  const { statusCode, body } = response;
  if (statusCode !== 200) {
    body.destroy();
    throw failed(`expected the source to answer 200, got ${statusCode}`, {
      upstreamStatus: statusCode,
      retryable: statusCode >= 500 || statusCode === 429,
    });
  }
  if (response.headers['content-encoding'] !== undefined) {
    body.destroy();
    throw failed('expected a body in no content coding, or in some of gzip, deflate and br, got another');
  }
  const { mimeType, sizeBytes, filename } = readMediaHeaders(response.headers);
  return { body, declaredMimeType: mimeType, sizeBytes, filename: filename ?? nameInPath(response.url) ?? null };
}

/** Translates a failure of the source into an error for callers. Other failures pass unchanged. */
export function sourceFault(thrown: unknown): unknown {
  if (!(thrown instanceof NetError)) return thrown;
  switch (thrown.code) {
    case 'TIMEOUT':
      return fault('SOURCE_TIMEOUT', 'expected the source to send its bytes in time', { retryable: true }, thrown);
    case 'RESPONSE_TOO_LARGE':
      return fault('MEDIA_TOO_LARGE', thrown.message, {}, thrown);
    case 'TOO_MANY_REDIRECTS':
    case 'BAD_REDIRECT':
      return failed(thrown.message, {}, thrown);
    case 'CONNECTION':
    case 'BAD_RESPONSE':
    case 'CIRCUIT_OPEN':
      return failed(thrown.message, { retryable: true }, thrown);
  }
}

function nameInPath({ pathname }: URL): string | null {
  const last = pathname.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(last) || null;
  } catch {
    return last;
  }
}

function failed(message: string, details: ErrorDetails = {}, cause?: unknown): MediagraphError {
  return fault('SOURCE_FAILED', message, details, cause);
}

function fault(code: ErrorCode, message: string, details: ErrorDetails, cause?: unknown): MediagraphError {
  return new MediagraphError(code, message, details, cause === undefined ? undefined : { cause });
}
