import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { ByteRange, ByteSpan } from '../model/byte-range.js';
import type { ProviderName } from '../model/channel.js';
import type { MediagraphError } from '../model/errors.js';
import type { MediaDetails, MediaFault, MediaRef, ProviderMedia } from '../model/media.js';

export interface CallOptions {
  /** Aborts when the caller no longer needs the answer. The call then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * true for a background job. A job retries with growing pauses, so its call is never answered from a remembered
   * absence, and it may use the share of a provider's failure limit that is reserved for jobs.
   */
  readonly job?: boolean;
}

/** Limits the number of provider calls of one GraphQL operation. */
export interface ProviderCallAllowance {
  /**
   * Counts calls against the limit.
   * @returns how many of the requested calls may be made
   */
  grant(calls: number): number;
  /** The error QUERY_TOO_COMPLEX, returned in the place of each call beyond the limit. */
  readonly exhausted: Error;
}

export interface OpenMediaOptions extends CallOptions {
  /** The requested part. A provider may ignore it; `ByteStream.range` says which part was received. */
  readonly range?: ByteRange;
}

/** A stream of bytes from a provider. The holder must drain or destroy `body`. */
export interface ByteStream {
  /** Fails, rather than ends early or late, where its length is known. */
  readonly body: Readable;
  /** The origin's media type, essence in lower case, with parameters. It is not verified against the bytes. */
  readonly declaredMimeType: string | null;
  /** Size of the whole media, also if `body` is a part, as the origin announced it; null = not announced. */
  readonly sizeBytes: number | null;
  /** From the origin's Content-Disposition, unmodified. */
  readonly filename: string | null;
  readonly lastModified: Date | null;
  /**
   * The part of the media in `body`; null = all of it. A part starts where the request asked, and may end before the
   * requested end.
   */
  readonly range: ByteSpan | null;
}

/**
 * The requested range starts behind the end of the media. This is a normal outcome, not a failure: the media exists.
 */
export class RangeNotSatisfiable extends Error {
  override readonly name = 'RangeNotSatisfiable';

  /** @param sizeBytes size of the whole media; null = the provider did not say */
  constructor(readonly sizeBytes: number | null) {
    super(`expected a range of a media's bytes to start within its ${sizeBytes ?? 'unknown number of'} bytes`);
  }
}

/**
 * The port to one provider's API, for one channel. Implement it in `providers/<name>/adapter.ts` and add it to
 * `registry.ts`.
 *
 * A method that is present is the capability: leave out what the provider cannot do, and never throw "not implemented".
 * The contract suite (`test/support/adapter-contract.ts`) checks what this interface promises.
 *
 * A method rejects with a {@link MediagraphError} that names provider and channel; `toolkit/provider-call.ts` creates
 * it. Other rejections are {@link RangeNotSatisfiable}, the signal's own reason after an abort, and failures on this
 * server, such as an upload whose bytes cannot be read.
 *
 * `details.retryable` tells a background job whether to try again:
 *
 * - `true`: the failure may pass. The job retries until the provider's lifetime of the media ends, and waits at least
 *   `retryAfterMs`.
 * - `false`: the refusal is final. The job gives up.
 * - absent: the provider refused plainly, but once. The job tries a few times more before it gives up.
 *
 * Three codes have a special meaning. PROVIDER_CREDENTIALS needs the operator, so jobs continue to retry.
 * MEDIA_NOT_FOUND with `retryable: true` is doubtful: the media may be late, gone, or not permitted.
 * PROVIDER_RATE_LIMITED may come without a call when the failures that the provider tolerates are used up.
 */
export interface ProviderAdapter {
  readonly provider: ProviderName;
  /**
   * `one`: a message has at most one media, and the message id identifies it, even if the provider's media id appears
   * later or changes. `several`: each media needs the provider's media id.
   */
  readonly mediaPerMessage: 'one' | 'several';
  /**
   * Lists the media of messages. The ids are distinct. The result has one entry per id, in the same order: an empty
   * list means "none so far", and an Error fails that id only. The promise never rejects because of a single id.
   */
  listMedia?(messageIds: readonly string[], options: CallOptions): Promise<Array<readonly ProviderMedia[] | Error>>;
  /**
   * Returns why media known only from a listing cannot be fetched on this channel; null or an absent method means that
   * nothing prevents it. Every replica knows the answer within half a minute. Never rejects.
   */
  listedMediaFault?(): Promise<MediaFault | null>;
  /**
   * Checks with one GET that the provider accepts the channel's credentials. It changes nothing and is not retried, since
   * some providers lock an account out after repeated refusals. Resolves if the provider accepts them. Rejects with
   * PROVIDER_CREDENTIALS if it refuses them, and like the other methods if that remains unknown. Absent where the
   * provider has no such call.
   */
  checkCredentials?(options: CallOptions): Promise<void>;
  /** The details that `describeMedia` can provide; absent means all of them. */
  readonly describes?: ReadonlySet<keyof MediaDetails>;
  /**
   * Fetches details that `listMedia` does not provide. It is called only when a query selects such a field. The result
   * is aligned like that of `listMedia`. An implementation never downloads the whole media.
   */
  describeMedia?(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>>;
  /**
   * Opens the bytes, or the requested part if the provider supports ranges. The body is limited to
   * `context.maxDownloadBytes`. Rejects with MEDIA_NOT_FOUND where the provider does not have the media (any more), and
   * with {@link RangeNotSatisfiable}.
   */
  openMedia?(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream>;
  /** The largest upload in bytes, by media type without parameters. Required together with an upload method. */
  readonly uploadLimits?: ReadonlyMap<string, number>;
  /**
   * Uploads bytes within `uploadLimits`. The request is sent once and never retried. The adapter must destroy `body` on
   * every path. Rejects with PROVIDER_REJECTED, MEDIA_TOO_LARGE or CONTENT_TYPE_NOT_ALLOWED where the provider is
   * stricter than documented.
   */
  uploadMedia?(source: UploadSource, options: CallOptions): Promise<UploadedMedia>;
  /** Uploads by a URL of this server, which the provider fetches before it answers. Rejects like `uploadMedia`. */
  uploadMediaFromUrl?(source: UploadLink, options: CallOptions): Promise<UploadedMedia>;
  /**
   * Deletes a media at the provider. Idempotent: resolves if the media is already gone. Rejects with PROVIDER_REJECTED
   * if the provider refuses, now or permanently; the media is then unchanged.
   */
  deleteMedia?(ref: MediaRef, options: CallOptions): Promise<void>;
}

/** Stored bytes to upload. */
export interface UploadSource {
  readonly body: Readable;
  readonly sizeBytes: number;
  /** Detected from the bytes, with parameters. */
  readonly mimeType: string;
  readonly filename: string;
}

export interface UploadLink {
  /** A signed URL that stays valid for as long as the provider may take. */
  readonly url: string;
  readonly mimeType: string;
}

export interface UploadedMedia {
  /** The reference that the provider's send call accepts. */
  readonly providerMediaId: string;
}

/** A webhook request. Nothing in it is trusted before `verify`. */
export interface WebhookRequest {
  /** The URL that the provider called: this server's public origin, then path and query. */
  readonly url: URL;
  /** The same URL with path and query byte for byte as in the request line, because providers sign these bytes. */
  readonly address: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
}

/** An event of a webhook, in provider-independent terms. */
export type WebhookEvent =
  | {
      readonly type: 'mediaAnnounced';
      readonly providerMessageId: string;
      /** All media of the message in this event, in the provider's order. */
      readonly media: readonly ProviderMedia[];
    }
  | {
      /** The caption of a message's media was edited. */
      readonly type: 'captionEdited';
      readonly providerMessageId: string;
      /** null = the caption was removed. */
      readonly caption: string | null;
    }
  | {
      /** The sender deleted a message, and with it its media. */
      readonly type: 'messageRevoked';
      readonly providerMessageId: string;
      /** null = the event has no time. */
      readonly revokedAt: Date | null;
    }
  | {
      /** A device of a gateway was removed, with all its media that this server has not stored yet. */
      readonly type: 'deviceDestroyed';
      /** The prefix of the provider media ids of the device's media. */
      readonly providerMediaIdPrefix: string;
    };

/**
 * An element of a body that is not as documented. It is no Error, because a hostile body can contain a million of them.
 */
export interface WebhookFault {
  readonly type: 'fault';
  readonly code: 'PROVIDER_PROTOCOL';
  /**
   * Says what was expected and what came, without quoting the body. There are only a few such texts, so that equal
   * faults can be counted.
   */
  readonly message: string;
}

/** The result of parsing one element of a body; null for an element that is not about media. */
export type WebhookItem = WebhookEvent | WebhookFault | null;

/** The response body that a provider expects with a 2xx. */
export interface WebhookAnswer {
  readonly contentType: string;
  readonly body: string;
}

/**
 * The port to one provider's webhooks, for one channel. Implement it in `providers/<name>/webhook.ts` and add it to
 * `registry.ts`.
 *
 * A receiver does no I/O, so its result depends on the request only. The webhook route calls `verify` and `deliveryId`,
 * stores the raw body and sends a 2xx. A job then calls `parse`, possibly several times and on another replica.
 */
export interface WebhookReceiver {
  /**
   * Checks the provider's signature or secret over the raw bytes, in constant time.
   * @throws MediagraphError WEBHOOK_REJECTED, which says what was expected and what came
   */
  verify(request: WebhookRequest, now: Date): void;
  /**
   * Returns an id that the provider repeats with each attempt of the same delivery, of at most 200 characters, if it
   * sends one outside of the body. null means that the raw body identifies the delivery. Never return a message's id:
   * other events of the same message share it.
   */
  deliveryId(request: WebhookRequest): string | null;
  /**
   * Parses a verified body lazily, element by element. A body has up to a million elements, and the consumer yields to
   * other work between them. The result can be iterated once. A fault in one element does not affect the others.
   * @throws MediagraphError PROVIDER_PROTOCOL if the body as a whole is not as documented; the iteration itself throws
   *   nothing
   */
  parse(rawBody: Buffer, contentType: string, now: Date): Iterable<WebhookItem>;
  /** The body of a 2xx; absent means an empty body. */
  readonly answer?: WebhookAnswer;
  /**
   * Answers Meta's `GET` handshake with the challenge to echo.
   * @throws MediagraphError WEBHOOK_REJECTED
   */
  handshake?(query: URLSearchParams): string;
}
