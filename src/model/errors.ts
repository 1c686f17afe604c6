import type { ChannelId, ProviderName } from './channel.js';

/** Every code that a caller can meet: `extensions.code` in GraphQL, `error.code` in JSON bodies. */
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

/** What a caller may learn besides code and message; nothing here names hosts, addresses or credentials. */
export interface ErrorDetails {
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly provider?: ProviderName;
  readonly channelId?: ChannelId;
  /** The provider's HTTP status. */
  readonly upstreamStatus?: number;
  /** The provider's own error code, cut to a harmless token. */
  readonly upstreamCode?: string;
  readonly upstreamRequestId?: string;
}

/**
 * What callers do wrong, a hundred thousand times in one request if they like. A stack
 * tells nothing of them, and is most of what an error costs.
 */
const CALLERS_FAULTS: ReadonlySet<ErrorCode> = new Set([
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'CHANNEL_NOT_FOUND',
  'MESSAGE_NOT_FOUND',
  'QUERY_TOO_COMPLEX',
  'SIGNATURE_INVALID',
  'URL_EXPIRED',
]);

/**
 * The one error that crosses rooms on purpose. `message` is written for callers: it says what was expected and what
 * came, and holds no host name, address, credential or provider body; those stay in `cause`, which is never sent.
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
    if (CALLERS_FAULTS.has(code)) Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = limit;
  }
}

/**
 * A fault behind a link that was given out for READY media. It is the provider's or this server's, whatever its code means
 * elsewhere, so that its HTTP status is never below 500.
 */
export class LinkFault extends MediagraphError {
  constructor(error: MediagraphError) {
    super(error.code, error.message, error.details, { cause: error.cause ?? error });
  }
}

/** Any thrown value as an Error, for places that must hand one on (a DataLoader batch). */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error
    ? thrown
    : new Error(`expected an Error to be thrown, got ${typeof thrown}`, { cause: thrown });
}
