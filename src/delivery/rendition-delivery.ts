import type { Readable } from 'node:stream';
import { keyOfStored } from '../inspection/stored-bytes.js';
import type { ByteSpan } from '../model/byte-range.js';
import { LinkFault, MediagraphError } from '../model/errors.js';
import type { Derived, Renditions, StoredRendition } from '../renditions/renditions.js';
import { BlobNotFound, stemOf } from '../storage/blob-store.js';
import {
  type DeliveryRequest,
  type DescribedBytes,
  isStored,
  type MediaRequest,
  type StoredMedia,
} from './delivery.js';
import { asLinkFault, assertServable, bytesNotHere, notFound, translateStoreError } from './delivery-faults.js';
import type { DeliveryLookup } from './delivery-lookup.js';
import type { LazyMirror } from './first-copy.js';
import type { StoredDelivery } from './stored-delivery.js';

export interface RenditionDeliveryOptions {
  readonly media: DeliveryLookup;
  readonly renditions: Renditions;
  readonly stored: StoredDelivery;
  readonly lazyMirror: LazyMirror | null;
}

/** Delivers stills and playable sound. */
export class RenditionDelivery {
  constructor(private readonly options: RenditionDeliveryOptions) {}

  async describe(requested: MediaRequest, rendition: Derived): Promise<DescribedBytes> {
    const { stored } = this.options;
    const { media, request } = requested;
    const original = isStored(media) ? media : await asLinkFault(this.#storeOriginal(requested));
    if (!original) throw notFound();
    const made = await asLinkFault(this.#make(original, rendition, request));
    return {
      ...made,
      filename: original.filename,
      lastModified: original.stored.at,
      negotiated: rendition.kind === 'still',
      handOver: stored.handOver(made.key),
      offload: stored.offload(original, made.key, made),
      bytesInMemory: () => stored.bytesInMemory(original, made.key, made.sha256),
      open: (range) => this.#open(made, range, request),
      close: () => {},
    };
  }

  /** Stores the original first, since renditions are made from the blob store. Null: it is at no provider. */
  async #storeOriginal({ channel, media, parts, request }: MediaRequest): Promise<StoredMedia | null> {
    const { lazyMirror } = this.options;
    if (!lazyMirror || media.uploaded) return null;
    await lazyMirror.keep(channel, media, request);
    this.options.media.forget(media);
    const current = await this.options.media.find(media, parts, request);
    if (current) assertServable(current, { isListed: channel.adapter.listMedia !== undefined });
    if (current && isStored(current)) return current;
    throw bytesNotHere();
  }

  async #make(media: StoredMedia, rendition: Derived, { accept }: DeliveryRequest): Promise<StoredRendition> {
    const { renditions } = this.options;
    const { stored } = media;
    const original = {
      key: keyOfStored(stored),
      sha256: stored.sha256,
      mimeType: stored.mimeType ?? 'application/octet-stream',
    };
    if (!renditions.makes(rendition, original.mimeType))
      throw new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', `expected a type that is rendered here, got another`);
    try {
      return await renditions.open(original, rendition, accept, () => this.options.media.isStillReady(media));
    } catch (thrown) {
      if (thrown instanceof BlobNotFound) throw notFound();
      throw translateStoreError(thrown);
    }
  }

  async #open(made: StoredRendition, range: ByteSpan | null, { signal }: DeliveryRequest): Promise<Buffer | Readable> {
    try {
      return await made.open(range, { signal });
    } catch (thrown) {
      if (!(thrown instanceof BlobNotFound)) throw translateStoreError(thrown);
      this.options.renditions.forget(stemOf(made.key));
      const details = { retryable: true, retryAfterMs: 1_000 };
      throw new LinkFault(new MediagraphError('MEDIA_NOT_READY', 'this rendition is being created again', details));
    }
  }
}
