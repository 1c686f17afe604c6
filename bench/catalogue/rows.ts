import { createHash } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../../src/database/tables.js';
import type { MediaId, MessageKey } from '../../src/model/media.js';

export const TENANT = 'default';
export const CHANNEL_ID = 'support';

/** Rows of each statement that fills a table, so that no statement runs for minutes. */
const ROWS_TOGETHER = 500_000;
/** One media in ten waits for its copy: a provider was away for hours. */
const MEDIA_PER_OPEN_JOB = 10;
/** The log keeps ten minutes. */
const MEDIA_PER_CHANGE = 30;
const FILLED = ['media', 'message_listings', 'webhook_events', 'jobs', 'media_changes'];

/** The bytes of a table or an index. */
export interface Size {
  readonly name: string;
  readonly bytes: number;
}

/**
 * Messages in no order that an index would like, one stored photo each, as an eager mirror leaves them, with their
 * listings and webhooks; a tenth as many open jobs.
 */
export async function fill(kysely: Kysely<Tables>, rows: number): Promise<void> {
  // A server counts by itself, at a time of its own.
  for (const name of FILLED) {
    await sql`alter table ${sql.table(name)} set (autovacuum_enabled = false)`.execute(kysely);
    await sql`alter table ${sql.table(name)} disable trigger user`.execute(kysely);
  }
  // Random keys fill an index that is larger than the cache many times more slowly than sorting them afterwards.
  const indexes = await droppedIndexes(kysely);
  for (let from = 0; from < rows; from += ROWS_TOGETHER)
    await fillRange(kysely, from, Math.min(from + ROWS_TOGETHER, rows) - 1);
  for (const definition of indexes) await sql.raw(definition).execute(kysely);
  for (const name of FILLED) await sql`alter table ${sql.table(name)} enable trigger user`.execute(kysely);
}

/** @returns the statements that create the indexes again */
async function droppedIndexes(kysely: Kysely<Tables>): Promise<string[]> {
  const { rows } = await sql<{ name: string; definition: string }>`
    select indexname as name, indexdef as definition from pg_indexes
    where schemaname = current_schema() and tablename = any(${FILLED}::text[])
      and not exists (select from pg_constraint where conindid = format('%I.%I', schemaname, indexname)::regclass)`.execute(
    kysely,
  );
  for (const { name } of rows) await sql`drop index ${sql.table(name)}`.execute(kysely);
  return rows.map(({ definition }) => definition);
}

async function fillRange(kysely: Kysely<Tables>, from: number, to: number): Promise<void> {
  const now = new Date();
  const numbers = (step: number) => sql`generate_series(${from}::integer, ${to}::integer, ${step}::integer) as n`;
  await sql`
    insert into media (tenant, id, channel_id, provider, provider_message_id, position, provider_media_id, status, kind,
      mime_type, size_bytes, sha256, recorded_at, updated_at, announced, stored_at, blob_key, stored_size_bytes,
      stored_sha256, stored_mime_type, mirror_state, mirror_due_at)
    select ${TENANT}, 'm1_' || md5('media' || n) || md5('checksum' || n), ${CHANNEL_ID}, 'kirim', 'wamid.' || md5(n::text), 0,
      'media/' || md5('file' || n), 'READY', 'IMAGE', 'image/jpeg', 100000 + n, md5('a' || n) || md5('b' || n), ${now},
      ${now}, true, ${now}, 'media/' || md5('media' || n) || '/' || md5('attempt' || n), 100000 + n,
      md5('a' || n) || md5('b' || n), 'image/jpeg', 'done', ${now}
    from ${numbers(1)}`.execute(kysely);
  await sql`
    insert into message_listings
    select ${TENANT}, ${CHANNEL_ID}, 'wamid.' || md5(n::text), ${now}::timestamptz, 1, ${now}::timestamptz
    from ${numbers(1)}`.execute(kysely);
  await sql`
    insert into webhook_events (tenant, channel_id, dedupe_key, content_type, raw_body, received_at, state)
    select ${TENANT}, ${CHANNEL_ID}, md5('event' || n), 'application/json', '', ${now}, 'done'
    from ${numbers(1)}`.execute(kysely);
  await sql`
    insert into jobs (kind, tenant, key, channel_id, state, rank, due_at, waits, since)
    select 'copy', ${TENANT}, 'm1_' || md5('media' || n) || md5('checksum' || n), ${CHANNEL_ID}, 'open',
      ${now}::timestamptz + n * interval '1 millisecond', ${now}, false, ${now}
    from ${numbers(MEDIA_PER_OPEN_JOB)}`.execute(kysely);
  await sql`
    insert into media_changes (tenant, media_id, channel_id, provider_message_id, status, at)
    select ${TENANT}, 'm1_' || md5('media' || n) || md5('checksum' || n), ${CHANNEL_ID}, 'wamid.' || md5(n::text), 'READY',
      ${now} from ${numbers(MEDIA_PER_CHANGE)}`.execute(kysely);
}

/** What the tables and their indexes take, the largest first. */
export async function sizesOf(kysely: Kysely<Tables>): Promise<Size[]> {
  const { rows } = await sql<Size>`
    select relname as name, pg_relation_size(oid)::double precision as bytes from pg_class
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'i') and pg_relation_size(oid) > 65536
    order by bytes desc`.execute(kysely);
  return rows;
}

/** Messages that {@link fill} made. */
export function randomKeys(rows: number, count: number): MessageKey[] {
  return randomNumbers(rows, count).map((n) => ({
    channelId: CHANNEL_ID,
    providerMessageId: `wamid.${md5(String(n))}`,
  }));
}

/** Media that {@link fill} made. */
export function randomIds(rows: number, count: number): MediaId[] {
  return randomNumbers(rows, count).map((n) => `m1_${md5(`media${n}`)}${md5(`checksum${n}`)}`);
}

function randomNumbers(below: number, count: number): number[] {
  const numbers = new Set<number>();
  while (numbers.size < count) numbers.add(Math.floor(Math.random() * below));
  return [...numbers];
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
