import type { ChannelId, ProviderName } from './channel.js';

/** Every error code of the API: `extensions.code` in GraphQL, `error.code` in JSON bodies. */
export const ERROR_CODES = [
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'MEDIA_NOT_FOUND',
  'MEDIA_NOT_READY',
  'MEDIA_GONE',
  'CHANNEL_NOT_FOUND',
  'URL_NOT_ALLOWED',
  'MESSAGE_NOT_FOUND',
  'SOURCE_FAILED',
  'SOURCE_TIMEOUT',
  'MEDIA_TOO_LARGE',
  'CONTENT_TYPE_NOT_ALLOWED',
  'IDEMPOTENCY_CONFLICT',
  'CAPABILITY_UNSUPPORTED',
  'PROVIDER_REJECTED',
  'PROVIDER_CREDENTIALS',
  'PROVIDER_RATE_LIMITED',
  'PROVIDER_UNAVAILABLE',
  'PROVIDER_PROTOCOL',
  'RATE_LIMITED',
  'QUERY_TOO_COMPLEX',
  'SIGNATURE_INVALID',
  'URL_EXPIRED',
  'WEBHOOK_REJECTED',
  'INTERNAL_SERVER_ERROR',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an error discloses besides code and message. No field holds a host, an address or a credential. */
export interface ErrorDetails {
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly provider?: ProviderName;
  readonly channelId?: ChannelId;
  /** The provider's HTTP status. */
  readonly upstreamStatus?: number;
  /** The provider's own error code, if it consists of harmless characters only. */
  readonly upstreamCode?: string;
  readonly upstreamRequestId?: string;
}

/**
 * Errors that a caller causes, possibly a hundred thousand times in one request. They are created without a stack: it
 * says nothing about the caller's fault and makes up most of an error's cost.
 */
const CALLER_FAULT_CODES: ReadonlySet<ErrorCode> = new Set([
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'CHANNEL_NOT_FOUND',
  'MESSAGE_NOT_FOUND',
  'QUERY_TOO_COMPLEX',
  'RATE_LIMITED',
  'SIGNATURE_INVALID',
  'URL_EXPIRED',
]);

/**
 * The error type of the public API, thrown by every room. `message` is written for callers: it says what was expected
 * and what came instead, and holds no host, address, credential or provider body. Those stay in `cause`, which is never
 * sent.
 */
export class MediagraphError extends Error {
  override readonly name = 'MediagraphError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: { cause?: unknown },
  ) {
    const limit = Error.stackTraceLimit;
    if (CALLER_FAULT_CODES.has(code)) Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = limit;
  }
}

/**
 * A failure to serve a link to READY media. The provider or this server causes it, whatever the code means elsewhere,
 * so its HTTP status is never below 500.
 */
export class LinkFault extends MediagraphError {
  constructor(error: MediagraphError) {
    super(error.code, error.message, error.details, { cause: error.cause ?? error });
  }
}

/** Turns any thrown value into an Error, for APIs that take only Errors (a DataLoader batch). */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error
    ? thrown
    : new Error(`expected an Error to be thrown, got ${typeof thrown}`, { cause: thrown });
}
