import type { Readable } from 'node:stream';
import { keyOfStored } from '../inspection/stored-bytes.js';
import type { ByteSpan } from '../model/byte-range.js';
import { LinkFault } from '../model/errors.js';
import { type BlobKey, BlobNotFound, type BlobStore, type StoredBlob } from '../storage/blob-store.js';
import type { HotBytes } from '../storage/hot-bytes.js';
import type { Logger } from '../telemetry/logger.js';
import type { Delivery, DescribedBytes, MediaRequest, StoredMedia } from './delivery.js';
import { asLinkFault, notFound, translateStoreError } from './delivery-faults.js';
import type { DeliveryLookup } from './delivery-lookup.js';
import type { OffloadedFiles } from './offloaded-files.js';
import type { ProviderDelivery } from './provider-delivery.js';

export interface StoredDeliveryOptions {
  readonly media: DeliveryLookup;
  readonly blobs: BlobStore;
  readonly hot: HotBytes;
  /** `storage.s3.redirect` */
  readonly redirects: boolean;
  /** `delivery.offload`. Null: it is off. */
  readonly offloaded: OffloadedFiles | null;
  /** Takes over where the store has lost the bytes. */
  readonly provider: ProviderDelivery;
  readonly logger: Logger;
}

/** Delivers originals from the blob store. */
export class StoredDelivery {
  constructor(private readonly options: StoredDeliveryOptions) {}

  describe(requested: MediaRequest<StoredMedia>): DescribedBytes {
    const { media } = requested;
    const { stored, createdAt, filename } = media;
    const key = keyOfStored(stored);
    return {
      mimeType: stored.mimeType ?? 'application/octet-stream',
      sizeBytes: stored.sizeBytes,
      sha256: stored.sha256,
      filename,
      lastModified: createdAt ?? stored.at,
      negotiated: false,
      // Media that is not READY is an upload that its provider is about to fetch. Providers need not follow redirects.
      handOver: media.status === 'READY' ? this.handOver(key) : null,
      offload: this.offload(media, key, stored),
      bytesInMemory: () => this.bytesInMemory(media, key, stored.sha256),
      open: (range) => this.#open(requested, key, range),
      close: () => {},
    };
  }

  /**
   * The cached bytes of a media's original or rendition. Null unless the remembered row says that the media is
   * unchanged.
   */
  bytesInMemory(media: StoredMedia, key: BlobKey, sha256: string): Buffer | null {
    return this.options.media.isKnownUnchanged(media) ? this.options.hot.get(key, sha256) : null;
  }

  handOver(key: BlobKey): Delivery['handOver'] {
    const { blobs, redirects } = this.options;
    return (redirects && blobs.presign?.bind(blobs, key)) || null;
  }

  /** The file of a media's original or rendition. */
  offload(media: StoredMedia, key: BlobKey, { sizeBytes }: StoredBlob): Delivery['offload'] {
    const { offloaded } = this.options;
    if (!offloaded) return null;
    return {
      find: () => offloaded.find(key, sizeBytes),
      isKnown: () => this.options.media.isKnownUnchanged(media) && offloaded.isKnown(key, sizeBytes),
    };
  }

  async #open(requested: MediaRequest<StoredMedia>, key: BlobKey, range: ByteSpan | null): Promise<Buffer | Readable> {
    const { hot, blobs } = this.options;
    const { media, request } = requested;
    const { sizeBytes } = media.stored;
    try {
      if (hot.takes(sizeBytes)) {
        const bytes = await hot.read(key, media.stored, range, () => blobs.open(key, {}));
        if (!bytes) throw new BlobNotFound();
        return bytes;
      }
      return await blobs.open(key, { signal: request.signal, range: range ?? undefined, sizeBytes });
    } catch (thrown) {
      if (!(thrown instanceof BlobNotFound)) throw translateStoreError(thrown);
      return this.#openLost(requested, range);
    }
  }

  /** The store has lost the bytes that the row names. The provider may still have them. */
  async #openLost(requested: MediaRequest<StoredMedia>, range: ByteSpan | null): Promise<Readable> {
    const { media } = requested;
    this.options.logger.error({ media: media.id, channelId: media.channelId }, 'stored bytes are missing');
    this.options.media.forget(media);
    if (media.uploaded || media.status !== 'READY') throw new LinkFault(notFound());
    const provided = await asLinkFault(this.options.provider.open(requested));
    if (provided.sizeBytes === null || provided.sizeBytes === media.stored.sizeBytes)
      return asLinkFault(provided.open(range));
    provided.close();
    throw new LinkFault(notFound());
  }
}
