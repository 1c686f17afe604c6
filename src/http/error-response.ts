import type { FastifyReply } from 'fastify';
import { type ErrorCode, LinkFault, MediagraphError } from '../model/errors.js';
import { NetError } from '../streams/net-error.js';

/** The status of an answer that is an error. In GraphQL, an error of a field stands in an answer with status 200. */
const STATUS_OF_CODE = {
  BAD_USER_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  MEDIA_NOT_FOUND: 404,
  MEDIA_NOT_READY: 409,
  MEDIA_GONE: 410,
  CHANNEL_NOT_FOUND: 404,
  URL_NOT_ALLOWED: 502,
  MESSAGE_NOT_FOUND: 404,
  SOURCE_FAILED: 502,
  SOURCE_TIMEOUT: 504,
  MEDIA_TOO_LARGE: 502,
  CONTENT_TYPE_NOT_ALLOWED: 415,
  IDEMPOTENCY_CONFLICT: 409,
  CAPABILITY_UNSUPPORTED: 400,
  PROVIDER_REJECTED: 502,
  PROVIDER_CREDENTIALS: 502,
  PROVIDER_RATE_LIMITED: 503,
  PROVIDER_UNAVAILABLE: 503,
  PROVIDER_PROTOCOL: 502,
  RATE_LIMITED: 429,
  QUERY_TOO_COMPLEX: 400,
  SIGNATURE_INVALID: 403,
  URL_EXPIRED: 403,
  WEBHOOK_REJECTED: 401,
  INTERNAL_SERVER_ERROR: 500,
} as const satisfies Record<ErrorCode, number>;

const DEFAULT_RETRY_AFTER_MS = 5_000;

export function statusOf(error: MediagraphError): number {
  // A provider that does not answer and one that answers 503 have the same code, but a timeout has a status of its own.
  if (error.cause instanceof NetError && error.cause.code === 'TIMEOUT') return 504;
  if (error.code === 'BAD_USER_INPUT') return refusedStatus(error.cause) ?? 400;
  // A retryable internal error, such as an unreachable database, ends without a change to the request.
  if (error.code === 'INTERNAL_SERVER_ERROR' && error.details.retryable) return 503;
  const status = STATUS_OF_CODE[error.code];
  if (!(error instanceof LinkFault) || status >= 500) return status;
  return error.code === 'MEDIA_NOT_READY' ? 503 : 502;
}

/** The status with which Fastify refused a request, such as 413 or 415. */
function refusedStatus(cause: unknown): number | null {
  return cause instanceof Error && 'statusCode' in cause && typeof cause.statusCode === 'number'
    ? cause.statusCode
    : null;
}

/** The message of every unexpected error: its own may hold anything. */
export const INTERNAL_ERROR_MESSAGE = 'internal error; the request id finds it in the log';

/**
 * Answers with `{"error":{"code","message","requestId"}}`, which no cache keeps. An unexpected error is reported as
 * INTERNAL_SERVER_ERROR.
 */
export function sendError(reply: FastifyReply, thrown: unknown): FastifyReply {
  const error = asMediagraphError(thrown);
  const status = statusOf(error);
  if (status >= 500) reply.log.warn({ err: thrown, code: error.code }, 'request failed');
  setErrorHeaders(reply, error, status);
  return (
    reply
      .code(status)
      .header('cache-control', 'no-store')
      .header('x-content-type-options', 'nosniff')
      // The message may quote a provider, and a browser must not render it.
      .header('content-security-policy', "sandbox; default-src 'none'")
      .type('application/json; charset=utf-8')
      .send({ error: { code: error.code, message: error.message, requestId: reply.request.id } })
  );
}

/** The headers that tell a client what to do about an error: `WWW-Authenticate`, `Retry-After`. */
export function setErrorHeaders(reply: FastifyReply, error: MediagraphError, status: number): void {
  if (status === 409 || status === 429 || status === 503) {
    reply.header('retry-after', retryAfterSeconds(error));
  }
  if (status === 401) reply.header('www-authenticate', 'Bearer');
}

/** The value of `Retry-After`: whole seconds, at least one. */
export function retryAfterSeconds({ details }: MediagraphError): number {
  return Math.max(1, Math.ceil((details.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS) / 1000));
}

export function asMediagraphError(thrown: unknown): MediagraphError {
  if (thrown instanceof MediagraphError) return thrown;
  return new MediagraphError('INTERNAL_SERVER_ERROR', INTERNAL_ERROR_MESSAGE, {}, { cause: thrown });
}
