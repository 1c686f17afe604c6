import { sql } from 'kysely';
import type { Database } from '../../database/database.js';
import { addedJobs, droppedJobs } from '../../jobs/job-statements.js';
import type { ChannelId, TenantId } from '../../model/channel.js';
import { addMilliseconds } from '../../model/clock.js';
import type { MessageId } from '../../model/ids.js';
import type { JobKind } from '../../model/job-kind.js';
import type { MediaId, MediaStatus, MessageKey, MessageMedia } from '../../model/media.js';
import { assignments, catalogued, withoutBytes } from './column-lists.js';
import { findLive } from './copies.js';
import type {
  CatalogueCounts,
  CataloguedMedia,
  Description,
  FoundDetails,
  FoundInBytes,
  Kept,
  Listing,
  MediaCatalogue,
  MediaName,
  MediaPatch,
  MessageChange,
  MessageRecord,
  Recording,
  StoredBytes,
} from './media-catalogue.js';
import type { CataloguedRow, MediaChanges } from './media-columns.js';
import { failureColumns, measuresColumns, namedBytes, patchColumns, toCataloguedMedia } from './media-rows.js';
import type { MessageMemory } from './message-memory.js';
import { selectMessageRecords } from './message-records.js';
import { announcementStatement, changesStatement, descriptionsStatement, listingsStatement } from './record-media.js';

/** The kinds of jobs that end together with their media. */
const JOBS_OF_MEDIA: readonly JobKind[] = ['copy', 'upload', 'inspection'];
/** The process that stored the bytes inspects them immediately. The job does it if that process crashes. */
const INSPECTED_WITHIN_MS = 60_000;

export class SqlMediaCatalogue implements MediaCatalogue {
  readonly #db: Database['kysely'];
  readonly #reads: Database['reads'];

  /** @param memory of the records of messages; without one, each look-up reads the database */
  constructor(
    { kysely, reads }: Pick<Database, 'kysely' | 'reads'>,
    private readonly memory: MessageMemory | null = null,
  ) {
    this.#db = kysely;
    this.#reads = reads;
  }

  async findByIds(tenant: TenantId, ids: readonly MediaId[]): Promise<ReadonlyMap<MediaId, CataloguedMedia>> {
    if (ids.length === 0) return new Map();
    const { rows } = await sql<CataloguedRow>`
      select ${catalogued()} from unnest(${[...ids]}::text[]) as asked (id)
      join lateral (
        select * from media where tenant = ${tenant} and id = asked.id and not buried offset 0
      ) as media on true`.execute(this.#reads);
    return new Map(rows.map((row) => [row.id, toCataloguedMedia(row)]));
  }

  async findByMessages(tenant: TenantId, keys: readonly MessageKey[]): Promise<ReadonlyMap<MessageId, MessageRecord>> {
    const select = (unknown: readonly MessageKey[]) => selectMessageRecords(this.#reads, tenant, unknown);
    return this.memory ? this.memory.find(tenant, keys, select) : select(keys);
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
      order by 1, 2`.execute(this.#reads);
    for (const { channel_id: channelId, provider_message_id: providerMessageId } of rows) {
      const keys = found.get(providerMessageId) ?? [];
      found.set(providerMessageId, [...keys, { channelId, providerMessageId }]);
    }
    return found;
  }

  async recordListings(tenant: TenantId, listings: readonly Listing[], now: Date): Promise<void> {
    if (listings.length > 0) await listingsStatement(tenant, listings, now).execute(this.#db);
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
    const ends = to !== 'PENDING' && to !== 'READY';
    const columns = { ...patchColumns(patch), status: to, updated_at: now };
    const { rows } = await sql<CataloguedRow>`
      with changed as (
        update media set ${assignments(columns)}, mirror_state = ${ends ? endOfCopy('failed') : sql.ref('mirror_state')}
        where tenant = ${tenant} and id = ${id} and status = any(${[...from]}::text[])
        returning ${catalogued()}
      ), dropped as (${droppedJobs(ends ? JOBS_OF_MEDIA : [], 'changed')})
      select * from changed`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
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
    const inspection = sql`select tenant, id, channel_id, null::timestamptz,
      ${addMilliseconds(now, INSPECTED_WITHIN_MS)}::timestamptz, null::jsonb from named`;
    const { rows } = await sql`
      with named as (
        update media set ${assignments(namedBytes(stored, details, now))}, mirror_state = ${endOfCopy('done')}
        where tenant = ${tenant} and id = ${id} and status in ('PENDING', 'READY', 'FAILED') and not uploaded
          and (stored_at is null or blob_key = ${replacing})
          -- The hash of lost bytes was measured; bytes that are fetched in their place may differ.
          and (sha256 is null or sha256 = ${stored.sha256} or blob_key = ${replacing})
        returning tenant, id, channel_id
      ), copied as (${droppedJobs(['copy'], 'named')}),
      inspected as (${stored.measures === null ? addedJobs({ kind: 'inspection', now, rows: inspection }) : sql`select`})
      select id from named`.execute(this.#db);
    if (rows.length > 0) return { isNamed: true };
    return { isNamed: false, media: await findLive(this.#reads, tenant, id) };
  }

  async recordMeasures(
    tenant: TenantId,
    id: MediaId,
    { key, measures, mimeType, kind }: FoundInBytes,
    now: Date,
  ): Promise<void> {
    const columns = {
      ...measuresColumns(measures),
      mime_type: mimeType,
      stored_mime_type: mimeType,
      kind,
      updated_at: now,
    };
    await sql`
      with measured as (
        update media set ${assignments(columns)}
        where tenant = ${tenant} and id = ${id} and blob_key = ${key} and status in ('PENDING', 'READY')
        returning tenant, id
      )
      ${droppedJobs(['inspection'], 'measured')}`.execute(this.#db);
  }

  async retryFailed(
    tenant: TenantId,
    id: MediaId,
    { copy, now }: { readonly copy: boolean; readonly now: Date },
  ): Promise<CataloguedMedia | null> {
    const begun: MediaChanges = copy
      ? { status: 'PENDING', mirror_state: 'open' }
      : { status: 'READY', was_ready: true };
    const columns = { ...failureColumns(null), ...begun, updated_at: now };
    const job = sql`select tenant, id, channel_id, available_until, ${now}::timestamptz, null::jsonb from begun`;
    const { rows } = await sql<CataloguedRow>`
      with begun as (
        update media set ${assignments(columns)} where tenant = ${tenant} and id = ${id} and status = 'FAILED'
        returning ${catalogued()}
      ), added as (${copy ? addedJobs({ kind: 'copy', now, rows: job }) : droppedJobs(['copy'], 'begun')})
      select * from begun`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  async expireDevice(
    tenant: TenantId,
    channelId: ChannelId,
    providerMediaIdPrefix: string,
    now: Date,
  ): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      with ended as (
        update media set status = 'EXPIRED', updated_at = ${now}, mirror_state = ${endOfCopy('failed')}
        where tenant = ${tenant} and channel_id = ${channelId}
          and provider_media_id like ${`${providerMediaIdPrefix.replace(/[\\%_]/g, '\\$&')}%`}
          and stored_at is null and status in ('PENDING', 'READY', 'FAILED')
        returning tenant, id
      ), dropped as (${droppedJobs(JOBS_OF_MEDIA, 'ended')})
      select count(*)::integer as count from ended`.execute(this.#db);
    return rows[0]?.count ?? 0;
  }

  async expireDue(now: Date, limit: number): Promise<CataloguedMedia[]> {
    const { rows } = await sql<CataloguedRow>`
      with over_here as (
        select tenant, id from media where ${OVER_HERE(now)} order by expires_at limit ${limit} for update skip locked
      ), over_there as (
        select tenant, id from media where ${OVER_THERE(now)} order by available_until limit ${limit}
        for update skip locked
      ), ended as (
        select * from over_here union select * from over_there limit ${limit}
      ), dropped as (
        -- A copy or an upload that is under way finds that its lease is gone.
        ${droppedJobs(JOBS_OF_MEDIA, 'ended')}
      )
      update media
      set status = 'EXPIRED', updated_at = ${now}, mirror_state = ${endOfCopy('failed')}, ${withoutBytes()}
      from ended
      where media.tenant = ended.tenant and media.id = ended.id
      returning ${catalogued()}`.execute(this.#db);
    return rows.map(toCataloguedMedia);
  }

  async countExpirable(now: Date): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select count(*) from (
        select tenant, id from media where ${OVER_HERE(now)}
        union
        select tenant, id from media where ${OVER_THERE(now)}
      ) as expirable`.execute(this.#reads);
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
      where media.stored_at is not null and media.status not in ('DELETED', 'EXPIRED')`.execute(this.#reads);
    for (const { place, key, sha256 } of rows) {
      const name = names[Number(place) - 1];
      if (name) found.set(name, { key, sha256 });
    }
    return found;
  }

  async storedBytes(): Promise<ReadonlyMap<TenantId, number>> {
    const { rows } = await sql<{ tenant: TenantId; bytes: number }>`
      select tenant, sum(stored_size_bytes)::double precision as bytes from media
      where stored_size_bytes is not null group by tenant`.execute(this.#reads);
    return new Map(rows.map(({ tenant, bytes }) => [tenant, bytes]));
  }

  async counts(): Promise<CatalogueCounts> {
    const { rows } = await sql<{ status: MediaStatus | null; count: number }>`
      select status, count(*) from media group by status
      union all
      select null, count(*) from jobs where kind = 'copy' and state = 'open'`.execute(this.#reads);
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
}

/** Matches rows whose retention has ended. */
const OVER_HERE = (now: Date) => sql`expires_at <= ${now} and status in ('PENDING', 'READY', 'FAILED')`;

/** Matches rows whose bytes no longer exist anywhere. A running copy may still store them. */
const OVER_THERE = (now: Date) => sql`available_until <= ${now} and stored_at is null and status in ('PENDING', 'READY')
  and not exists (
    select from jobs
    where jobs.tenant = media.tenant and jobs.kind = 'copy' and jobs.key = media.id and jobs.lease_until > ${now}
  )`;

/**
 * The assignments that end a copy, including one that a replica of an earlier version has leased in the row ('due').
 */
const endOfCopy = (end: 'done' | 'failed') =>
  sql`case when mirror_state in ('open', 'due') then ${end} else mirror_state end`;
