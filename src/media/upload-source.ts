import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { type ErrorCode, type ErrorDetails, MediagraphError } from '../model/errors.js';
import { NetError } from '../net/net-error.js';
import type { SafeFetch, SafeFetchResponse } from '../net/safe-fetch.js';
import { readMediaHeaders } from '../providers/media-headers.js';

export interface SourceRequest {
  readonly url: string;
  readonly maxBytes: number;
  /** Of the fetch, in all. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A stranger's bytes on their way. Whoever holds it drains or destroys `body`; its failures go through {@link sourceFault}. */
export interface UploadSourceStream {
  readonly body: Readable;
  /** What its headers say; null = nothing, or nothing that is a type. */
  readonly declaredMimeType: string | null;
  /** null = not announced, or compressed. */
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
  const { mimeType, sizeBytes, filename } = readMediaHeaders(response.headers);
  const decoder = decoderOf(response);
  return {
    body: decoder ? decoded(body, decoder) : body,
    declaredMimeType: mimeType,
    sizeBytes: decoder ? null : sizeBytes,
    filename: filename ?? nameInPath(response.url) ?? null,
  };
}

/** What a source did wrong, in our words; what is not a source's failure comes back as it was thrown. */
export function sourceFault(thrown: unknown): unknown {
  if (isZlibError(thrown)) return failed('expected a body in its declared content coding, got another', {}, thrown);
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

// Private: no coding was accepted (`identity`), and some send one nevertheless (RFC 9110 section 8.4.1).
function decoderOf({ headers, body }: SafeFetchResponse): Transform | null {
  // Two headers come as a list, against the type, and mean two codings (RFC 9110 section 5.3).
  const coding = String(headers['content-encoding'] ?? 'identity')
    .trim()
    .toLowerCase();
  switch (coding) {
    case '':
    case 'identity':
      return null;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      body.destroy();
      throw failed('expected a body in no content coding, or gzip, deflate or br, got another');
  }
}

// Private: an error of either reaches the reader, and a reader that leaves ends both.
function decoded(body: Readable, decoder: Transform): Readable {
  return pipeline(body, decoder, () => {});
}

function isZlibError(thrown: unknown): boolean {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && /^(Z_|ERR__)/.test(String(thrown.code));
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
