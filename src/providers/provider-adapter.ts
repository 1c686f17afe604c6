import type { Readable } from 'node:stream';
import type { ProviderName } from '../model/channel.js';
import type { MediaDetails, MediaRef, ProviderMedia } from '../model/media.js';

export interface CallOptions {
  /** Aborts when nobody waits for the answer any more; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Bytes on their way from a provider. Whoever holds it drains or destroys `body`. */
export interface ByteStream {
  readonly body: Readable;
  /** What the origin said, lower-cased essence with parameters; checked by nobody yet. */
  readonly declaredMimeType: string | null;
  /** What the origin announced; the stream may still end early. null = not announced. */
  readonly sizeBytes: number | null;
  /** From the origin's Content-Disposition, as it stood there. */
  readonly filename: string | null;
  readonly lastModified: Date | null;
}

/**
 * One provider's API for one channel, as media use cases see it. A method that is present IS the capability:
 * nothing throws "not implemented". Everything rejects with a {@link MediagraphError} that names provider and channel.
 */
export interface ProviderAdapter {
  readonly provider: ProviderName;
  /**
   * Which media a message has. One answer per id, in order; an Error fails that id alone, and the promise itself
   * never rejects for one id's sake. `[]` = none so far. Ids are distinct.
   */
  listMedia?(messageIds: readonly string[], options: CallOptions): Promise<Array<readonly ProviderMedia[] | Error>>;
  /** What `listMedia` did not tell; asked only when a query selects such a field. Aligned like `listMedia`. */
  describeMedia?(refs: readonly MediaRef[], options: CallOptions): Promise<Array<MediaDetails | Error>>;
  /** The bytes. Rejects MEDIA_NOT_FOUND where the provider has none (any more). */
  openMedia?(ref: MediaRef, options: CallOptions): Promise<ByteStream>;
  /** What an upload to this provider may be; present where an upload method is. */
  readonly uploadLimits?: UploadLimits;
  /** Hands over bytes. Rejects PROVIDER_REJECTED, MEDIA_TOO_LARGE, CONTENT_TYPE_NOT_ALLOWED. */
  uploadMedia?(source: ByteStream & { readonly filename: string }, options: CallOptions): Promise<ProviderMedia>;
  /** Hands over a URL of ours that the provider fetches. Rejects like `uploadMedia`. */
  uploadMediaFromUrl?(url: URL, mimeType: string, options: CallOptions): Promise<ProviderMedia>;
  /** Deleting what is already gone is success. */
  deleteMedia?(ref: MediaRef, options: CallOptions): Promise<void>;
  /** Present where the provider sends webhooks and the channel has one configured. */
  readonly webhook?: WebhookReceiver;
}

export interface UploadLimits {
  readonly maxBytes: number;
  /** Essences. */
  readonly mimeTypes: readonly string[];
}

export interface WebhookReceiver {
  /** @throws MediagraphError WEBHOOK_REJECTED */
  verify(request: { method: string; url: URL; headers: Readonly<Record<string, string>>; rawBody: Buffer }): void;
}
