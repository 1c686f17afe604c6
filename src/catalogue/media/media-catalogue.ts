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
 * Which media exist, in which state. Every method is one statement, so all or nothing, and may be called from any number of
 * processes at once; each rejects when the database does not answer. A status moves only where the row still has the
 * status that the caller expects. All times come from the caller, who takes them from the database's clock.
 */
export interface MediaCatalogue {
  /** Rows of every status, without tombstones that the sweep has buried. Ids without a row are absent. */
  findByIds(tenant: TenantId, ids: readonly MediaId[]): Promise<ReadonlyMap<MediaId, CataloguedMedia>>;
  /** Messages of which nothing is known are absent. */
  findByMessages(tenant: TenantId, keys: readonly MessageKey[]): Promise<ReadonlyMap<MessageId, MessageRecord>>;
  /** The tenant's messages with these provider ids, by that id: at most one for each channel. */
  findKeysByProviderMessageIds(
    tenant: TenantId,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, readonly MessageKey[]>>;

  /**
   * Records what providers listed. Repeating it changes nothing but the time of the listing. A known value is never
   * overwritten by null, nor a measured one by a claim. A status stays, except that PENDING becomes READY when the provider
   * lists the media as READY: that answer has given out a link.
   */
  recordListings(tenant: TenantId, listings: readonly Listing[], recording: Recording): Promise<void>;
  /**
   * Records what a webhook announced, in the given order. Repeating it changes nothing. With `mirror`, media that is
   * announced as READY is PENDING and gets a job that copies it, unless its bytes are here.
   */
  recordAnnouncement(
    tenant: TenantId,
    media: readonly MessageMedia[],
    options: Recording & { readonly mirror: boolean },
  ): Promise<void>;
  /** Records details that providers gave on request. Known values stay. Ids without a row are skipped. */
  recordDescriptions(tenant: TenantId, descriptions: readonly Description[], now: Date): Promise<void>;
  /** Compare and set: null, and nothing changed, where the status is none of `from`. The end of a media ends its jobs. */
  transition(
    tenant: TenantId,
    id: MediaId,
    from: readonly MediaStatus[],
    to: MediaStatus,
    patch: MediaPatch,
    now: Date,
  ): Promise<CataloguedMedia | null>;
  /**
   * Applies edited captions and withdrawals to all media of their messages. Repeating them changes nothing.
   * @returns how many of these messages have media
   */
  applyMessageChanges(tenant: TenantId, changes: readonly MessageChange[], now: Date): Promise<number>;
  /**
   * Names bytes that were stored while they were delivered: the media is READY and needs no copy any more. They are not
   * named where the row is gone, has ended, names other bytes (except `replacing`, which the store has lost), or knows
   * another hash.
   */
  markStored(
    tenant: TenantId,
    id: MediaId,
    bytes: { readonly stored: StoredBytes; readonly details: FoundDetails; readonly replacing: string | null },
    now: Date,
  ): Promise<Kept>;
  /** Records what was found in stored bytes, and ends their inspection. Without effect where the row names other bytes. */
  recordMeasures(tenant: TenantId, id: MediaId, found: FoundInBytes, now: Date): Promise<void>;
  /**
   * Begins a FAILED media anew: with `copy` it is PENDING and its job is due at once, else it is READY and is fetched when
   * it is opened. null where it is not FAILED.
   */
  retryFailed(
    tenant: TenantId,
    id: MediaId,
    how: { readonly copy: boolean; readonly now: Date },
  ): Promise<CataloguedMedia | null>;

  /** Expires the media of a device that is gone, except media that is stored here. @returns how many media */
  expireDevice(tenant: TenantId, channelId: ChannelId, providerMediaIdPrefix: string, now: Date): Promise<number>;
  /**
   * Expires media whose retention has ended, and media that its provider has forgotten while nothing is stored and no copy is
   * under way. The caller removes the bytes of the media that are returned.
   */
  expireDue(now: Date, limit: number): Promise<CataloguedMedia[]>;
  /** How many media {@link expireDue} would expire. */
  countExpirable(now: Date): Promise<number>;
  /** The stored bytes that these rows name. Rows without stored bytes are absent. */
  findStored<Name extends MediaName>(
    names: readonly Name[],
  ): Promise<ReadonlyMap<Name, Pick<StoredBytes, 'key' | 'sha256'>>>;
  counts(): Promise<CatalogueCounts>;
}
