import { type RawBuilder, sql } from 'kysely';
import { NO_DEADLINE } from '../../jobs/job.js';
import { addedJobs } from '../../jobs/job-statements.js';
import type { TenantId } from '../../model/channel.js';
import { addMilliseconds } from '../../model/clock.js';
import { formatMessageId, type MessageId } from '../../model/ids.js';
import type { MessageKey, MessageMedia } from '../../model/media.js';
import { storable } from '../../model/text/storable.js';
import type { Description, Listing, MessageChange, Recording } from './catalogued-media.js';
import { isToCopy } from './listed-copies.js';
import { COLUMN_LIST, type ColumnType, type Reported } from './media-columns.js';
import { UNKNOWN_POSITION } from './recording-rules.js';

/**
 * One statement for all listings. It records the messages with the time of their listing, and their media. Media that
 * is missing in a new listing stays, because providers delete media that the catalogue keeps.
 */
export function listingsStatement(tenant: TenantId, listings: readonly Listing[], now: Date): RawBuilder<unknown> {
  // Each message occurs once, and the order is the same in every statement. Otherwise two statements for the same rows
  // could deadlock.
  const distinct = inOrder(new Map(listings.map((listing) => [formatMessageId(listing.key), listing])));
  const media = distinct.flatMap((listing) =>
    listing.media.map((one, position) => ({
      media: one,
      position,
      retainedUntil: listing.retainedUntil,
      isToCopy: isToCopy(listing, one),
    })),
  );
  const listed = sql`listed as (
      insert into message_listings (tenant, channel_id, provider_message_id, listed_at, media_count, first_seen_at)
      select ${tenant}, channel_id, provider_message_id, listed_at, media_count, first_seen_at
      from unnest(
        ${distinct.map(({ key }) => key.channelId)}::text[],
        ${distinct.map(({ key }) => key.providerMessageId)}::text[],
        ${distinct.map((listing) => listing.media.length)}::integer[],
        ${distinct.map(({ listedAt }) => listedAt)}::timestamptz[],
        ${distinct.map(({ firstSeenAt }) => firstSeenAt)}::timestamptz[]
      ) as listing (channel_id, provider_message_id, media_count, listed_at, first_seen_at)
      on conflict (tenant, provider_message_id, channel_id) do update
      set listed_at = greatest(message_listings.listed_at, excluded.listed_at), media_count = excluded.media_count,
        first_seen_at = least(message_listings.first_seen_at, excluded.first_seen_at)
    )`;
  return recordingStatement(tenant, media, { announced: false, now, before: [listed] });
}

/**
 * With `mirror`, announced media is PENDING until its bytes are stored. Media that a listing reported as READY stays
 * READY, even if that listing is recorded later, because the response to the query contained a link.
 */
export function announcementStatement(
  tenant: TenantId,
  media: readonly MessageMedia[],
  { mirror, now, retainedUntil }: Recording & { readonly mirror: boolean },
): RawBuilder<unknown> {
  const byMessage = new Map<MessageId, MessageMedia[]>();
  for (const one of media) {
    const others = byMessage.get(formatMessageId(one));
    if (others) others.push(one);
    else byMessage.set(formatMessageId(one), [one]);
  }
  const positioned = [...byMessage.values()].flatMap((ofMessage) =>
    ofMessage.map((one, index) => ({
      media: one,
      position: ofMessage.length > 1 ? index : UNKNOWN_POSITION,
      retainedUntil,
      isToCopy: mirror && one.status !== 'FAILED',
    })),
  );
  return recordingStatement(tenant, positioned, { announced: true, now, before: [] });
}

/** The bytes of a media that is announced as PENDING need at least a second to reach the provider. */
const IN_FLIGHT_MS = 1_000;

interface RecordingOptions extends UpsertOptions {
  /** Queries of the statement's `with` clause. */
  readonly before: ReadonlyArray<RawBuilder<unknown>>;
}

/** Upserts media, and adds a job for each that is to be copied and whose bytes are not here. */
function recordingStatement(
  tenant: TenantId,
  media: readonly Reported[],
  { announced, now, before }: RecordingOptions,
): RawBuilder<unknown> {
  const withClause = (queries: ReadonlyArray<RawBuilder<unknown>>) =>
    queries.length === 0 ? sql`` : sql`with ${sql.join(queries)}`;
  const upserted = upsert(tenant, media, { announced, now });
  const toCopy = [...new Map(media.filter(({ isToCopy }) => isToCopy).map(({ media }) => [media.id, media])).values()];
  if (toCopy.length === 0) return sql`${withClause(before)} ${upserted}`;
  const dueAt = ({ status }: MessageMedia) => addMilliseconds(now, status === 'PENDING' ? IN_FLIGHT_MS : 0);
  // What was announced without an end comes after what ends, and before what was listed only.
  const rank = announced ? sql`coalesce(recorded.available_until, ${NO_DEADLINE})` : sql`null::timestamptz`;
  const rows = sql`
    select recorded.tenant, recorded.id, recorded.channel_id, ${rank}, to_copy.due_at, null::jsonb
    from recorded join unnest(${toCopy.map(({ id }) => id)}::text[], ${toCopy.map(dueAt)}::timestamptz[])
      as to_copy (id, due_at) using (id)
    where recorded.mirror_state = 'open'
    order by recorded.id`;
  const recorded = sql`recorded as (${upserted} returning tenant, id, channel_id, available_until, mirror_state)`;
  return sql`
    ${withClause([...before, recorded])}
    ${addedJobs({ kind: 'copy', now, rows })}`;
}

/** Fills unknown values. The columns of measured bytes are never null, so measured values stay. */
export function descriptionsStatement(
  tenant: TenantId,
  descriptions: readonly Description[],
  now: Date,
): RawBuilder<unknown> {
  const rows = inOrder(new Map(descriptions.map((one) => [one.id, one])));
  return sql`
    with told as (
      select * from ${rowsOf('told', DESCRIPTION, rows)}
    ), locked as (
      select media.id from media join told using (id) where media.tenant = ${tenant} order by media.id for update of media
    )
    update media set described = true, updated_at = ${now}, ${FILLED}
    from told join locked using (id)
    where media.tenant = ${tenant} and media.id = told.id`;
}

/**
 * One statement for all changes. Of several edits of a message, the last one applies. Returns the number of messages
 * that have media.
 */
export function changesStatement(
  tenant: TenantId,
  changes: readonly MessageChange[],
  now: Date,
): RawBuilder<{ readonly known: number }> {
  const rows = mergedChanges(changes);
  return sql`
    with told as (
      select * from unnest(
        ${rows.map(({ key }) => key.channelId)}::text[],
        ${rows.map(({ key }) => key.providerMessageId)}::text[],
        ${rows.map(({ caption }) => caption !== undefined)}::boolean[],
        ${rows.map(({ caption }) => storable(caption ?? null))}::text[],
        ${rows.map(({ revokedAt }) => revokedAt)}::timestamptz[]
      ) with ordinality as told (channel_id, provider_message_id, is_edited, caption, revoked_at, place)
    ), found as (
      select media.id, told.place, told.is_edited, told.caption, told.revoked_at
      from told join lateral (
        select id from media
        where tenant = ${tenant} and provider_message_id = told.provider_message_id and channel_id = told.channel_id
          and status <> 'DELETED'
        offset 0
      ) as media on true
    ), locked as (
      select media.id from media join found using (id) where media.tenant = ${tenant} order by media.id for update of media
    ), changed as (
      update media
      set (caption, revoked_at, updated_at) = (
        select after.caption, after.revoked_at, case
          when (media.caption, media.revoked_at) is distinct from (after.caption, after.revoked_at) then ${now}::timestamptz
          else media.updated_at end
        from (
          select case when found.is_edited then found.caption else media.caption end as caption,
            coalesce(media.revoked_at, found.revoked_at) as revoked_at
        ) as after
      )
      from found join locked using (id)
      where media.tenant = ${tenant} and media.id = found.id and media.status <> 'DELETED'
      returning found.place
    )
    select count(distinct place)::integer as known from changed`;
}

interface MergedChange {
  readonly key: MessageKey;
  /** Undefined if the caption was not edited. */
  readonly caption?: string | null;
  readonly revokedAt: Date | null;
}

function mergedChanges(changes: readonly MessageChange[]): MergedChange[] {
  const merged = new Map<MessageId, MergedChange>();
  for (const change of changes) {
    const name = formatMessageId(change.key);
    const before = merged.get(name) ?? { key: change.key, revokedAt: null };
    const after =
      change.type === 'captionEdited'
        ? { ...before, caption: change.caption }
        : { ...before, revokedAt: before.revokedAt ?? change.revokedAt };
    merged.set(name, after);
  }
  return [...merged.values()];
}

interface UpsertOptions {
  readonly announced: boolean;
  readonly now: Date;
}

function upsert(tenant: TenantId, all: readonly Reported[], { announced, now }: UpsertOptions): RawBuilder<unknown> {
  const rows = inOrder(new Map(all.map((one) => [one.media.id, one])));
  return sql`
    insert into media (${INSERTED}) select ${FIRST_VALUES}
    from ${rowsOf('told', REPORTED, rows)}, (
      select ${tenant}::text as tenant, ${now}::timestamptz as now, ${announced}::boolean as announced
    ) as recording
    on conflict (tenant, id) do update
    set (${REPEATED}, updated_at) = row (
      ${VALUES}, case when (${OF_ROW}) is distinct from (${VALUES}) then excluded.updated_at else media.updated_at end)
    where media.status not in ('DELETED', 'EXPIRED')
      -- The row of a copy is returned, changed or not, so that its job begins anew.
      and (excluded.mirror_state = 'open' or (${OF_ROW}) is distinct from (${VALUES}))`;
}

const RECORDED = COLUMN_LIST.flatMap(([column, { reported, recorded }]) => {
  const value = recorded ?? (reported && `told.${column}`);
  return value === undefined ? [] : [{ column, value }];
});
const INSERTED = sql.raw(RECORDED.map(({ column }) => column).join(', '));
const FIRST_VALUES = sql.raw(RECORDED.map(({ value }) => value).join(', '));

/** What a repeated recording makes of each column. A row in which nothing changes is not written. */
const RULES = COLUMN_LIST.flatMap(([column, { repeated }]) =>
  repeated === undefined ? [] : [{ column, value: typeof repeated === 'string' ? repeated : repeated(column) }],
);
const REPEATED = sql.raw(RULES.map(({ column }) => column).join(', '));
const OF_ROW = sql.raw(RULES.map(({ column }) => `media.${column}`).join(', '));
const VALUES = sql.raw(RULES.map(({ value }) => value).join(', '));

/** A column of rows that a statement is given. */
interface GivenColumn<Row> {
  readonly column: string;
  readonly type: ColumnType;
  readonly read: (row: Row) => unknown;
}

const REPORTED = COLUMN_LIST.flatMap(([column, { type, reported }]): GivenColumn<Reported>[] =>
  reported ? [{ column, type, read: reported }] : [],
);

const DESCRIBED = COLUMN_LIST.flatMap(([column, { type, describes }]): GivenColumn<Description>[] =>
  describes ? [{ column, type, read: ({ details }) => details[describes] }] : [],
);
const DESCRIPTION = [{ column: 'id', type: 'text', read: ({ id }: Description) => id } as const, ...DESCRIBED];
const FILLED = sql.raw(
  DESCRIBED.map(({ column }) => `${column} = coalesce(media.${column}, told.${column})`).join(', '),
);

/**
 * Rows as a table of a `from` clause, in arrays of columns: the planner counts their elements. It takes a set made of JSON for
 * a hundred rows, and then reads all of `media` to join one.
 */
function rowsOf<Row>(
  alias: string,
  columns: ReadonlyArray<GivenColumn<Row>>,
  rows: readonly Row[],
): RawBuilder<unknown> {
  const arrays = columns.map(
    ({ type, read }) => sql`${rows.map((row) => storableValue(read(row)))}::${sql.raw(type)}[]`,
  );
  const names = columns.map(({ column }) => column).join(', ');
  return sql`unnest(${sql.join(arrays)}) as ${sql.raw(`${alias} (${names})`)}`;
}

function storableValue(value: unknown): unknown {
  return typeof value === 'string' ? storable(value) : value;
}

function inOrder<Item>(items: ReadonlyMap<string, Item>): Item[] {
  return [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
