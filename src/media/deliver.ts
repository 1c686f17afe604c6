import type { Readable } from 'node:stream';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media-catalogue.js';
import { MediagraphError } from '../model/errors.js';
import { type DecodedMediaId, decodeMediaId } from '../model/ids.js';
import { isInlineSafe } from '../model/mime-type.js';
import type { ChannelDirectory, ConnectedChannel } from '../providers/channel-directory.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import { BlobNotFound, type BlobStore, BlobStoreError, mediaBlobKey } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { asCatalogueFault, inTime } from './catalogue-fault.js';
import type { LazyMirror } from './lazy-mirror.js';
import { safeFilename, withExtension } from './media-name.js';
import { asOf } from './retention.js';
import type { Disposition, MediaGrant } from './signed-url.js';
import { openSniffed } from './sniffed-stream.js';

/** Bytes ready for a browser. The caller drains or destroys `body`. */
export interface Delivery {
  readonly body: Readable;
  /** Decided by the bytes. */
  readonly mimeType: string;
  readonly sizeBytes: number | null;
  readonly filename: string;
  /** What was granted, made safer where the type could run script. */
  readonly disposition: Disposition;
  readonly lastModified: Date | null;
}

/** What a source of bytes tells about them. */
interface Opened extends Omit<Delivery, 'disposition' | 'filename'> {
  readonly filename: string | null;
}

export interface MediaDeliveryOptions {
  readonly channels: ChannelDirectory;
  readonly catalogue: MediaCatalogue;
  readonly blobs: BlobStore;
  /** Resolves when everything that was listed here so far is recorded. */
  readonly recorded: () => Promise<void>;
  /** Keeps what is delivered for the first time; null where nothing is to be kept (`mirror.mode` off). */
  readonly lazyMirror: LazyMirror | null;
  readonly logger: Logger;
}

/** Serves what a signed URL grants: the bytes that are stored here, else the provider's, with a type that was looked at. */
export class MediaDelivery {
  constructor(private readonly options: MediaDeliveryOptions) {}

  /**
   * @throws MediagraphError MEDIA_NOT_FOUND, MEDIA_NOT_READY, MEDIA_GONE, what the adapter's `openMedia` rejects with,
   * and a retryable INTERNAL_SERVER_ERROR while the catalogue cannot tell whether the media was deleted
   */
  async open(grant: MediaGrant, options: CallOptions): Promise<Delivery> {
    const parts = decodeMediaId(grant.mediaId);
    const channel = parts && this.options.channels.findForSignedLink(parts.channelId);
    if (!parts || !channel) throw notFound();
    const known = (await this.#find(channel, grant.mediaId)) ?? (await this.#findOnceRecorded(channel, grant.mediaId));
    const opened = known
      ? await this.#openKnown(channel, asOf(known, new Date()), options)
      : await this.#openUnknown(channel, parts, options);
    return {
      body: opened.body,
      mimeType: opened.mimeType,
      sizeBytes: opened.sizeBytes,
      lastModified: opened.lastModified,
      filename: nameFor(grant, opened.filename, opened.mimeType),
      disposition: isInlineSafe(opened.mimeType) ? grant.disposition : 'attachment',
    };
  }

  // Private: listed a moment ago, and not recorded yet.
  #openUnknown(channel: ConnectedChannel, parts: DecodedMediaId, options: CallOptions): Promise<Opened> {
    if ('uploadId' in parts) throw notFound();
    return openSniffed(channel, { ...parts, downloadUrl: null }, options);
  }

  async #find(channel: ConnectedChannel, id: string): Promise<CataloguedMedia | null> {
    try {
      const found = await inTime(this.options.catalogue.findByIds(channel.tenant, [id]));
      return found.get(id) ?? null;
    } catch (thrown) {
      throw asCatalogueFault(thrown);
    }
  }

  // Private: a link may be opened before the listing that it came from is recorded; only a row can tell what to keep.
  async #findOnceRecorded(channel: ConnectedChannel, id: string): Promise<CataloguedMedia | null> {
    await this.options.recorded();
    return this.#find(channel, id);
  }

  async #openKnown(channel: ConnectedChannel, media: CataloguedMedia, options: CallOptions): Promise<Opened> {
    switch (media.status) {
      case 'DELETED':
      case 'EXPIRED':
        throw new MediagraphError('MEDIA_GONE', 'this media is gone for good');
      case 'FAILED':
        throw notFound();
      case 'PENDING': {
        // An upload that its provider is about to fetch.
        const opened = media.stored && (await this.#openStored(media, media.stored, options));
        if (opened) return opened;
        throw new MediagraphError('MEDIA_NOT_READY', 'the bytes of this media are not here yet', { retryable: true });
      }
      case 'READY':
        if (media.stored) {
          const opened = await this.#openStored(media, media.stored, options);
          if (opened) return opened;
        }
        if (media.uploaded) throw notFound();
        return this.options.lazyMirror
          ? this.options.lazyMirror.open(channel, media, options)
          : openSniffed(channel, media, options);
    }
  }

  // Private: null where the store has lost what the catalogue says is there; the provider may still have it.
  async #openStored(
    media: CataloguedMedia,
    { sizeBytes, mimeType, at }: NonNullable<CataloguedMedia['stored']>,
    options: CallOptions,
  ): Promise<Opened | null> {
    const body = await this.#openBlob(media, options);
    if (body === null) return null;
    return {
      body,
      sizeBytes,
      mimeType: mimeType ?? 'application/octet-stream',
      filename: media.filename,
      lastModified: media.createdAt ?? at,
    };
  }

  async #openBlob(media: CataloguedMedia, options: CallOptions): Promise<Readable | null> {
    try {
      return await this.options.blobs.open(mediaBlobKey(media.tenant, media.id), options);
    } catch (thrown) {
      if (thrown instanceof BlobStoreError) throw storeFault(thrown);
      if (!(thrown instanceof BlobNotFound)) throw thrown;
      this.options.logger.error({ media: media.id, channelId: media.channelId }, 'stored bytes are missing');
      return null;
    }
  }
}

function storeFault(cause: BlobStoreError): MediagraphError {
  const details = { retryable: true, retryAfterMs: 5_000 };
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes cannot be read at the moment', details, {
    cause,
  });
}

function notFound(): MediagraphError {
  return new MediagraphError('MEDIA_NOT_FOUND', 'there is no such media (any more)');
}

// Private: the name in the URL, unless it only says what kind of media this is and the provider knows better.
function nameFor(grant: MediaGrant, known: string | null, mimeType: string): string {
  const generic = /^(image|video|audio|document|sticker|other|media)(\.[a-z0-9]+)?$/.test(grant.filename);
  const name = (generic && safeFilename(known)) || grant.filename;
  return withExtension(name, mimeType);
}
