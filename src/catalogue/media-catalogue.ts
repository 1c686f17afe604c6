import { sql } from 'kysely';
import { LRUCache } from 'lru-cache';
import type { ChannelId, TenantId } from '../model/channel.js';
import { formatMessageId } from '../model/ids.js';
import type { MediaDetails, MediaId, MediaStatus, MessageKey, MessageMedia } from '../model/media.js';
import type {
  CatalogueCounts,
  CataloguedMedia,
  Description,
  Listing,
  MediaName,
  MediaPatch,
  MessageRecord,
  MirrorClaim,
  Recording,
  StoredBytes,
} from './catalogued-media.js';
import type { Database } from './database.js';
import { later } from './later.js';
import {
  type CataloguedRow,
  type MediaRow,
  patchColumns,
  storable,
  storedColumns,
  toCataloguedMedia,
} from './media-rows.js';
import { announcementStatement, descriptionsStatement, listingsStatement } from './record-media.js';

export type * from './catalogued-media.js';

/** What the bytes, and the headers before them, told. null = nothing, and what is known stays. */
export type FoundDetails = Partial<Pick<MediaDetails, 'mimeType' | 'filename'>>;

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
   * by null, nor a measured one by a claim. A status stays, but for a PENDING that nobody copies and that is now READY.
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
   * Bytes that were kept while they were delivered: READY, and off the queue. null, and nothing changed, where there is
   * no row or its end has come: then the caller removes the bytes.
   */
  markStored(
    tenant: TenantId,
    id: MediaId,
    stored: StoredBytes,
    details: FoundDetails,
    now: Date,
  ): Promise<CataloguedMedia | null>;

  /** Leases due media, the earliest `availableUntil` first, then the oldest. No two claims get the same. */
  claimMirrors(claim: MirrorClaim): Promise<CataloguedMedia[]>;
  /** The owner's leases of these media, also those whose time is over, while nobody else took them. */
  renewLeases(owner: string, media: readonly MediaName[], now: Date, leaseMs: number): Promise<void>;
  /** Hands back all that the owner holds, due at once, its attempt not counted. */
  releaseMirrors(owner: string, now: Date): Promise<void>;
  /** Without effect when the lease is another's by now, as are the next two. */
  retryMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    next: { readonly dueAt: Date; readonly reason: string },
  ): Promise<void>;
  /** @returns whether the lease was still the owner's; if not, what happens to the bytes is another's decision */
  finishMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    stored: StoredBytes,
    details: FoundDetails,
    now: Date,
  ): Promise<boolean>;
  failMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    end: { readonly status: 'FAILED' | 'EXPIRED'; readonly reason: string; readonly now: Date },
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
  /** Those of the given names whose rows own stored bytes. */
  existing<Name extends MediaName>(names: readonly Name[]): Promise<ReadonlySet<Name>>;
  counts(): Promise<CatalogueCounts>;
}

export class SqlMediaCatalogue implements MediaCatalogue {
  readonly #db: Database['kysely'];

  readonly #writeCount: Database['writeCount'];
  /** By tenant and message, as of a count of writes; null: nobody told of it. Used where this process alone writes. */
  readonly #remembered = new LRUCache<string, { readonly record: MessageRecord | null }>({ max: REMEMBERED_MESSAGES });
  #rememberedAsOf = -1;

  constructor({ kysely, writeCount = null }: Pick<Database, 'kysely'> & Partial<Pick<Database, 'writeCount'>>) {
    this.#db = kysely;
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
    const leavesQueue = to !== 'PENDING' && (to !== 'READY' || patch.stored);
    const row = await this.#db
      .updateTable('media')
      .set({ status: to, updated_at: now, ...patchColumns(patch) })
      .$if(Boolean(leavesQueue), (update) => update.set(offQueue(to === 'READY' ? 'done' : 'failed')))
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where(sql<boolean>`status = any(${[...from]}::text[])`)
      .returningAll()
      .executeTakeFirst();
    return row ? toCataloguedMedia(row) : null;
  }

  markStored(
    tenant: TenantId,
    id: MediaId,
    stored: StoredBytes,
    details: FoundDetails,
    now: Date,
  ): Promise<CataloguedMedia | null> {
    const patch = { ...measuredDetails(stored, details), stored, failureReason: null };
    return this.transition(tenant, id, ['PENDING', 'READY'], 'READY', patch, now);
  }

  async claimMirrors({ owner, now, limit, leaseMs }: MirrorClaim): Promise<CataloguedMedia[]> {
    const { rows } = await sql<MediaRow>`
      with picked as (
        select tenant, id from media
        where mirror_state = 'due' and mirror_due_at <= ${now} and (lease_until is null or lease_until <= ${now})
        order by available_until asc nulls last, recorded_at
        limit ${limit}
        for update skip locked
      )
      update media
      set lease_owner = ${owner}, lease_until = ${later(now, leaseMs)}, mirror_attempts = mirror_attempts + 1
      from picked
      where media.tenant = picked.tenant and media.id = picked.id
      returning media.*`.execute(this.#db);
    return rows.sort(byDeadline).map(toCataloguedMedia);
  }

  async renewLeases(owner: string, media: readonly MediaName[], now: Date, leaseMs: number): Promise<void> {
    await sql`
      update media set lease_until = ${later(now, leaseMs)}
      from unnest(${media.map(({ tenant }) => tenant)}::text[], ${media.map(({ id }) => id)}::text[]) as held (tenant, id)
      where media.tenant = held.tenant and media.id = held.id and media.lease_owner = ${owner}`.execute(this.#db);
  }

  async releaseMirrors(owner: string, now: Date): Promise<void> {
    await this.#db
      .updateTable('media')
      .set({
        lease_owner: null,
        lease_until: null,
        mirror_due_at: now,
        mirror_attempts: sql`greatest(mirror_attempts - 1, 0)`,
      })
      .where('lease_owner', '=', owner)
      .execute();
  }

  async retryMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { dueAt, reason }: { readonly dueAt: Date; readonly reason: string },
  ): Promise<void> {
    await this.#leased(tenant, id, owner)
      .set({ mirror_due_at: dueAt, failure_reason: storable(reason), lease_owner: null, lease_until: null })
      .execute();
  }

  async finishMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    stored: StoredBytes,
    details: FoundDetails,
    now: Date,
  ): Promise<boolean> {
    const { numUpdatedRows } = await this.#leased(tenant, id, owner)
      .set({ status: 'READY', updated_at: now, ...offQueue('done'), failure_reason: null, ...storedColumns(stored) })
      .set(patchColumns(measuredDetails(stored, details)))
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  async failMirror(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { status, reason, now }: { readonly status: 'FAILED' | 'EXPIRED'; readonly reason: string; readonly now: Date },
  ): Promise<void> {
    await this.#leased(tenant, id, owner)
      .set({ status, updated_at: now, ...offQueue('failed'), failure_reason: storable(reason) })
      .execute();
  }

  async abandonLeases(): Promise<number> {
    const result = await this.#db
      .updateTable('media')
      .set({ lease_owner: null, lease_until: null })
      .where('lease_owner', 'is not', null)
      .executeTakeFirst();
    return Number(result.numUpdatedRows);
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
    const { rows } = await sql<ExpiredRow>`
      with over_here as (
        select tenant, id, stored_at, stored_size_bytes, stored_sha256, stored_mime_type from media where ${OVER_HERE(now)} order by expires_at limit ${limit} for update skip locked
      ), over_there as (
        select tenant, id, stored_at, stored_size_bytes, stored_sha256, stored_mime_type from media where ${OVER_THERE(now)} order by available_until limit ${limit}
        for update skip locked
      ), before as (
        select * from over_here union select * from over_there limit ${limit}
      )
      update media
      set status = 'EXPIRED', updated_at = ${now}, mirror_state = ${endOfMirror('failed')}, lease_owner = null,
        lease_until = null, stored_at = null, stored_size_bytes = null, stored_sha256 = null, stored_mime_type = null
      from before
      where media.tenant = before.tenant and media.id = before.id
      returning media.*, before.stored_at as was_stored_at, before.stored_size_bytes as was_size_bytes,
        before.stored_sha256 as was_sha256, before.stored_mime_type as was_mime_type`.execute(this.#db);
    return rows.map((row) =>
      toCataloguedMedia({
        ...row,
        stored_at: row.was_stored_at,
        stored_size_bytes: row.was_size_bytes,
        stored_sha256: row.was_sha256,
        stored_mime_type: row.was_mime_type,
      }),
    );
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

  async existing<Name extends MediaName>(names: readonly Name[]): Promise<ReadonlySet<Name>> {
    if (names.length === 0) return new Set();
    const { rows } = await sql<{ place: number }>`
      select asked.place
      from unnest(${names.map(({ tenant }) => tenant)}::text[], ${names.map(({ id }) => id)}::text[])
        with ordinality as asked (tenant, id, place)
      join media on media.tenant = asked.tenant and media.id = asked.id
      where media.stored_at is not null and media.status not in ('DELETED', 'EXPIRED')`.execute(this.#db);
    const places = new Set(rows.map(({ place }) => place - 1));
    return new Set(names.filter((_, index) => places.has(index)));
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

  // Private: an update of a media that the owner is copying; the row of a media whose end has come is on no queue.
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

type ExpiredRow = MediaRow & {
  readonly was_stored_at: Date | null;
  readonly was_size_bytes: number | null;
  readonly was_sha256: string | null;
  readonly was_mime_type: string | null;
};

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
  created_at: true,
  available_until: true,
  recorded_at: true,
  announced: true,
  uploaded: true,
  failure_reason: true,
  failure_code: true,
  deletion_scope: true,
  stored_at: true,
  stored_size_bytes: true,
  stored_sha256: true,
  stored_mime_type: true,
  width: true,
  height: true,
  duration_seconds: true,
  thumb_hash: true,
  mirror_state: true,
  mirror_attempts: true,
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
  return { mirror_state: endOfMirror(end), lease_owner: null, lease_until: null };
}

/** The bytes' own facts take the place of every claim; what they do not tell stays. */
function measuredDetails(stored: StoredBytes, details: FoundDetails): MediaPatch {
  return {
    sizeBytes: stored.sizeBytes,
    sha256: stored.sha256,
    mimeType: details.mimeType ?? stored.mimeType ?? undefined,
    filename: details.filename ?? undefined,
  };
}

/** As claims are ordered: an update returns its rows in no order. */
function byDeadline(a: MediaRow, b: MediaRow): number {
  const [first, second] = [a, b].map((row) => row.available_until?.getTime() ?? Number.POSITIVE_INFINITY);
  return first === second ? a.recorded_at.getTime() - b.recorded_at.getTime() : (first ?? 0) - (second ?? 0);
}
