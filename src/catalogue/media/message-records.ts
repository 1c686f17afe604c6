import { sql } from 'kysely';
import type { Database } from '../../database/database.js';
import type { TenantId } from '../../model/channel.js';
import { formatMessageId, type MessageId } from '../../model/ids.js';
import type { MessageKey } from '../../model/media.js';
import type { MessageRecord } from './catalogued-media.js';
import { catalogued } from './column-lists.js';
import type { CataloguedRow, MediaRow } from './media-columns.js';
import { toCataloguedMedia } from './media-rows.js';

export type Records = ReadonlyMap<MessageId, MessageRecord>;

/** Selects the records of all messages with one statement. */
export async function selectMessageRecords(
  db: Database['reads'],
  tenant: TenantId,
  keys: readonly MessageKey[],
): Promise<Records> {
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
      order by media.position, media.recorded_at, media.id`.execute(db);
  return toRecords(rows);
}

/** The columns of the media are null if only a listing of the message is known. */
type MessageRow = MessageKeyColumns & {
  readonly listed_at: Date | null;
  readonly first_seen_at: Date | null;
} & ((CataloguedRow & Pick<MediaRow, 'recorded_at'>) | { readonly id: null });

type MessageKeyColumns = Pick<MediaRow, 'channel_id'> & { readonly provider_message_id: string };

/** The columns of a message's media, without those of the message. */
const COLUMNS_OF_MESSAGE = catalogued('media', { except: ['channel_id', 'provider_message_id'] });

function toRecords(rows: readonly MessageRow[]): Records {
  const byMessage = new Map<MessageId, MessageRow[]>();
  for (const row of rows) {
    const message = formatMessageId({ channelId: row.channel_id, providerMessageId: row.provider_message_id });
    const others = byMessage.get(message);
    if (others) others.push(row);
    else byMessage.set(message, [row]);
  }
  const records = new Map<MessageId, MessageRecord>();
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
