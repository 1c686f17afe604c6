import type { FastifyReply } from 'fastify';
import { type ErrorCode, LinkFault, MediagraphError } from '../model/errors.js';
import { NetError } from '../streams/net-error.js';

/** The status of each code where an error is a whole answer; in GraphQL it stands inside a 200. */
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

const DEFAULT_RETRY_AFTER_S = 5;

export function statusOf(error: MediagraphError): number {
  // A provider that says nothing is a gateway timeout, one that says 503 is unavailable: one code, two statuses.
  if (error.cause instanceof NetError && error.cause.code === 'TIMEOUT') return 504;
  if (error.code === 'BAD_USER_INPUT') return refusedStatus(error.cause) ?? 400;
  // What is ours to mend and passes by itself: the catalogue is away.
  if (error.code === 'INTERNAL_SERVER_ERROR' && error.details.retryable) return 503;
  const status = STATUS_OF_CODE[error.code];
  if (!(error instanceof LinkFault) || status >= 500) return status;
  return error.code === 'MEDIA_NOT_READY' ? 503 : 502;
}

/** Fastify's own word for why it refused a request: 413, 415 … */
function refusedStatus(cause: unknown): number | null {
  return cause instanceof Error && 'statusCode' in cause && typeof cause.statusCode === 'number'
    ? cause.statusCode
    : null;
}

/** `{"error":{"code","message","requestId"}}`, never cached. Anything unexpected leaves as INTERNAL_SERVER_ERROR. */
export function sendError(reply: FastifyReply, thrown: unknown): FastifyReply {
  const error = asMediagraphError(thrown);
  const status = statusOf(error);
  if (status >= 500) reply.log.warn({ err: thrown, code: error.code }, 'request failed');
  if (status === 409 || status === 429 || status === 503) {
    reply.header('retry-after', Math.ceil((error.details.retryAfterMs ?? DEFAULT_RETRY_AFTER_S * 1000) / 1000));
  }
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return (
    reply
      .code(status)
      .header('cache-control', 'no-store')
      .header('x-content-type-options', 'nosniff')
      // Nothing in it is meant to be rendered, whatever a provider's claim in its message looks like.
      .header('content-security-policy', "sandbox; default-src 'none'")
      .type('application/json; charset=utf-8')
      .send({ error: { code: error.code, message: error.message, requestId: reply.request.id } })
  );
}

function asMediagraphError(thrown: unknown): MediagraphError {
  if (thrown instanceof MediagraphError) return thrown;
  return new MediagraphError(
    'INTERNAL_SERVER_ERROR',
    'internal error; the request id finds it in the log',
    {},
    { cause: thrown },
  );
}
