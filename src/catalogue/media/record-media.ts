import { type RawBuilder, sql } from 'kysely';
import { addedJobs } from '../../jobs/job-statements.js';
import type { TenantId } from '../../model/channel.js';
import { formatMessageId } from '../../model/ids.js';
import type { MediaDetails, MessageKey, MessageMedia } from '../../model/media.js';
import { storable } from '../../model/text/storable.js';
import type { Description, Listing, MessageChange, Recording } from './catalogued-media.js';

interface Positioned {
  readonly media: MessageMedia;
  /** The position among the media of the message, or {@link UNKNOWN_POSITION}. */
  readonly position: number;
}

/** The position of a media that a webhook announced alone. Later webhooks may announce further media of its message. */
const UNKNOWN_POSITION = -1;

/**
 * One statement for all listings. It records the messages with the time of their listing, and their media. Media that
 * is missing in a new listing stays, because providers delete media that the catalogue keeps.
 */
export function listingsStatement(
  tenant: TenantId,
  listings: readonly Listing[],
  { now, retainedUntil }: Recording,
): RawBuilder<unknown> {
  // Each message occurs once, and the order is the same in every statement. Otherwise two statements for the same rows
  // could deadlock.
  const distinct = inOrder(new Map(listings.map((listing) => [formatMessageId(listing.key), listing])));
  const media = distinct.flatMap((listing) => listing.media.map((one, position) => ({ media: one, position })));
  return sql`
    with listed as (
      insert into message_listings (tenant, channel_id, provider_message_id, listed_at, media_count, first_seen_at)
      select ${tenant}, channel_id, provider_message_id, ${now}::timestamptz, media_count, ${now}::timestamptz
      from unnest(
        ${distinct.map(({ key }) => key.channelId)}::text[],
        ${distinct.map(({ key }) => key.providerMessageId)}::text[],
        ${distinct.map((listing) => listing.media.length)}::integer[]
      ) as listing (channel_id, provider_message_id, media_count)
      on conflict (tenant, provider_message_id, channel_id) do update
      set listed_at = greatest(message_listings.listed_at, excluded.listed_at), media_count = excluded.media_count
    )
    ${upsert(tenant, media, { announced: false, mirror: false, now, retainedUntil })}`;
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
  const byMessage = new Map<string, MessageMedia[]>();
  for (const one of media) {
    const others = byMessage.get(formatMessageId(one));
    if (others) others.push(one);
    else byMessage.set(formatMessageId(one), [one]);
  }
  const positioned = [...byMessage.values()].flatMap((ofMessage) =>
    ofMessage.map((one, index) => ({ media: one, position: ofMessage.length > 1 ? index : UNKNOWN_POSITION })),
  );
  const recorded = upsert(tenant, positioned, { announced: true, mirror, now, retainedUntil });
  return mirror ? withCopies(recorded, media, now) : recorded;
}

/** The bytes of a media that is announced as PENDING need at least a second to reach the provider. */
const IN_FLIGHT_MS = 1_000;

/** Adds a job for each recorded media that must be copied and whose bytes are not stored. */
function withCopies(recorded: RawBuilder<unknown>, media: readonly MessageMedia[], now: Date): RawBuilder<unknown> {
  const toCopy = [...new Map(media.filter(({ status }) => status !== 'FAILED').map((one) => [one.id, one])).values()];
  const dueAt = ({ status }: MessageMedia) => new Date(now.getTime() + (status === 'PENDING' ? IN_FLIGHT_MS : 0));
  const rows = sql`
    select recorded.tenant, recorded.id, recorded.channel_id, recorded.available_until, announced.due_at, null::jsonb
    from recorded join unnest(${toCopy.map(({ id }) => id)}::text[], ${toCopy.map(dueAt)}::timestamptz[])
      as announced (id, due_at) using (id)
    where recorded.mirror_state = 'open'
    order by recorded.id`;
  return sql`
    with recorded as (${recorded} returning tenant, id, channel_id, available_until, mirror_state)
    ${addedJobs({ kind: 'copy', now, rows })}`;
}

/** Fills unknown values. The columns of measured bytes are never null, so measured values stay. */
export function descriptionsStatement(
  tenant: TenantId,
  descriptions: readonly Description[],
  now: Date,
): RawBuilder<unknown> {
  const rows = inOrder(new Map(descriptions.map((one) => [one.id, one])));
  const texts = (read: (details: MediaDetails) => string | null) =>
    sql`${rows.map(({ details }) => storable(read(details)))}::text[]`;
  return sql`
    with told as (
      select * from unnest(
        ${rows.map(({ id }) => id)}::text[],
        ${texts(({ kind }) => kind)},
        ${texts(({ mimeType }) => mimeType)},
        ${rows.map(({ details }) => details.sizeBytes)}::bigint[],
        ${texts(({ sha256 }) => sha256)},
        ${texts(({ filename }) => filename)},
        ${texts(({ caption }) => caption)}
      ) as told (id, kind, mime_type, size_bytes, sha256, filename, caption)
    ), locked as (
      select media.id from media join told using (id) where media.tenant = ${tenant} order by media.id for update of media
    )
    update media set described = true, updated_at = ${now}, ${sql.raw(DESCRIBED)}
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
  const merged = new Map<string, MergedChange>();
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

interface UpsertOptions extends Recording {
  readonly announced: boolean;
  readonly mirror: boolean;
}

function upsert(
  tenant: TenantId,
  all: readonly Positioned[],
  { announced, mirror, now, retainedUntil }: UpsertOptions,
): RawBuilder<unknown> {
  const rows = inOrder(new Map(all.map((one) => [one.media.id, one])));
  const due = sql`(${mirror} and told.status <> 'FAILED')`;
  const failed = sql`told.status = 'FAILED'`;
  return sql`
    insert into media (
      tenant, id, channel_id, provider, provider_message_id, position, provider_media_id, download_url, kind, mime_type,
      size_bytes, sha256, filename, caption, voice, contact, direction, created_at, available_until, expires_at,
      recorded_at, updated_at, announced, status, was_ready, mirror_state, failure_code, failure_reason, failure_retryable,
      failed_at
    )
    select
      ${tenant}, id, channel_id, provider, provider_message_id, position, provider_media_id, download_url, kind, mime_type,
      size_bytes, sha256, filename, caption, voice, contact, direction, created_at, available_until,
      ${retainedUntil}::timestamptz, ${now}::timestamptz, ${now}::timestamptz, ${announced}::boolean,
      case when ${due} then 'PENDING' else told.status end,
      told.status = 'READY' and not ${due},
      case when ${due} then 'open' end,
      failure_code, failure_reason, failure_retryable, case when ${failed} then ${now}::timestamptz end
    from ${reported(rows)}
    on conflict (tenant, id) do update
    set (${COLUMNS}, updated_at) = row (
      ${VALUES}, case when (${COLUMNS_OF_ROW}) is distinct from (${VALUES}) then excluded.updated_at else media.updated_at end)
    where media.status not in ('DELETED', 'EXPIRED')
      -- The row of a copy is returned, changed or not, so that its job begins anew.
      and (excluded.mirror_state = 'open' or (${COLUMNS_OF_ROW}) is distinct from (${VALUES}))`;
}

/** The reported media, as rows named `told`. */
function reported(rows: readonly Positioned[]): RawBuilder<unknown> {
  const texts = (read: (media: MessageMedia) => string | null) =>
    sql`${rows.map(({ media }) => storable(read(media)))}::text[]`;
  const times = (read: (media: MessageMedia) => Date | null) =>
    sql`${rows.map(({ media }) => read(media))}::timestamptz[]`;
  return sql`unnest(
      ${texts((media) => media.id)},
      ${texts((media) => media.channelId)},
      ${texts((media) => media.provider)},
      ${texts((media) => media.providerMessageId)},
      ${rows.map(({ position }) => position)}::integer[],
      ${texts((media) => media.providerMediaId)},
      ${texts((media) => media.downloadUrl)},
      ${texts((media) => media.kind)},
      ${texts((media) => media.mimeType)},
      ${rows.map(({ media }) => media.sizeBytes)}::bigint[],
      ${texts((media) => media.sha256)},
      ${texts((media) => media.filename)},
      ${texts((media) => media.caption)},
      ${rows.map(({ media }) => media.voice ?? null)}::boolean[],
      ${texts((media) => media.contact ?? null)},
      ${texts((media) => media.direction ?? null)},
      ${texts((media) => media.fault?.code ?? null)},
      ${texts((media) => media.fault?.message ?? null)},
      ${rows.map(({ media }) => media.fault?.retryable ?? null)}::boolean[],
      ${times((media) => media.createdAt)},
      ${times((media) => media.availableUntil)},
      ${texts((media) => media.status)}
    ) as told (
      id, channel_id, provider, provider_message_id, position, provider_media_id, download_url, kind, mime_type,
      size_bytes, sha256, filename, caption, voice, contact, direction, failure_code, failure_reason, failure_retryable,
      created_at, available_until, status
    )`;
}

const DESCRIBED = ['kind', 'mime_type', 'size_bytes', 'sha256', 'filename', 'caption']
  .map((column) => `${column} = coalesce(media.${column}, told.${column})`)
  .join(', ');

const newer = (column: string) => `coalesce(excluded.${column}, media.${column})`;
/** A reported value applies until the bytes are measured. */
const measured = (column: string) =>
  `case when media.stored_at is null then ${newer(column)} else coalesce(media.${column}, excluded.${column}) end`;

/**
 * Whether a media becomes FAILED by an announcement or a listing. Stored bytes, an open copy, or a known provider id
 * take precedence.
 */
const FAILS = `(excluded.status = 'FAILED' and media.stored_at is null and media.mirror_state is distinct from 'open'
  and (excluded.provider_media_id is not null or media.provider_media_id is null or not excluded.announced))`;
/**
 * Whether an announcement or a listing makes a FAILED media available again. A listing revives only media that a
 * listing failed.
 */
const REVIVES = `(media.status = 'FAILED' and excluded.status <> 'FAILED' and media.stored_at is null
  and (excluded.announced or media.mirror_state is null))`;
const failsWith = (column: string) =>
  [column, `case when ${FAILS} then excluded.${column} when ${REVIVES} then null else media.${column} end`] as const;

/** The value of each column after a repeated recording. A row without a change is not written. */
const RULES: ReadonlyArray<readonly [column: string, value: string]> = [
  // A message whose media were announced together keeps the order in which they were sent; listings may start with the
  // newest (Twilio).
  [
    'position',
    `case when excluded.position = ${UNKNOWN_POSITION} then media.position
      when media.announced and media.position <> ${UNKNOWN_POSITION} and not excluded.announced then media.position
      else excluded.position end`,
  ],
  ['provider_media_id', newer('provider_media_id')],
  ['download_url', newer('download_url')],
  ['kind', measured('kind')],
  ['mime_type', measured('mime_type')],
  ['size_bytes', measured('size_bytes')],
  ['sha256', measured('sha256')],
  ['filename', newer('filename')],
  ['caption', newer('caption')],
  ['voice', newer('voice')],
  ['contact', newer('contact')],
  ['direction', newer('direction')],
  ['created_at', newer('created_at')],
  ['available_until', newer('available_until')],
  // Here the stored value takes precedence: a repeated query must not prolong a retention.
  ['expires_at', 'coalesce(media.expires_at, excluded.expires_at)'],
  ['announced', 'media.announced or excluded.announced'],
  [
    'status',
    `case when ${FAILS} then 'FAILED'
      when ${REVIVES} then excluded.status
      when media.status = 'PENDING' and excluded.status = 'READY' and (media.mirror_state is null or not excluded.announced) then 'READY'
      else media.status end`,
  ],
  ['was_ready', "media.was_ready or media.status = 'READY' or excluded.was_ready"],
  failsWith('failure_code'),
  failsWith('failure_reason'),
  failsWith('failure_retryable'),
  [
    'failed_at',
    `case when ${FAILS} then case when media.status = 'FAILED' then media.failed_at else excluded.failed_at end
      when ${REVIVES} then null else media.failed_at end`,
  ],
  [
    'mirror_state',
    `case when excluded.mirror_state = 'open' and media.stored_at is null then 'open' else media.mirror_state end`,
  ],
];

const COLUMNS = sql.raw(RULES.map(([column]) => column).join(', '));
const COLUMNS_OF_ROW = sql.raw(RULES.map(([column]) => `media.${column}`).join(', '));
const VALUES = sql.raw(RULES.map(([, value]) => value).join(', '));

function inOrder<Item>(items: ReadonlyMap<string, Item>): Item[] {
  return [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
