import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import { type ErrorCode, type ErrorDetails, MediagraphError } from '../../model/errors.js';
import type { BufferedResponse } from '../../net/client/buffered-response.js';
import { retryAfterMs } from '../../net/client/retry-after.js';
import { NetError } from '../../streams/net-error.js';
import type { AbsenceVerdict } from './absences.js';
import { graphVerdict, type RefusalVerdict, regainAccessMs } from './graph-error.js';
import type { HeardRefusal } from './refusal-log.js';

/** What a provider's error body told, in its own words; adapters read it from their envelope. */
export interface UpstreamFault {
  readonly code?: string;
  readonly requestId?: string;
  /** What its own words mean, where they say more than the status. */
  readonly verdict?: RefusalVerdict;
}

type FaultReader = (response: BufferedResponse) => UpstreamFault;

const NO_MORE_BYTES = 'expected the bytes of this media, got word of the provider that it no longer has them';
/** A time beyond this is a mistake, and would silence a media for as long. */
const LONGEST_WAIT_MS = 24 * 60 * 60 * 1000;
/** "Request Timeout", "Too Early" (RFC 9110 section 15.5.9, RFC 8470 section 5.2): asked again, they may pass. */
const PASSING: ReadonlySet<number> = new Set([408, 425]);

/**
 * The one seam where a provider's failures become ours. Messages say what was asked and what kind of answer came, never
 * the answer itself: bodies, hosts and credentials stay behind. The provider's words go to the operator's log.
 */
export class ProviderFaults {
  /** @param onRefusal hears every refusal, with its body */
  constructor(
    private readonly channel: Channel,
    private readonly readFault: FaultReader,
    private readonly onRefusal: (refusal: HeardRefusal) => void = ignore,
  ) {}

  /** A refusal that the adapter has no better word for. Its body decides where it is Meta's, then its status. */
  ofStatus(response: BufferedResponse, asked: string): MediagraphError {
    this.heard(response, asked);
    const details = this.detailsOf(response);
    const verdict = graphVerdict(response) ?? this.readFault(response).verdict ?? null;
    return this.#ofVerdict(verdict, response, asked, details) ?? this.#byStatus(response, asked, details);
  }

  /** A refusal that the adapter has a better word for: the operator's log gets the provider's own. */
  heard(response: BufferedResponse, asked: string): void {
    this.onRefusal({ asked, response });
  }

  /** What a caller may learn of a refusal besides our words. */
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
    asked: string,
    details: ErrorDetails,
  ): MediagraphError | null {
    switch (verdict) {
      case 'throttled':
        return this.#throttled(response, asked, details);
      case 'temporary':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${asked}, got a status ${response.statusCode} from the provider, for a while`,
          {
            ...details,
            ...waitTold(response),
            retryable: true,
          },
        );
      case 'operator':
        return this.#credentials(asked, details);
      default:
        return null;
    }
  }

  #byStatus(response: BufferedResponse, asked: string, details: ErrorDetails): MediagraphError {
    const { statusCode } = response;
    if (statusCode === 401 || statusCode === 403) return this.#credentials(asked, details);
    if (statusCode === 429) return this.#throttled(response, asked, details);
    if (statusCode >= 500 || PASSING.has(statusCode)) {
      return this.error('PROVIDER_UNAVAILABLE', `expected ${asked}, got a status ${statusCode} from the provider`, {
        ...details,
        ...waitTold(response),
        retryable: true,
      });
    }
    if (statusCode >= 400) {
      return this.error(
        'PROVIDER_REJECTED',
        `expected ${asked}, got a refusal of the provider with status ${statusCode}`,
        details,
      );
    }
    return this.protocol(asked, `an unexpected status ${statusCode}`, details);
  }

  #credentials(asked: string, details: ErrorDetails): MediagraphError {
    return this.error(
      'PROVIDER_CREDENTIALS',
      `expected ${asked}, got the provider's refusal of the channel's credentials`,
      details,
    );
  }

  #throttled(response: BufferedResponse, asked: string, details: ErrorDetails): MediagraphError {
    return this.error('PROVIDER_RATE_LIMITED', `expected ${asked}, got to the provider's rate limit`, {
      ...details,
      ...waitTold(response),
      retryable: true,
    });
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
    if (statusCode === 404 || statusCode === 410) return this.error('MEDIA_NOT_FOUND', NO_MORE_BYTES, details);
    if (statusCode < 500 && statusCode !== 429 && !PASSING.has(statusCode))
      return this.protocol('the bytes of a media', `a status ${statusCode}`, details);
    return this.error(
      'PROVIDER_UNAVAILABLE',
      `expected the bytes of a media, got a status ${statusCode} from the provider's media origin`,
      {
        ...details,
        ...waitTold({ headers }),
        retryable: true,
      },
    );
  }

  /** A media that the provider does not have: doubted, or said plainly and repeatedly. */
  absent(verdict: AbsenceVerdict, details: ErrorDetails = {}): MediagraphError {
    if (verdict.kind === 'gone') {
      return this.error('MEDIA_NOT_FOUND', NO_MORE_BYTES, { ...details, retryable: false });
    }
    const { retryAfterMs } = verdict;
    const message = 'expected the bytes of this media, got word of the provider that it does not have them (yet)';
    return this.error('MEDIA_NOT_FOUND', message, { ...details, retryable: true, retryAfterMs });
  }

  /** No call was made: one more failure could lock the account out. */
  lookupsLimited(waitMs: number, details: ErrorDetails = {}): MediagraphError {
    const message = "expected to look this media up, got to the provider's limit of failed media look-ups";
    return this.error('PROVIDER_RATE_LIMITED', message, { ...details, retryable: true, retryAfterMs: waitMs });
  }

  notFound(asked: string): MediagraphError {
    return this.error('MEDIA_NOT_FOUND', `expected ${asked}, got word of the provider that there is none`);
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
          `expected ${asked}, got no answer of the provider in time`,
          { retryable: true },
          thrown,
        );
      case 'CONNECTION':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${asked}, got no connection to the provider, or lost it`,
          { retryable: true },
          thrown,
        );
      case 'CIRCUIT_OPEN':
        return this.error(
          'PROVIDER_UNAVAILABLE',
          `expected ${asked}, got repeated failures of the provider, which is not asked for the moment`,
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
    return this.error(
      'MEDIA_TOO_LARGE',
      'expected a media of the size that this server hands on, got a larger one',
      {},
      thrown,
    );
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

/** How long a refusal asks to wait: by `Retry-After`, or by Meta's estimate, whichever is longer. */
function waitTold({ headers }: Pick<BufferedResponse, 'headers'>): Pick<ErrorDetails, 'retryAfterMs'> {
  const told = [retryAfterMs(headers['retry-after'], Date.now()), regainAccessMs(headers)].filter((ms) => ms !== null);
  return told.length === 0 ? {} : { retryAfterMs: Math.min(Math.max(...told), LONGEST_WAIT_MS) };
}

function ignore(): void {}

/** Runs one task per item; a task that fails gives its Error in its place. */
export function settleEach<Item, Result>(
  items: readonly Item[],
  task: (item: Item) => Promise<Result>,
  toFault: (thrown: unknown) => Error,
): Promise<Array<Result | Error>> {
  return Promise.all(items.map((item) => task(item).catch(toFault)));
}
