import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { ByteRange, ByteSpan } from '../model/byte-range.js';
import type { ProviderName } from '../model/channel.js';
import type { MediagraphError } from '../model/errors.js';
import type { MediaDetails, MediaFault, MediaRef, ProviderMedia } from '../model/media.js';

export interface CallOptions {
  /** Aborts when nobody waits for the answer any more; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * A job asks, which comes back with growing pauses: it is never answered from what an earlier call was told, and may use
   * what is kept back for jobs of the failures that a provider allows.
   */
  readonly job?: boolean;
}

/** How often one operation may still ask providers. */
export interface ProviderCallAllowance {
  /** @returns how many of so many calls may be made, which are counted then */
  grant(calls: number): number;
  /** QUERY_TOO_COMPLEX, in the place of each call that may not. */
  readonly exhausted: Error;
}

export interface OpenMediaOptions extends CallOptions {
  /** The part that is wanted. Not every provider heeds it: `ByteStream.range` says what came. */
  readonly range?: ByteRange;
}

/** Bytes on their way from a provider. Whoever holds it drains or destroys `body`. */
export interface ByteStream {
  /** Fails, rather than end early or late, where it is known how long it must be. */
  readonly body: Readable;
  /** What the origin said, lower-cased essence with parameters; checked by nobody yet. */
  readonly declaredMimeType: string | null;
  /** Of the whole media, whatever part `body` is, as the origin announced it; null = not announced. */
  readonly sizeBytes: number | null;
  /** From the origin's Content-Disposition, as it stood there. */
  readonly filename: string | null;
  readonly lastModified: Date | null;
  /** What part of the media `body` is: from the start that was asked for, to the end that was asked for or before it; null = all of it. */
  readonly range: ByteSpan | null;
}

/** No byte of the media is in the range that was asked for. Nobody's fault: the media is there, and the provider said so. */
export class RangeNotSatisfiable extends Error {
  override readonly name = 'RangeNotSatisfiable';

  /** @param sizeBytes of the whole media; null = not told */
  constructor(readonly sizeBytes: number | null) {
    super(`expected a range of a media's bytes to start within its ${sizeBytes ?? 'untold'} bytes`);
  }
}

/**
 * One provider's API for one channel, as media use cases see it. A method that is present IS the capability:
 * nothing throws "not implemented". Everything rejects with a {@link MediagraphError} that names provider and channel.
 *
 * What `details.retryable` means to a job that may ask again: `true`, the media may still be there, so go on until the
 * provider's own lifetime of it ends, no sooner than `retryAfterMs`; `false`, said plainly and repeatedly, so this is the
 * end; absent, said plainly but once, so ask a few times more before it is believed. PROVIDER_CREDENTIALS is the
 * operator's to mend: go on. MEDIA_NOT_FOUND with `retryable: true` is a doubtful "no": not there yet, gone, or not
 * permitted. PROVIDER_RATE_LIMITED came with no call where the failures that the provider allows are used up.
 */
export interface ProviderAdapter {
  readonly provider: ProviderName;
  /** `one`: the message names its media, and whatever else the provider calls it may come later or change. */
  readonly mediaPerMessage: 'one' | 'several';
  /**
   * Which media a message has. One answer per id, in order; an Error fails that id alone, and the promise itself
   * never rejects for one id's sake. `[]` = none so far. Ids are distinct.
   */
  listMedia?(messageIds: readonly string[], options: CallOptions): Promise<Array<readonly ProviderMedia[] | Error>>;
  /**
   * Why media that a listing alone told of cannot be fetched on this channel, as every replica knows it within half a minute;
   * null or absent = nothing stands against it. Never rejects.
   */
  faultOfListed?(): Promise<MediaFault | null>;
  /** The details that `describeMedia` can tell; absent: all of them. */
  readonly describes?: ReadonlySet<keyof MediaDetails>;
  /** What `listMedia` did not tell; asked only when a query selects such a field. Aligned like `listMedia`. Never fetches all bytes. */
  describeMedia?(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>>;
  /**
   * The bytes, or the part of them that was asked for if the provider heeds that. Rejects MEDIA_NOT_FOUND where the
   * provider has none (any more), and {@link RangeNotSatisfiable}.
   */
  openMedia?(ref: MediaRef, options: OpenMediaOptions): Promise<ByteStream>;
  /** What an upload to this provider may be: the largest size in bytes by essence. Present where an upload method is. */
  readonly uploadLimits?: ReadonlyMap<string, number>;
  /**
   * Hands over bytes that are within the limits; sent once, never repeated. The adapter ends `body`, whatever happens.
   * Rejects PROVIDER_REJECTED, MEDIA_TOO_LARGE, CONTENT_TYPE_NOT_ALLOWED where the provider is stricter than it says.
   */
  uploadMedia?(source: UploadSource, options: CallOptions): Promise<UploadedMedia>;
  /** Hands over a URL of ours that the provider fetches before it answers. Rejects like `uploadMedia`. */
  uploadMediaFromUrl?(source: UploadLink, options: CallOptions): Promise<UploadedMedia>;
  /**
   * Deleting what is already gone is success. Rejects PROVIDER_REJECTED where the provider does not want to, now or ever:
   * then nothing changed.
   */
  deleteMedia?(ref: MediaRef, options: CallOptions): Promise<void>;
}

/** Stored bytes on their way to a provider. */
export interface UploadSource {
  readonly body: Readable;
  readonly sizeBytes: number;
  /** Sniffed, with its parameters. */
  readonly mimeType: string;
  readonly filename: string;
}

export interface UploadLink {
  /** Signed, and open for as long as the provider may take. */
  readonly url: string;
  readonly mimeType: string;
}

export interface UploadedMedia {
  /** What the provider's send call takes. */
  readonly providerMediaId: string;
}

/** A webhook as it came in: nothing about it is trusted before `verify`. */
export interface WebhookRequest {
  /** The address that the provider called: this server's public origin, then path and query. */
  readonly url: URL;
  /** The same, path and query byte for byte as they stood in the request line: signatures are over these. */
  readonly address: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
}

/** What a webhook told about media, in our words. */
export type WebhookEvent =
  | {
      readonly type: 'mediaAnnounced';
      readonly providerMessageId: string;
      /** All media of that message that the event names, in the provider's order. */
      readonly media: readonly ProviderMedia[];
    }
  | {
      /** The text of a message with media was edited: the caption of its media. */
      readonly type: 'captionEdited';
      readonly providerMessageId: string;
      /** null: it has none any more. */
      readonly caption: string | null;
    }
  | {
      /** The sender withdrew a message, and with it its media. */
      readonly type: 'messageRevoked';
      readonly providerMessageId: string;
      /** null: the event does not say when. */
      readonly revokedAt: Date | null;
    }
  | {
      /** A device of a gateway is gone, and with it every media that is not here yet. */
      readonly type: 'deviceDestroyed';
      /** Starts the provider media ids of that device's media. */
      readonly providerMediaIdPrefix: string;
    };

/** A part of a body that could not be understood. No Error: a hostile body has a million of them. */
export interface WebhookFault {
  readonly type: 'fault';
  readonly code: 'PROVIDER_PROTOCOL';
  /** What was expected and what came, quoting nothing: one of few texts, so that equal faults can be counted. */
  readonly message: string;
}

/** What one element of a body tells; null: nothing about media. */
export type WebhookTold = WebhookEvent | WebhookFault | null;

/** What a provider wants to read in a 2xx. */
export interface WebhookAnswer {
  readonly contentType: string;
  readonly body: string;
}

/** One provider's webhooks for one channel. Pure: no I/O, so that the answer depends on nobody else. */
export interface WebhookReceiver {
  /** Constant time, over the raw bytes. @throws MediagraphError WEBHOOK_REJECTED, which says what was expected and what came */
  verify(request: WebhookRequest, now: Date): void;
  /**
   * What names this delivery in all its repetitions, if the provider sends such a thing outside of the body; null = the
   * raw body names it. Never a message's id: other events of the same message share that. At most 200 characters.
   */
  deliveryId(request: WebhookRequest): string | null;
  /**
   * What a verified body tells, element by element, read while it is walked: a body has up to a million elements, and
   * a walk gives way to other work in between. To be walked once. A fault of one element leaves the others.
   * @throws MediagraphError PROVIDER_PROTOCOL for a body that is not what the provider documents; the walk throws nothing
   */
  parse(rawBody: Buffer, contentType: string, now: Date): Iterable<WebhookTold>;
  /** The body of a 2xx; absent: none. */
  readonly answer?: WebhookAnswer;
  /** Meta's `GET` handshake: the challenge to echo. @throws MediagraphError WEBHOOK_REJECTED */
  handshake?(query: URLSearchParams): string;
}
