import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import { type ErrorCode, type ErrorDetails, MediagraphError } from '../../model/errors.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { retryAfterMs } from '../../net/client/retry-after.js';
import { NetError } from '../../streams/net-error.js';
import type { AbsenceVerdict } from './absences.js';
import { graphVerdict, type RefusalVerdict, regainAccessMs } from './graph-error.js';
import type { ProviderRefusal } from './refusal-log.js';

/** The content of a provider's error body. Adapters read it from the provider's own envelope. */
export interface UpstreamFault {
  readonly code?: string;
  readonly requestId?: string;
  /** The meaning of the error code, where it says more than the status. */
  readonly verdict?: RefusalVerdict;
}

type FaultReader = (response: BufferedResponse) => UpstreamFault;

const NO_MORE_BYTES = 'expected the bytes of this media, got the answer that the provider no longer has them';
/** A longer wait is taken for a mistake, since it would block a media for as long. */
export const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * 1000;
/** "Request Timeout" and "Too Early" are temporary (RFC 9110 section 15.5.9, RFC 8470 section 5.2). */
const TEMPORARY_STATUSES: ReadonlySet<number> = new Set([408, 425]);

/**
 * Translates a provider's failures to our errors; no other code does. Messages name the requested thing and the kind of
 * answer. They never contain the answer itself, a host or a credential. The provider's own text goes to the operator's
 * log.
 *
 * The parameter `subject` of its methods completes "expected …": the thing that the call was to return.
 */
export class ProviderFaults {
  /** @param onRefusal receives every refusal with its body */
  constructor(
    private readonly channel: Channel,
    private readonly readFault: FaultReader,
    private readonly onRefusal: (refusal: ProviderRefusal) => void = ignore,
  ) {}

  /**
   * Translates a refusal that needs no special error. An error code of Meta decides first, then the adapter's own
   * reading of the body, then the status.
   */
  ofStatus(response: BufferedResponse, subject: string): MediagraphError {
    this.logRefusal(response, subject);
    const details = this.detailsOf(response);
    const verdict = graphVerdict(response) ?? this.readFault(response).verdict ?? null;
    return this.#ofVerdict(verdict, response, subject, details) ?? this.#byStatus(response, subject, details);
  }

  /** Logs a refusal that the adapter translates itself. */
  logRefusal(response: BufferedResponse, subject: string): void {
    this.onRefusal({ subject, response });
  }

  /** The details of a refusal that callers may see. */
  detailsOf(response: BufferedResponse): ErrorDetails {
    const { code, requestId } = this.readFault(response);
    return {
      upstreamStatus: response.statusCode,
      ...(code !== undefined && { upstreamCode: code }),
      ...(requestId !== undefined && { upstreamRequestId: requestId }),
    };
  }

  #ofVerdict(
    verdict: RefusalVerdict | null,
    response: BufferedResponse,
    subject: string,
    details: ErrorDetails,
  ): MediagraphError | null {
    switch (verdict) {
      case 'throttled':
        return this.#throttled(response, subject, details);
      case 'temporary':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${subject}, got a temporary failure of the provider with status ${response.statusCode}`,
          {
            ...details,
            ...requestedWait(response),
            retryable: true,
          },
        );
      case 'operator':
        return this.#credentials(subject, details);
      default:
        return null;
    }
  }

  #byStatus(response: BufferedResponse, subject: string, details: ErrorDetails): MediagraphError {
    const { statusCode } = response;
    if (statusCode === 401 || statusCode === 403) return this.#credentials(subject, details);
    if (statusCode === 429) return this.#throttled(response, subject, details);
    if (statusCode >= 500 || TEMPORARY_STATUSES.has(statusCode)) {
      return this.error('PROVIDER_UNAVAILABLE', `expected ${subject}, got a status ${statusCode} from the provider`, {
        ...details,
        ...requestedWait(response),
        retryable: true,
      });
    }
    if (statusCode >= 400) {
      return this.error(
        'PROVIDER_REJECTED',
        `expected ${subject}, got a refusal by the provider with status ${statusCode}`,
        details,
      );
    }
    return this.protocol(subject, `an unexpected status ${statusCode}`, details);
  }

  #credentials(subject: string, details: ErrorDetails): MediagraphError {
    return this.error(
      'PROVIDER_CREDENTIALS',
      `expected ${subject}, got the provider's refusal of the channel's credentials`,
      details,
    );
  }

  #throttled(response: BufferedResponse, subject: string, details: ErrorDetails): MediagraphError {
    return this.error(
      'PROVIDER_RATE_LIMITED',
      `expected ${subject}, got a refusal because of the provider's rate limit`,
      {
        ...details,
        ...requestedWait(response),
        retryable: true,
      },
    );
  }

  /** An answer that contradicts the provider's documentation. */
  protocol(subject: string, came: string, details: ErrorDetails = {}, cause?: unknown): MediagraphError {
    return this.error(
      'PROVIDER_PROTOCOL',
      `expected the provider's documented answer for ${subject}, got ${came}`,
      details,
      cause,
    );
  }

  /**
   * Translates the status of a media origin. It is not the provider's API, so its body says nothing about the channel.
   */
  ofMediaUrlStatus(statusCode: number, headers: IncomingHttpHeaders): MediagraphError {
    const details = { upstreamStatus: statusCode };
    if (statusCode === 404 || statusCode === 410) return this.error('MEDIA_NOT_FOUND', NO_MORE_BYTES, details);
    if (statusCode < 500 && statusCode !== 429 && !TEMPORARY_STATUSES.has(statusCode))
      return this.protocol('the bytes of a media', `a status ${statusCode}`, details);
    return this.error(
      'PROVIDER_UNAVAILABLE',
      `expected the bytes of a media, got a status ${statusCode} from the provider's media origin`,
      {
        ...details,
        ...requestedWait({ headers }),
        retryable: true,
      },
    );
  }

  /** The error for a media that the provider does not have: doubtful or final. */
  absent(verdict: AbsenceVerdict, details: ErrorDetails = {}): MediagraphError {
    if (verdict.kind === 'gone') {
      return this.error('MEDIA_NOT_FOUND', NO_MORE_BYTES, { ...details, retryable: false });
    }
    const { retryAfterMs } = verdict;
    const message = 'expected the bytes of this media, got the answer that the provider does not have them (yet)';
    return this.error('MEDIA_NOT_FOUND', message, { ...details, retryable: true, retryAfterMs });
  }

  /** The error in place of a look-up that was not made, because one more failure could lock the account out. */
  lookupsLimited(waitMs: number, details: ErrorDetails = {}): MediagraphError {
    const message = "expected to look up this media, got no room within the provider's limit of failed look-ups";
    return this.error('PROVIDER_RATE_LIMITED', message, { ...details, retryable: true, retryAfterMs: waitMs });
  }

  notFound(subject: string): MediagraphError {
    return this.error('MEDIA_NOT_FOUND', `expected ${subject}, got the answer that there is none`);
  }

  /** Translates anything that a call threw. An error of ours only gains the names of provider and channel. */
  ofThrown(thrown: unknown, subject: string): Error {
    if (thrown instanceof MediagraphError) {
      return thrown.details.channelId === undefined
        ? this.error(thrown.code, thrown.message, thrown.details, thrown)
        : thrown;
    }
    if (!(thrown instanceof NetError))
      return thrown instanceof Error ? thrown : new Error('a call was abandoned', { cause: thrown });
    switch (thrown.code) {
      case 'TIMEOUT':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${subject}, got no answer from the provider in time`,
          { retryable: true },
          thrown,
        );
      case 'CONNECTION':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${subject}, got no connection to the provider, or a lost one`,
          { retryable: true },
          thrown,
        );
      case 'CIRCUIT_OPEN':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${subject}, got no call: after repeated failures, calls to the provider are paused`,
          { retryable: true },
          thrown,
        );
      case 'RESPONSE_TOO_LARGE':
        return this.protocol(subject, 'an answer above the size limit', {}, thrown);
      case 'BAD_RESPONSE':
        return this.protocol(subject, 'an answer that is not HTTP, or ends early', {}, thrown);
      case 'TOO_MANY_REDIRECTS':
      case 'BAD_REDIRECT':
        return this.protocol(subject, 'an invalid redirect', {}, thrown);
    }
  }

  /**
   * Like `ofThrown`, for a deletion. After a failure nothing has changed and the deletion may be repeated. The caller
   * must do so, since no job retries it.
   */
  ofDeletion(thrown: unknown, subject: string): Error {
    const error = this.ofThrown(thrown, subject);
    if (!(error instanceof MediagraphError) || error.details.retryable !== undefined) return error;
    return this.error(error.code, error.message, { ...error.details, retryable: true }, error.cause);
  }

  /** Like `ofThrown`, for a download: a body above the limit is the media's fault, not a protocol error. */
  ofDownload(thrown: unknown, subject: string): Error {
    if (!(thrown instanceof NetError) || thrown.code !== 'RESPONSE_TOO_LARGE') return this.ofThrown(thrown, subject);
    return this.error(
      'MEDIA_TOO_LARGE',
      'expected a media within the size limit of this server, got a larger one',
      {},
      thrown,
    );
  }

  /**
   * Parses a JSON body by its wire schema.
   * @throws MediagraphError PROVIDER_PROTOCOL
   */
  parse<Wire>(response: BufferedResponse, schema: z.ZodType<Wire>, subject: string): Wire {
    let json: unknown;
    try {
      json = JSON.parse(response.body.toString('utf8'));
    } catch (cause) {
      throw this.protocol(subject, 'a body that is not JSON', { upstreamStatus: response.statusCode }, cause);
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    const at = parsed.error.issues.map((issue) => issue.path.join('.') || '(root)').slice(0, 3);
    throw this.protocol(
      subject,
      `JSON of another shape at ${at.join(', ')}`,
      { upstreamStatus: response.statusCode },
      parsed.error,
    );
  }

  error(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown): MediagraphError {
    const { provider, id: channelId } = this.channel;
    return new MediagraphError(
      code,
      message,
      { ...details, provider, channelId },
      cause === undefined ? undefined : { cause },
    );
  }
}

/** How long a refusal asks to wait: the longer of `Retry-After` and Meta's estimate. */
function requestedWait({ headers }: Pick<BufferedResponse, 'headers'>): Pick<ErrorDetails, 'retryAfterMs'> {
  const waitsMs = [retryAfterMs(headers['retry-after'], Date.now()), regainAccessMs(headers)].filter(
    (ms) => ms !== null,
  );
  return waitsMs.length === 0 ? {} : { retryAfterMs: Math.min(Math.max(...waitsMs), MAX_RETRY_AFTER_MS) };
}

function ignore(): void {}

/** Runs one task per item. A failed task puts its Error in the item's place. */
export function settleEach<Item, Result>(
  items: readonly Item[],
  task: (item: Item) => Promise<Result>,
  toFault: (thrown: unknown) => Error,
): Promise<Array<Result | Error>> {
  return Promise.all(items.map((item) => task(item).catch(toFault)));
}
