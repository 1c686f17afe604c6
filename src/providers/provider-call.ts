import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Channel } from '../model/channel.js';
import { type ErrorCode, type ErrorDetails, MediagraphError } from '../model/errors.js';
import type { BufferedResponse } from '../net/buffered-response.js';
import { NetError } from '../net/net-error.js';
import { retryAfterMs } from '../net/retry-after.js';

/** What a provider's error body told, in its own words; adapters read it from their envelope. */
export interface UpstreamFault {
  readonly code?: string;
  readonly requestId?: string;
}

type FaultReader = (response: BufferedResponse) => UpstreamFault;

/**
 * The one seam where a provider's failures become ours. Messages say what was asked and what kind of answer came, never
 * the answer itself: bodies, hosts and credentials stay behind.
 */
export class ProviderFaults {
  constructor(
    private readonly channel: Channel,
    private readonly readFault: FaultReader,
  ) {}

  /** A status that the adapter has no better word for. */
  ofStatus(response: BufferedResponse, asked: string): MediagraphError {
    const { statusCode } = response;
    const { code, requestId } = this.readFault(response);
    const details: ErrorDetails = {
      upstreamStatus: statusCode,
      ...(code !== undefined && { upstreamCode: code }),
      ...(requestId !== undefined && { upstreamRequestId: requestId }),
    };
    if (statusCode === 401 || statusCode === 403) {
      return this.error('PROVIDER_CREDENTIALS', `the provider refused the channel's credentials for ${asked}`, details);
    }
    if (statusCode === 429) {
      const waitMs = retryAfterMs(response.headers['retry-after'], Date.now());
      const wait = waitMs === null ? {} : { retryAfterMs: waitMs };
      return this.error('PROVIDER_RATE_LIMITED', `the provider's rate limit was reached for ${asked}`, {
        ...details,
        ...wait,
        retryable: true,
      });
    }
    if (statusCode >= 500) {
      return this.error('PROVIDER_UNAVAILABLE', `the provider failed with status ${statusCode} for ${asked}`, {
        ...details,
        retryable: true,
      });
    }
    if (statusCode >= 400) {
      return this.error('PROVIDER_REJECTED', `the provider refused ${asked} with status ${statusCode}`, details);
    }
    return this.protocol(asked, `an unexpected status ${statusCode}`, details);
  }

  /** An answer that is not what the provider's documentation says. */
  protocol(asked: string, came: string, details: ErrorDetails = {}, cause?: unknown): MediagraphError {
    return this.error(
      'PROVIDER_PROTOCOL',
      `expected the provider's documented answer for ${asked}, got ${came}`,
      details,
      cause,
    );
  }

  /** A status of the place that the bytes were to come from; its words are not the provider's API's. */
  ofMediaUrlStatus(statusCode: number, headers: IncomingHttpHeaders): MediagraphError {
    const details = { upstreamStatus: statusCode };
    if (statusCode === 404 || statusCode === 410)
      return this.error('MEDIA_NOT_FOUND', 'the provider no longer has the bytes of this media', details);
    if (statusCode < 500 && statusCode !== 429)
      return this.protocol('the bytes of a media', `a status ${statusCode}`, details);
    const waitMs = retryAfterMs(headers['retry-after'], Date.now());
    const wait = waitMs === null ? {} : { retryAfterMs: waitMs };
    return this.error('PROVIDER_UNAVAILABLE', `the provider's media origin failed with status ${statusCode}`, {
      ...details,
      ...wait,
      retryable: true,
    });
  }

  notFound(asked: string): MediagraphError {
    return this.error('MEDIA_NOT_FOUND', `expected ${asked}, but the provider says that there is none`);
  }

  /** Whatever a call threw, as an Error of ours; what is ours already gains the channel's names. */
  ofThrown(thrown: unknown, asked: string): Error {
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
          `the provider did not answer in time for ${asked}`,
          { retryable: true },
          thrown,
        );
      case 'CONNECTION':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `the connection to the provider failed for ${asked}`,
          { retryable: true },
          thrown,
        );
      case 'CIRCUIT_OPEN':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `the provider failed repeatedly and is not asked for ${asked} for the moment`,
          { retryable: true },
          thrown,
        );
      case 'RESPONSE_TOO_LARGE':
        return this.protocol(asked, 'an answer above the size limit', {}, thrown);
      case 'BAD_RESPONSE':
        return this.protocol(asked, 'an answer that is not HTTP, or ends early', {}, thrown);
      case 'TOO_MANY_REDIRECTS':
      case 'BAD_REDIRECT':
        return this.protocol(asked, 'a redirect that leads nowhere', {}, thrown);
    }
  }

  /**
   * Like `ofThrown`, for a deletion: whatever the provider's reason was, nothing changed and it may be asked again, which
   * the caller has to do since nothing is queued.
   */
  ofDeletion(thrown: unknown, asked: string): Error {
    const error = this.ofThrown(thrown, asked);
    if (!(error instanceof MediagraphError) || error.details.retryable !== undefined) return error;
    return this.error(error.code, error.message, { ...error.details, retryable: true }, error.cause);
  }

  /** Like `ofThrown`, for bytes: too many of them are the media's fault, not the protocol's. */
  ofDownload(thrown: unknown, asked: string): Error {
    if (!(thrown instanceof NetError) || thrown.code !== 'RESPONSE_TOO_LARGE') return this.ofThrown(thrown, asked);
    return this.error('MEDIA_TOO_LARGE', 'the media is larger than this server hands on', {}, thrown);
  }

  /** The body as JSON that fits the wire schema. */
  parse<Wire>(response: BufferedResponse, schema: z.ZodType<Wire>, asked: string): Wire {
    let json: unknown;
    try {
      json = JSON.parse(response.body.toString('utf8'));
    } catch (cause) {
      throw this.protocol(asked, 'a body that is not JSON', { upstreamStatus: response.statusCode }, cause);
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    const at = parsed.error.issues.map((issue) => issue.path.join('.') || '(root)').slice(0, 3);
    throw this.protocol(
      asked,
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

/** A provider's own token (an error code, a request id) if it is one: short, and nothing but harmless characters. */
export function harmlessToken(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && /^[A-Za-z0-9_.:-]{1,128}$/.test(text) ? text : undefined;
}

/** Runs one task per item; a task that fails gives its Error in its place. */
export function settleEach<Item, Result>(
  items: readonly Item[],
  task: (item: Item) => Promise<Result>,
  toFault: (thrown: unknown) => Error,
): Promise<Array<Result | Error>> {
  return Promise.all(items.map((item) => task(item).catch(toFault)));
}
