import { sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { Database } from '../database/database.js';
import { type Claim, historyOf, type Queue, UNLEASED, UNSUSPECTED, WorkQueue } from '../jobs/work-queue.js';
import type { ChannelId, TenantId } from '../model/channel.js';
import { formatMessageId } from '../model/ids.js';
import { upTo } from '../model/lru-limit.js';
import type {
  MediaDetails,
  MediaFailure,
  MediaId,
  MediaKind,
  MediaMeasures,
  MediaStatus,
  MessageKey,
  MessageMedia,
} from '../model/media.js';
import type {
  CatalogueCounts,
  CataloguedMedia,
  Description,
  Kept,
  Listing,
  MediaName,
  MediaPatch,
  MessageChange,
  MessageRecord,
  MirrorJob,
  MirrorRetry,
  Recording,
  StoredBytes,
} from './catalogued-media.js';
import {
  type CataloguedRow,
  failureColumns,
  type MediaRow,
  measuresColumns,
  patchColumns,
  storedColumns,
  toCataloguedMedia,
  withoutBytes,
} from './media-rows.js';
import { announcementStatement, changesStatement, descriptionsStatement, listingsStatement } from './record-media.js';

export type * from './catalogued-media.js';

/** What the bytes, and the headers before them, told. null = nothing, and what is known stays. */
export type FoundDetails = Partial<Pick<MediaDetails, 'mimeType' | 'filename' | 'kind'>>;

/** What stored bytes turned out to be. */
export interface FoundInBytes {
  /** The bytes that were looked at. */
  readonly key: string;
  readonly measures: MediaMeasures;
  /** Where they are not what their first bytes showed; absent: they are. */
  readonly mimeType?: string;
  readonly kind?: MediaKind;
}

/**
 * Which media exists, in which state. Every method is one statement, so all or nothing, and may be called from any
 * number of processes at once; each rejects when the database does not answer. A status moves only where the row still
 * has the status that the caller thought it had. Times are the caller's, never the database's.
 */
export interface MediaCatalogue {
  /** Rows of every status, but for tombstones that were swept; ids without a row are absent. */
  findByIds(tenant: TenantId, ids: readonly MediaId[]): Promise<ReadonlyMap<MediaId, CataloguedMedia>>;
  /** By `formatMessageId`; messages that nobody told of are absent. */
  findByMessages(tenant: TenantId, keys: readonly MessageKey[]): Promise<ReadonlyMap<string, MessageRecord>>;
  /** The tenant's messages that providers call by these ids, by that id; at most one per channel. */
  findKeysByProviderMessageIds(
    tenant: TenantId,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, readonly MessageKey[]>>;

  /**
   * What providers listed. Repeating it changes nothing but the time of the listing. A known value is never overwritten
   * by null, nor a measured one by a claim. A status stays, but for a PENDING that is now READY at its provider: whoever was
   * told of that has a link.
   */
  recordListings(tenant: TenantId, listings: readonly Listing[], recording: Recording): Promise<void>;
  /**
   * What a webhook told, in the given order. Repeating it changes nothing. With `mirror`, what is told as READY is PENDING
   * and due to be copied, unless its bytes are here; what is told as PENDING becomes due when it is told as READY.
   */
  recordAnnouncement(
    tenant: TenantId,
    media: readonly MessageMedia[],
    options: Recording & { readonly mirror: boolean },
  ): Promise<void>;
  /** What providers told when they were asked for details. What is known already stays. Ids without a row are passed over. */
  recordDescriptions(tenant: TenantId, descriptions: readonly Description[], now: Date): Promise<void>;
  /** Compare and set: null, and nothing changed, where the status is none of `from`. An end takes it off the queue. */
  transition(
    tenant: TenantId,
    id: MediaId,
    from: readonly MediaStatus[],
    to: MediaStatus,
    patch: MediaPatch,
    now: Date,
  ): Promise<CataloguedMedia | null>;
  /**
   * Edited captions, and withdrawals, for all media of their messages. Repeating them changes nothing.
   * @returns of how many of these messages there is media
   */
  applyMessageChanges(tenant: TenantId, changes: readonly MessageChange[], now: Date): Promise<number>;
  /**
   * Bytes that one attempt stored while they were delivered: READY, and off the queue. They are not named where the row is
   * gone, has ended, names others already (but for `replacing`, which the store has lost), or knows another hash.
   */
  markStored(
    tenant: TenantId,
    id: MediaId,
    bytes: { readonly stored: StoredBytes; readonly details: FoundDetails; readonly replacing: string | null },
    now: Date,
  ): Promise<Kept>;
  /** What was found in bytes that were stored before they were looked at. Without effect where the row names others. */
  recordMeasures(tenant: TenantId, id: MediaId, found: FoundInBytes, now: Date): Promise<void>;
  /** Stored before that time, and not looked at since: a crash came between. */
  findUninspected(storedBefore: Date, limit: number): Promise<CataloguedMedia[]>;
  /**
   * FAILED media that is fetched again from the start: with `copy` PENDING, and due at once, else READY. null where it is
   * not FAILED.
   */
  retryFailed(
    tenant: TenantId,
    id: MediaId,
    how: { readonly copy: boolean; readonly now: Date },
  ): Promise<CataloguedMedia | null>;

  /** Leases due media, the earliest `availableUntil` first, then the oldest. No two claims get the same. */
  claimMirrors(claim: Claim): Promise<MirrorJob[]>;
  /** @returns those whose leases are the owner's still, also where their time was over */
  renewLeases<Name extends MediaName>(
    owner: string,
    media: readonly Name[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Name>>;
  /** @returns whether the lease is the owner's still; see `WorkQueue.setAlone` */
  setAlone(owner: string, media: MediaName, isAlone: boolean): Promise<boolean>;
  /** Hands back all that the owner holds, due at once, its attempt not counted. */
  releaseMirrors(owner: string): Promise<void>;
  /** Without effect when the lease is another's by now, as the next two. */
  retryMirror(tenant: TenantId, id: MediaId, owner: string, next: MirrorRetry, now: Date): Promise<void>;
  /** Not named where the lease is another's, or the row knows another hash; see {@link markStored}. */
  finishMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    bytes: { readonly stored: StoredBytes; readonly details: FoundDetails },
    now: Date,
  ): Promise<Kept>;
  failMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    end: { readonly status: 'FAILED' | 'EXPIRED'; readonly failure: MediaFailure },
  ): Promise<void>;
  /** Ends every lease. Only for a process that knows that it is alone, before its first claim. @returns how many */
  abandonLeases(): Promise<number>;

  /** A device is gone and its media with it: what is not stored here is EXPIRED. @returns how many media */
  expireDevice(tenant: TenantId, channelId: ChannelId, providerMediaIdPrefix: string, now: Date): Promise<number>;
  /**
   * Media whose time is over here, or at the provider with nothing stored and no copy under way, become EXPIRED. What is
   * returned still says what was stored, since the caller removes those bytes; the rows own them no more.
   */
  expireDue(now: Date, limit: number): Promise<CataloguedMedia[]>;
  /** How many {@link expireDue} would find. */
  countExpirable(now: Date): Promise<number>;
  /** What the rows of these names have stored; those that have nothing stored are absent. */
  findStored<Name extends MediaName>(
    names: readonly Name[],
  ): Promise<ReadonlyMap<Name, Pick<StoredBytes, 'key' | 'sha256'>>>;
  counts(): Promise<CatalogueCounts>;
}

export class SqlMediaCatalogue implements MediaCatalogue {
  readonly #db: Database['kysely'];
  readonly #mirrors: WorkQueue<'media'>;

  readonly #writeCount: Database['writeCount'];
  /** By tenant and message, as of a count of writes; null: nobody told of it. Used where this process alone writes. */
  readonly #remembered = new LRUCache<string, { readonly record: MessageRecord | null }>(upTo(REMEMBERED_MESSAGES));
  #rememberedAsOf = -1;

  constructor({ kysely, writeCount = null }: Pick<Database, 'kysely'> & Partial<Pick<Database, 'writeCount'>>) {
    this.#db = kysely;
    this.#mirrors = new WorkQueue(kysely, MIRRORS);
    this.#writeCount = writeCount;
  }

  async findByIds(tenant: TenantId, ids: readonly MediaId[]): Promise<ReadonlyMap<MediaId, CataloguedMedia>> {
    if (ids.length === 0) return new Map();
    const { rows } = await sql<MediaRow>`
      select media.* from unnest(${[...ids]}::text[]) as asked (id)
      join lateral (
        select * from media where tenant = ${tenant} and id = asked.id and not buried offset 0
      ) as media on true`.execute(this.#db);
    return new Map(rows.map((row) => [row.id, toCataloguedMedia(row)]));
  }

  async findByMessages(tenant: TenantId, keys: readonly MessageKey[]): Promise<ReadonlyMap<string, MessageRecord>> {
    if (!this.#writeCount) return this.#askForMessages(tenant, keys);
    const asOf = this.#writeCount();
    if (asOf !== this.#rememberedAsOf) this.#remembered.clear();
    this.#rememberedAsOf = asOf;
    const records = new Map<string, MessageRecord>();
    const unknown = keys.filter((key) => {
      const known = this.#remembered.get(nameOf(tenant, key));
      if (known?.record) records.set(formatMessageId(key), known.record);
      return !known;
    });
    const found = await this.#askForMessages(tenant, unknown);
    for (const [message, record] of found) records.set(message, record);
    // What was read while something was written may be of before.
    if (this.#writeCount() !== asOf) return records;
    for (const key of unknown)
      this.#remembered.set(nameOf(tenant, key), { record: found.get(formatMessageId(key)) ?? null });
    return records;
  }

  async #askForMessages(tenant: TenantId, keys: readonly MessageKey[]): Promise<ReadonlyMap<string, MessageRecord>> {
    if (keys.length === 0) return new Map();
    const { rows } = await sql<MessageRow>`
      select asked.channel_id, asked.provider_message_id, ${COLUMNS_OF_MESSAGE}, media.recorded_at, listing.listed_at,
        listing.first_seen_at
      from unnest(
        ${keys.map(({ channelId }) => channelId)}::text[],
        ${keys.map(({ providerMessageId }) => providerMessageId)}::text[]
      ) as asked (channel_id, provider_message_id)
      -- One look into an index for each message, whatever the statistics say (offset 0 keeps the planner from joining).
      left join lateral (
        select * from message_listings
        where tenant = ${tenant} and provider_message_id = asked.provider_message_id and channel_id = asked.channel_id
        offset 0
      ) as listing on true
      left join lateral (
        select * from media
        where tenant = ${tenant} and provider_message_id = asked.provider_message_id and channel_id = asked.channel_id
        offset 0
      ) as media on true
      where listing.tenant is not null or media.tenant is not null
      order by media.position, media.recorded_at, media.id`.execute(this.#db);
    return toRecords(rows);
  }

  async findKeysByProviderMessageIds(
    tenant: TenantId,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, readonly MessageKey[]>> {
    const found = new Map<string, MessageKey[]>();
    if (ids.length === 0) return found;
    const { rows } = await sql<{ channel_id: ChannelId; provider_message_id: string }>`
      select known.provider_message_id, known.channel_id
      from unnest(${[...ids]}::text[]) as asked (provider_message_id)
      join lateral (
        select provider_message_id, channel_id from media
        where tenant = ${tenant} and provider_message_id = asked.provider_message_id
        union
        select provider_message_id, channel_id from message_listings
        where tenant = ${tenant} and provider_message_id = asked.provider_message_id
        offset 0
      ) as known on true
      order by 1, 2`.execute(this.#db);
    for (const { channel_id: channelId, provider_message_id: providerMessageId } of rows) {
      const keys = found.get(providerMessageId) ?? [];
      found.set(providerMessageId, [...keys, { channelId, providerMessageId }]);
    }
    return found;
  }

  async recordListings(tenant: TenantId, listings: readonly Listing[], recording: Recording): Promise<void> {
    if (listings.length > 0) await listingsStatement(tenant, listings, recording).execute(this.#db);
  }

  async recordAnnouncement(
    tenant: TenantId,
    media: readonly MessageMedia[],
    options: Recording & { readonly mirror: boolean },
  ): Promise<void> {
    if (media.length > 0) await announcementStatement(tenant, media, options).execute(this.#db);
  }

  async recordDescriptions(tenant: TenantId, descriptions: readonly Description[], now: Date): Promise<void> {
    if (descriptions.length > 0) await descriptionsStatement(tenant, descriptions, now).execute(this.#db);
  }

  async transition(
    tenant: TenantId,
    id: MediaId,
    from: readonly MediaStatus[],
    to: MediaStatus,
    patch: MediaPatch,
    now: Date,
  ): Promise<CataloguedMedia | null> {
    const row = await this.#db
      .updateTable('media')
      .set({ status: to, updated_at: now, ...patchColumns(patch) })
      .$if(to !== 'PENDING' && to !== 'READY', (update) => update.set(offQueue('failed')))
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where(sql<boolean>`status = any(${[...from]}::text[])`)
      .returningAll()
      .executeTakeFirst();
    return row ? toCataloguedMedia(row) : null;
  }

  async applyMessageChanges(tenant: TenantId, changes: readonly MessageChange[], now: Date): Promise<number> {
    if (changes.length === 0) return 0;
    const { rows } = await changesStatement(tenant, changes, now).execute(this.#db);
    return rows[0]?.known ?? 0;
  }

  async markStored(
    tenant: TenantId,
    id: MediaId,
    {
      stored,
      details,
      replacing,
    }: { readonly stored: StoredBytes; readonly details: FoundDetails; readonly replacing: string | null },
    now: Date,
  ): Promise<Kept> {
    const { numUpdatedRows } = await this.#naming(stored, details, now)
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('status', 'in', ['PENDING', 'READY', 'FAILED'])
      .where('uploaded', '=', false)
      .where(sql<boolean>`(stored_at is null or blob_key = ${replacing})`)
      // Of bytes that were lost, the hash was measured; what is fetched in their place may differ.
      .where(sql<boolean>`(sha256 is null or sha256 = ${stored.sha256} or blob_key = ${replacing})`)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return { isNamed: true };
    return { media: await this.#live(tenant, id), isNamed: false };
  }

  async recordMeasures(
    tenant: TenantId,
    id: MediaId,
    { key, measures, mimeType, kind }: FoundInBytes,
    now: Date,
  ): Promise<void> {
    await this.#db
      .updateTable('media')
      .set({ ...measuresColumns(measures), inspection_due: false, updated_at: now })
      .set({ mime_type: mimeType, stored_mime_type: mimeType, kind })
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('blob_key', '=', key)
      .where('status', 'in', ['PENDING', 'READY'])
      .execute();
  }

  async findUninspected(storedBefore: Date, limit: number): Promise<CataloguedMedia[]> {
    const rows = await this.#db
      .selectFrom('media')
      .selectAll()
      .where('inspection_due', '=', true)
      .where('stored_at', '<=', storedBefore)
      .where('status', '=', 'READY')
      .orderBy('stored_at')
      .limit(limit)
      .execute();
    return rows.map(toCataloguedMedia);
  }

  async retryFailed(
    tenant: TenantId,
    id: MediaId,
    { copy, now }: { readonly copy: boolean; readonly now: Date },
  ): Promise<CataloguedMedia | null> {
    const row = await this.#db
      .updateTable('media')
      .set({
        status: copy ? 'PENDING' : 'READY',
        ...(copy ? {} : { was_ready: true }),
        updated_at: now,
        ...failureColumns(null),
      })
      .$if(copy, (update) => update.set(begunAnew(now)))
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('status', '=', 'FAILED')
      .returningAll()
      .executeTakeFirst();
    return row ? toCataloguedMedia(row) : null;
  }

  async claimMirrors(claim: Claim): Promise<MirrorJob[]> {
    const rows = await this.#mirrors.claim(claim);
    return rows.sort(byDeadline).map((row) => ({
      ...historyOf(row),
      media: toCataloguedMedia(row),
      attempts: row.mirror_attempts,
      since: row.mirror_since ?? row.recorded_at,
    }));
  }

  renewLeases<Name extends MediaName>(
    owner: string,
    media: readonly Name[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Name>> {
    return this.#mirrors.renew(owner, media, now, leaseMs);
  }

  setAlone(owner: string, media: MediaName, isAlone: boolean): Promise<boolean> {
    return this.#mirrors.setAlone(owner, media, isAlone);
  }

  async releaseMirrors(owner: string): Promise<void> {
    await this.#mirrors.release(owner);
  }

  async retryMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { dueAt, failure, isFailed }: MirrorRetry,
    now: Date,
  ): Promise<void> {
    await this.#leased(tenant, id, owner)
      .set({ mirror_due_at: dueAt, ...failureColumns(failure), ...UNLEASED })
      // What was READY because it was listed, its provider cannot give after all.
      .$if(isFailed, (update) => update.set({ status: 'FAILED', updated_at: now }))
      .execute();
  }

  async finishMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { stored, details }: { readonly stored: StoredBytes; readonly details: FoundDetails },
    now: Date,
  ): Promise<Kept> {
    const { numUpdatedRows } = await this.#naming(stored, details, now)
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('lease_owner', '=', owner)
      .where('mirror_state', '=', 'due')
      .where('stored_at', 'is', null)
      .where(sql<boolean>`(sha256 is null or sha256 = ${stored.sha256})`)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return { isNamed: true };
    return { media: await this.#live(tenant, id), isNamed: false };
  }

  async failMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { status, failure }: { readonly status: 'FAILED' | 'EXPIRED'; readonly failure: MediaFailure },
  ): Promise<void> {
    await this.#leased(tenant, id, owner)
      .set({ status, updated_at: failure.at, ...offQueue('failed'), ...failureColumns(failure) })
      .execute();
  }

  abandonLeases(): Promise<number> {
    return this.#mirrors.abandon();
  }

  async expireDevice(
    tenant: TenantId,
    channelId: ChannelId,
    providerMediaIdPrefix: string,
    now: Date,
  ): Promise<number> {
    const result = await this.#db
      .updateTable('media')
      .set({ status: 'EXPIRED', updated_at: now, ...offQueue('failed') })
      .where('tenant', '=', tenant)
      .where('channel_id', '=', channelId)
      .where('provider_media_id', 'like', `${providerMediaIdPrefix.replace(/[\\%_]/g, '\\$&')}%`)
      .where('stored_at', 'is', null)
      .where('status', 'in', ['PENDING', 'READY', 'FAILED'])
      .executeTakeFirst();
    return Number(result.numUpdatedRows);
  }

  async expireDue(now: Date, limit: number): Promise<CataloguedMedia[]> {
    const { rows } = await sql<MediaRow>`
      with over_here as (
        select tenant, id from media where ${OVER_HERE(now)} order by expires_at limit ${limit} for update skip locked
      ), over_there as (
        select tenant, id from media where ${OVER_THERE(now)} order by available_until limit ${limit}
        for update skip locked
      ), ended as (
        select * from over_here union select * from over_there limit ${limit}
      ), upload as (
        -- An upload that is under way finds that it is no longer its own.
        delete from uploads using ended where uploads.tenant = ended.tenant and uploads.media_id = ended.id
      )
      update media
      set status = 'EXPIRED', updated_at = ${now}, mirror_state = ${endOfMirror('failed')}, lease_owner = null,
        lease_until = null, lease_alone = false, ${withoutBytes()}
      from ended
      where media.tenant = ended.tenant and media.id = ended.id
      returning media.*`.execute(this.#db);
    return rows.map(toCataloguedMedia);
  }

  async countExpirable(now: Date): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select count(*) from (
        select tenant, id from media where ${OVER_HERE(now)}
        union
        select tenant, id from media where ${OVER_THERE(now)}
      ) as expirable`.execute(this.#db);
    return rows[0]?.count ?? 0;
  }

  async findStored<Name extends MediaName>(
    names: readonly Name[],
  ): Promise<ReadonlyMap<Name, Pick<StoredBytes, 'key' | 'sha256'>>> {
    const found = new Map<Name, Pick<StoredBytes, 'key' | 'sha256'>>();
    if (names.length === 0) return found;
    const { rows } = await sql<{ place: number; key: string; sha256: string }>`
      select asked.place, media.blob_key as key, media.stored_sha256 as sha256
      from unnest(${names.map(({ tenant }) => tenant)}::text[], ${names.map(({ id }) => id)}::text[])
        with ordinality as asked (tenant, id, place)
      join media on media.tenant = asked.tenant and media.id = asked.id
      where media.stored_at is not null and media.status not in ('DELETED', 'EXPIRED')`.execute(this.#db);
    for (const { place, key, sha256 } of rows) {
      const name = names[Number(place) - 1];
      if (name) found.set(name, { key, sha256 });
    }
    return found;
  }

  async counts(): Promise<CatalogueCounts> {
    const { rows } = await sql<{ status: MediaStatus | null; count: number }>`
      select status, count(*) from media group by status
      union all
      select null, count(*) from media where mirror_state = 'due'`.execute(this.#db);
    const of = (status: MediaStatus | null) => rows.find((row) => row.status === status)?.count ?? 0;
    return {
      mediaByStatus: {
        PENDING: of('PENDING'),
        READY: of('READY'),
        FAILED: of('FAILED'),
        DELETED: of('DELETED'),
        EXPIRED: of('EXPIRED'),
      },
      mirrorsDue: of(null),
    };
  }

  /** An update that makes a row name these bytes, whose conditions are the caller's to add. */
  #naming(stored: StoredBytes, { mimeType, filename, kind }: FoundDetails, now: Date) {
    // The bytes' own facts take the place of every claim; what they do not tell stays.
    const told = { mimeType: mimeType ?? stored.mimeType ?? undefined, filename: filename ?? undefined };
    return this.#db
      .updateTable('media')
      .set({
        status: 'READY',
        was_ready: true,
        updated_at: now,
        ...offQueue('done'),
        ...failureColumns(null),
        ...storedColumns(stored),
      })
      .set(patchColumns({ ...told, kind: kind ?? undefined }))
      .set(UNSUSPECTED);
  }

  /** null where there is no row, or it has ended. */
  async #live(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    const media = (await this.findByIds(tenant, [id])).get(id);
    return media && media.status !== 'DELETED' && media.status !== 'EXPIRED' ? media : null;
  }

  /** An update of a media that the owner is copying; the row of a media whose end has come is on no queue. */
  #leased(tenant: TenantId, id: MediaId, owner: string) {
    return this.#db
      .updateTable('media')
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('lease_owner', '=', owner)
      .where('mirror_state', '=', 'due');
  }
}

/** Some thousand bytes each. */
const REMEMBERED_MESSAGES = 5_000;

function nameOf(tenant: TenantId, { channelId, providerMessageId }: MessageKey): string {
  return `${tenant}\n${channelId}\n${providerMessageId}`;
}

/** Without media of its message where only a listing is known. */
type MessageRow = MessageKeyColumns & {
  readonly listed_at: Date | null;
  readonly first_seen_at: Date | null;
} & (RowOfMessage | { readonly id: null });

interface MessageKeyColumns {
  readonly channel_id: ChannelId;
  readonly provider_message_id: string;
}

type RowOfMessage = CataloguedRow & Pick<MediaRow, 'recorded_at'>;

/** Those of a message's media but for the message's own; one that is forgotten here does not compile. */
const OF_MESSAGE: Readonly<Record<Exclude<keyof RowOfMessage, keyof MessageKeyColumns>, true>> = {
  tenant: true,
  id: true,
  provider: true,
  provider_media_id: true,
  download_url: true,
  described: true,
  status: true,
  kind: true,
  mime_type: true,
  size_bytes: true,
  sha256: true,
  filename: true,
  caption: true,
  voice: true,
  contact: true,
  direction: true,
  created_at: true,
  available_until: true,
  recorded_at: true,
  updated_at: true,
  revoked_at: true,
  was_ready: true,
  announced: true,
  uploaded: true,
  failure_reason: true,
  failure_code: true,
  failure_retryable: true,
  failed_at: true,
  deletion_scope: true,
  stored_at: true,
  stored_size_bytes: true,
  stored_sha256: true,
  stored_mime_type: true,
  blob_key: true,
  width: true,
  height: true,
  duration_seconds: true,
  thumb_hash: true,
  page_count: true,
  has_still: true,
  mirror_state: true,
  expires_at: true,
};
const COLUMNS_OF_MESSAGE = sql.raw(
  Object.keys(OF_MESSAGE)
    .map((column) => `media.${column}`)
    .join(', '),
);

function toRecords(rows: readonly MessageRow[]): ReadonlyMap<string, MessageRecord> {
  const byMessage = new Map<string, MessageRow[]>();
  for (const row of rows) {
    const message = formatMessageId({ channelId: row.channel_id, providerMessageId: row.provider_message_id });
    const others = byMessage.get(message);
    if (others) others.push(row);
    else byMessage.set(message, [row]);
  }
  const records = new Map<string, MessageRecord>();
  for (const [message, ofMessage] of byMessage) {
    const media = ofMessage.flatMap((row) => (row.id === null ? [] : [row]));
    const [listing] = ofMessage;
    const seenAt = [listing?.first_seen_at, ...media.map((row) => row.recorded_at)].filter((time) => !!time);
    records.set(message, {
      media: media.map(toCataloguedMedia),
      listedAt: listing?.listed_at ?? null,
      firstSeenAt: new Date(Math.min(...seenAt.map((time) => time.getTime()))),
      announced: media.some((row) => row.announced),
    });
  }
  return records;
}

/** Rows that have outlived their time here. */
const OVER_HERE = (now: Date) => sql`expires_at <= ${now} and status in ('PENDING', 'READY', 'FAILED')`;

/** Rows whose bytes are nowhere any more; a copy that is under way may still bring them. */
const OVER_THERE = (now: Date) => sql`available_until <= ${now} and stored_at is null
  and status in ('PENDING', 'READY') and (lease_until is null or lease_until <= ${now})`;

const endOfMirror = (end: 'done' | 'failed') =>
  sql<typeof end | null>`case when mirror_state = 'due' then ${end} else mirror_state end`;

function offQueue(end: 'done' | 'failed') {
  return { mirror_state: endOfMirror(end), ...UNLEASED };
}

/** Copied from the start, as if it had just become known. */
function begunAnew(now: Date) {
  return {
    mirror_state: 'due' as const,
    mirror_due_at: now,
    mirror_attempts: 0,
    mirror_since: now,
    ...UNLEASED,
    ...UNSUSPECTED,
  };
}

const MIRRORS = {
  table: 'media',
  key: { tenant: 'text', id: 'text' },
  attempts: 'mirror_attempts',
  isDue: (now: Date) => sql`mirror_state = 'due' and mirror_due_at <= ${now}`,
  order: sql`available_until asc nulls last, recorded_at`,
} as const satisfies Queue;

/** As claims are ordered: an update returns its rows in no order. */
function byDeadline(a: MediaRow, b: MediaRow): number {
  const [first, second] = [a, b].map((row) => row.available_until?.getTime() ?? Number.POSITIVE_INFINITY);
  return first === second ? a.recorded_at.getTime() - b.recorded_at.getTime() : (first ?? 0) - (second ?? 0);
}
