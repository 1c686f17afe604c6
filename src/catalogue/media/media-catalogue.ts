import type { ChannelId, TenantId } from '../../model/channel.js';
import type { MessageId } from '../../model/ids.js';
import type { MediaId, MediaStatus, MessageKey, MessageMedia } from '../../model/media.js';
import type {
  CatalogueCounts,
  CataloguedMedia,
  Description,
  FoundDetails,
  FoundInBytes,
  Kept,
  Listing,
  MediaName,
  MediaPatch,
  MessageChange,
  MessageRecord,
  Recording,
  StoredBytes,
} from './catalogued-media.js';

export type * from './catalogued-media.js';

/**
 * The media that exist, with their states. Every method is one statement and therefore atomic. Any number of processes
 * may call it concurrently. Each method rejects when the database is unavailable. A status changes only if the row
 * still has the status that the caller expects. All times come from the caller, who reads them from the database's
 * clock.
 */
export interface MediaCatalogue {
  /** Finds rows of every status, except tombstones that the sweep has deleted. Ids without a row are absent. */
  findByIds(tenant: TenantId, ids: readonly MediaId[]): Promise<ReadonlyMap<MediaId, CataloguedMedia>>;
  /** Finds messages by their ids. Unknown messages are absent. */
  findByMessages(tenant: TenantId, keys: readonly MessageKey[]): Promise<ReadonlyMap<MessageId, MessageRecord>>;
  /** The tenant's messages with these provider message ids: at most one per channel and id. */
  findKeysByProviderMessageIds(
    tenant: TenantId,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, readonly MessageKey[]>>;

  /**
   * Records listings of providers. Repeating it changes only the time of the listing. Null never overwrites a known
   * value, and a reported value never overwrites a measured one. The status stays, except that PENDING becomes READY
   * when the provider lists the media as READY, because the response to that query contains a link.
   */
  recordListings(tenant: TenantId, listings: readonly Listing[], now: Date): Promise<void>;
  /**
   * Records the media that a webhook announced, in the given order. Repeating it changes nothing. With `mirror`, media
   * that is announced as READY becomes PENDING and gets a job that copies it, unless its bytes are stored.
   */
  recordAnnouncement(
    tenant: TenantId,
    media: readonly MessageMedia[],
    options: Recording & { readonly mirror: boolean },
  ): Promise<void>;
  /** Records details that providers gave on request. Known values stay. Ids without a row are skipped. */
  recordDescriptions(tenant: TenantId, descriptions: readonly Description[], now: Date): Promise<void>;
  /**
   * Changes the status if it is one of `from`; otherwise changes nothing and returns null. A status that ends a media
   * also ends its jobs.
   */
  transition(
    tenant: TenantId,
    id: MediaId,
    from: readonly MediaStatus[],
    to: MediaStatus,
    patch: MediaPatch,
    now: Date,
  ): Promise<CataloguedMedia | null>;
  /**
   * Applies edited captions and deletions by the sender to all media of their messages. Repeating it changes nothing.
   * @returns the number of these messages that have media
   */
  applyMessageChanges(tenant: TenantId, changes: readonly MessageChange[], now: Date): Promise<number>;
  /**
   * Makes the row reference bytes that were stored during a delivery: the media is READY and needs no copy. The row
   * does not reference the bytes if it is deleted, has ended, references other bytes (except `replacing`, which the
   * store has lost), or contains another digest.
   */
  markStored(
    tenant: TenantId,
    id: MediaId,
    bytes: { readonly stored: StoredBytes; readonly details: FoundDetails; readonly replacing: string | null },
    now: Date,
  ): Promise<Kept>;
  /**
   * Records the facts from stored bytes and ends their inspection. It has no effect if the row references other bytes.
   */
  recordMeasures(tenant: TenantId, id: MediaId, found: FoundInBytes, now: Date): Promise<void>;
  /**
   * Restarts a FAILED media. With `copy`, it becomes PENDING and its job is due immediately. Otherwise it becomes
   * READY, and the server fetches it when a link is opened. Returns null if it is not FAILED.
   */
  retryFailed(
    tenant: TenantId,
    id: MediaId,
    how: { readonly copy: boolean; readonly now: Date },
  ): Promise<CataloguedMedia | null>;

  /**
   * Expires the media of a deleted device, except media that is stored here.
   * @returns the number of media
   */
  expireDevice(tenant: TenantId, channelId: ChannelId, providerMediaIdPrefix: string, now: Date): Promise<number>;
  /**
   * Expires media whose retention has ended, and media that its provider no longer keeps, if nothing is stored and no
   * copy is running. The caller deletes the bytes of the returned media.
   */
  expireDue(now: Date, limit: number): Promise<CataloguedMedia[]>;
  /** The number of media that {@link expireDue} would expire. */
  countExpirable(now: Date): Promise<number>;
  /** The stored bytes that these rows reference. Rows without stored bytes are absent. */
  findStored<Name extends MediaName>(
    names: readonly Name[],
  ): Promise<ReadonlyMap<Name, Pick<StoredBytes, 'key' | 'sha256'>>>;
  counts(): Promise<CatalogueCounts>;
  /** The bytes of the stored originals of each tenant. Reads the whole table. */
  storedBytes(): Promise<ReadonlyMap<TenantId, number>>;
}
