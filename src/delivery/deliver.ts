import type { CataloguedMedia } from '../catalogue/media/media-catalogue.js';
import { isMarkupName, safeFilename, withExtension } from '../links/media-name.js';
import type { MediaGrant } from '../links/signed-url.js';
import { decodeMediaId } from '../model/ids.js';
import { isInlineSafe } from '../model/text/mime-type.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import type { Renditions } from '../renditions/renditions.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { HotBytes } from '../storage/hot-bytes.js';
import type { Logger } from '../telemetry/logger.js';
import { type Delivery, type DeliveryRequest, type DescribedBytes, isStored, type MediaRequest } from './delivery.js';
import { asLinkFault, assertServable, notFound } from './delivery-faults.js';
import { DeliveryLookup, type DeliveryLookupOptions } from './delivery-lookup.js';
import type { LazyMirror } from './first-copy.js';
import { OffloadedFiles } from './offloaded-files.js';
import { ProviderDelivery } from './provider-delivery.js';
import { RenditionDelivery } from './rendition-delivery.js';
import { StoredDelivery } from './stored-delivery.js';

export interface MediaDeliveryOptions extends DeliveryLookupOptions {
  readonly channels: ChannelDirectory;
  readonly blobs: BlobStore;
  readonly hot: HotBytes;
  readonly renditions: Renditions;
  /** `storage.s3.redirect` */
  readonly redirects: boolean;
  /** `delivery.offloadPrefix`. Null: `delivery.offload` is off. */
  readonly offloadPrefix: string | null;
  /** Stores what is delivered for the first time. Null: nothing is stored (`mirror.mode` off). */
  readonly lazyMirror: LazyMirror | null;
  readonly logger: Logger;
}

/** Serves what a signed URL grants: the stored bytes, otherwise the provider's, or a rendition. */
export class MediaDelivery {
  readonly #channels: ChannelDirectory;
  readonly #media: DeliveryLookup;
  readonly #lazyMirror: LazyMirror | null;
  readonly #provider: ProviderDelivery;
  readonly #stored: StoredDelivery;
  readonly #renditions: RenditionDelivery;

  constructor({
    channels,
    rows,
    lookup,
    clock,
    blobs,
    hot,
    renditions,
    redirects,
    offloadPrefix,
    lazyMirror,
    logger,
  }: MediaDeliveryOptions) {
    const media = new DeliveryLookup({ rows, lookup, clock });
    this.#channels = channels;
    this.#media = media;
    this.#lazyMirror = lazyMirror;
    this.#provider = new ProviderDelivery(lazyMirror);
    const offloaded = offloadPrefix === null ? null : OffloadedFiles.of(blobs, offloadPrefix);
    this.#stored = new StoredDelivery({ media, blobs, hot, redirects, offloaded, provider: this.#provider, logger });
    this.#renditions = new RenditionDelivery({ media, renditions, stored: this.#stored, lazyMirror });
  }

  /**
   * @throws MediagraphError MEDIA_NOT_FOUND, MEDIA_NOT_READY, MEDIA_GONE, CONTENT_TYPE_NOT_ALLOWED for a rendition that
   * cannot be made, what the adapter's `openMedia` rejects with, and a retryable INTERNAL_SERVER_ERROR while the
   * catalogue cannot tell whether the media was deleted
   */
  async describe(grant: Required<MediaGrant>, request: DeliveryRequest): Promise<Delivery> {
    const parts = decodeMediaId(grant.mediaId);
    const channel = parts && this.#channels.findForSignedLink(parts.channelId);
    if (!parts || !channel) throw notFound();
    const media = await this.#media.find({ tenant: channel.tenant, id: grant.mediaId }, parts, request);
    // Media that is neither in the catalogue nor listed by its provider. No link to it was ever issued.
    if (!media) throw notFound();
    assertServable(media, { isListed: channel.adapter.listMedia !== undefined });
    const described = await this.#describe(grant, { channel, parts, media, request });
    const filename = filenameFor(grant, described.filename, described.mimeType);
    const mayBeInline = isInlineSafe(described.mimeType) && !isMarkupName(filename);
    return { ...described, filename, disposition: mayBeInline ? grant.disposition : 'attachment' };
  }

  #describe({ rendition }: Required<MediaGrant>, requested: MediaRequest): Promise<DescribedBytes> {
    if (rendition.kind !== 'original') return this.#renditions.describe(requested, rendition);
    return this.#describeOriginal(requested);
  }

  async #describeOriginal(requested: MediaRequest): Promise<DescribedBytes> {
    const { media } = requested;
    if (isStored(media)) return this.#stored.describe({ ...requested, media });
    const current = await this.#afterFirstCopy(requested);
    if (current && isStored(current)) return this.#stored.describe({ ...requested, media: current });
    return asLinkFault(this.#provider.describe(requested));
  }

  /** The current row, if a first copy of the media has just been stored. Null: there was none. */
  async #afterFirstCopy({ media, parts, request }: MediaRequest): Promise<CataloguedMedia | null> {
    if (!(await this.#lazyMirror?.finished(media))) return null;
    return await this.#media.find(media, parts, request);
  }
}

/** The name in the URL, unless it is generic (only the kind of media) and the provider gave a name. */
function filenameFor(grant: MediaGrant, known: string | null, mimeType: string): string {
  const generic = /^(image|video|audio|document|sticker|other|media)(\.[a-z0-9]+)?$/.test(grant.filename);
  const name = (generic && safeFilename(known)) || grant.filename;
  return withExtension(name, mimeType);
}
