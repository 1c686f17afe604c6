import { type RawBuilder, sql } from 'kysely';
import type { TenantId } from '../model/channel.js';
import { formatMessageId } from '../model/ids.js';
import type { MediaDetails, MessageMedia } from '../model/media.js';
import type { Description, Listing, Recording } from './catalogued-media.js';
import { storable } from './media-rows.js';

interface Positioned {
  readonly media: MessageMedia;
  readonly position: number;
}

/**
 * One statement for all listings: the messages with the time of their listing, and their media. A media that is not in
 * its message's listing any more stays: providers forget, the catalogue does not.
 */
export function listingsStatement(
  tenant: TenantId,
  listings: readonly Listing[],
  { now, retainedUntil }: Recording,
): RawBuilder<unknown> {
  // Each message once, in one order everywhere: two statements that want the same rows wait for each other, not both.
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

/** `mirror`: what is announced as READY waits as PENDING until its bytes are here. */
export function announcementStatement(
  tenant: TenantId,
  media: readonly MessageMedia[],
  { mirror, now, retainedUntil }: Recording & { readonly mirror: boolean },
): RawBuilder<unknown> {
  const seen = new Map<string, number>();
  const positioned = media.map((one) => {
    const message = formatMessageId(one);
    const position = seen.get(message) ?? 0;
    seen.set(message, position + 1);
    return { media: one, position };
  });
  return upsert(tenant, positioned, { announced: true, mirror, now, retainedUntil });
}

/** Fills what is unknown; bytes that were measured know better anyway, so that their columns are never null. */
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
  const texts = (read: (media: MessageMedia) => string | null) =>
    sql`${rows.map(({ media }) => storable(read(media)))}::text[]`;
  const times = (read: (media: MessageMedia) => Date | null) =>
    sql`${rows.map(({ media }) => read(media))}::timestamptz[]`;
  const due = sql`${mirror} and told.status = 'READY'`;
  return sql`
    insert into media (
      tenant, id, channel_id, provider, provider_message_id, position, provider_media_id, download_url, kind, mime_type,
      size_bytes, sha256, filename, caption, created_at, available_until, expires_at, recorded_at, updated_at, announced,
      status, mirror_state, mirror_due_at
    )
    select
      ${tenant}, id, channel_id, provider, provider_message_id, position, provider_media_id, download_url, kind, mime_type,
      size_bytes, sha256, filename, caption, created_at, available_until, ${retainedUntil}::timestamptz, ${now}::timestamptz,
      ${now}::timestamptz, ${announced}::boolean,
      case when ${mirror}::boolean then 'PENDING' else told.status end,
      case when ${due} then 'due' end,
      case when ${due} then ${now}::timestamptz end
    from unnest(
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
      ${times((media) => media.createdAt)},
      ${times((media) => media.availableUntil)},
      ${texts((media) => media.status)}
    ) as told (
      id, channel_id, provider, provider_message_id, position, provider_media_id, download_url, kind, mime_type,
      size_bytes, sha256, filename, caption, created_at, available_until, status
    )
    on conflict (tenant, id) do update
    set (${COLUMNS}, updated_at) = row (${VALUES}, excluded.updated_at)
    where media.status not in ('DELETED', 'EXPIRED') and (${COLUMNS_OF_ROW}) is distinct from (${VALUES})`;
}

const DESCRIBED = ['kind', 'mime_type', 'size_bytes', 'sha256', 'filename', 'caption']
  .map((column) => `${column} = coalesce(media.${column}, told.${column})`)
  .join(', ');

const newer = (column: string) => `coalesce(excluded.${column}, media.${column})`;
/** A claim about the bytes counts as long as nobody has measured them. */
const measured = (column: string) =>
  `case when media.stored_at is null then ${newer(column)} else coalesce(media.${column}, excluded.${column}) end`;

/** Told as ready, bytes neither here nor under way, and somebody is to copy them. */
const BECOMES_DUE = `excluded.mirror_state = 'due' and media.mirror_state is null and media.stored_at is null
  and media.status in ('PENDING', 'READY')`;

/** What a repeated recording makes of each column. A row in which nothing changes is not written. */
const RULES: ReadonlyArray<readonly [column: string, value: string]> = [
  // The listing knows the order; an announcement only its own media.
  ['position', 'case when excluded.announced then media.position else excluded.position end'],
  ['provider_media_id', newer('provider_media_id')],
  ['download_url', newer('download_url')],
  ['kind', measured('kind')],
  ['mime_type', measured('mime_type')],
  ['size_bytes', measured('size_bytes')],
  ['sha256', measured('sha256')],
  ['filename', newer('filename')],
  ['caption', newer('caption')],
  ['created_at', newer('created_at')],
  ['available_until', newer('available_until')],
  // The other way round: whoever asks again must not prolong a retention.
  ['expires_at', 'coalesce(media.expires_at, excluded.expires_at)'],
  ['announced', 'media.announced or excluded.announced'],
  [
    'status',
    `case when ${BECOMES_DUE} then 'PENDING'
      when media.status = 'PENDING' and media.mirror_state is null and excluded.status = 'READY' then 'READY'
      else media.status end`,
  ],
  ['mirror_state', `case when ${BECOMES_DUE} then 'due' else media.mirror_state end`],
  ['mirror_due_at', `case when ${BECOMES_DUE} then excluded.mirror_due_at else media.mirror_due_at end`],
];

const COLUMNS = sql.raw(RULES.map(([column]) => column).join(', '));
const COLUMNS_OF_ROW = sql.raw(RULES.map(([column]) => `media.${column}`).join(', '));
const VALUES = sql.raw(RULES.map(([, value]) => value).join(', '));

function inOrder<Item>(items: ReadonlyMap<string, Item>): Item[] {
  return [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
