import { LRUCache } from 'lru-cache';
import type { Listing } from '../../catalogue/media/media-catalogue.js';
import type { ChannelId, TenantId } from '../../model/channel.js';
import type { MediaDetails, MediaId, MessageKey, MessageMedia } from '../../model/media.js';
import { LISTING_MS } from './freshness.js';

/** Bytes of all remembered listings of one process, by {@link weightOf}. */
const MAX_BYTES = 32 * 1024 * 1024;
/** A longer listing is not remembered: it is requested again when its message is read again. */
const MAX_LISTING_BYTES = MAX_BYTES / 8;
/** Bytes of a media without its texts, and of a listing with its entry in the cache. Node 20's heap has 470 and 490. */
const MEDIA_BYTES = 600;
const ENTRY_BYTES = 700;

/**
 * Remembers what providers listed, so that reading messages writes nothing to the database. It is bounded by bytes, and
 * belongs to one process: where it knows nothing, the provider is asked once more.
 */
export class ListingMemory {
  // By the provider's message id, since a caller may name a message by that alone. Few channels share one.
  readonly #byMessageId = new LRUCache<string, readonly Listing[]>({
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_LISTING_BYTES,
    sizeCalculation: weightOf,
    // An older listing has no use.
    ttl: LISTING_MS,
    ttlResolution: 1_000,
  });

  find(tenant: TenantId, { channelId, providerMessageId }: MessageKey): Listing | null {
    const listings = this.#byMessageId.get(nameOf(tenant, providerMessageId));
    if (listings === undefined) return null;
    return listings.find(({ key }) => key.channelId === channelId) ?? null;
  }

  remember(tenant: TenantId, listing: Listing): void {
    const { channelId, providerMessageId } = listing.key;
    const name = nameOf(tenant, providerMessageId);
    const others = this.#byMessageId.peek(name)?.filter(({ key }) => key.channelId !== channelId) ?? [];
    this.#byMessageId.set(name, others.length === 0 ? [listing] : [...others, listing]);
  }

  /** Adds details that a provider gave on request; known values stay. Without effect where the media is not remembered. */
  describe(tenant: TenantId, key: MessageKey, id: MediaId, details: MediaDetails): void {
    const listing = this.find(tenant, key);
    if (!listing?.media.some((media) => media.id === id)) return;
    const media = listing.media.map((listed) => (listed.id === id ? withDetails(listed, details) : listed));
    this.remember(tenant, { ...listing, media });
  }

  /** Removes a media from its message's listing. */
  remove(tenant: TenantId, key: MessageKey, id: MediaId): void {
    const listing = this.find(tenant, key);
    if (listing) this.remember(tenant, { ...listing, media: listing.media.filter((media) => media.id !== id) });
  }

  /** The channels that have listed a message with this id of a provider. */
  channelsOf(tenant: TenantId, providerMessageId: string): readonly ChannelId[] {
    return (this.#byMessageId.get(nameOf(tenant, providerMessageId)) ?? []).map(({ key }) => key.channelId);
  }

  clear(): void {
    this.#byMessageId.clear();
  }
}

function withDetails(media: MessageMedia, details: MediaDetails): MessageMedia {
  return {
    ...media,
    described: true,
    kind: media.kind ?? details.kind,
    mimeType: media.mimeType ?? details.mimeType,
    sizeBytes: media.sizeBytes ?? details.sizeBytes,
    sha256: media.sha256 ?? details.sha256,
    filename: media.filename ?? details.filename,
    caption: media.caption ?? details.caption,
  };
}

/** An upper estimate: V8 takes one or two bytes for each character. */
function weightOf(listings: readonly Listing[], name: string): number {
  let bytes = ENTRY_BYTES * listings.length + 2 * name.length;
  for (const { media } of listings) for (const one of media) bytes += MEDIA_BYTES + 2 * charactersOf(one);
  return bytes;
}

function charactersOf(media: MessageMedia): number {
  const { id, providerMessageId, providerMediaId, downloadUrl, mimeType, sha256, filename, caption, contact } = media;
  let characters = id.length + providerMessageId.length;
  for (const text of [providerMediaId, downloadUrl, mimeType, sha256, filename, caption, contact])
    characters += text?.length ?? 0;
  return characters;
}

/** Joins the pair with a line break, which neither part can hold. */
function nameOf(tenant: TenantId, providerMessageId: string): string {
  return `${tenant}\n${providerMessageId}`;
}
