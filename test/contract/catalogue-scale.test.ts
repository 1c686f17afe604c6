import { type Kysely, sql } from 'kysely';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlMediaCatalogue } from '../../src/catalogue/sql-media-catalogue.js';
import { SqlQuotas } from '../../src/catalogue/quotas.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Tables } from '../../src/database/tables.js';
import { type MessageKey, UNKNOWN_DETAILS } from '../../src/model/media.js';
import { describeEngines, EMBEDDED_TOO, OPEN_TIMEOUT_MS, reportedMedia } from '../support/databases.js';
import { reservation, uploadedBytes } from '../support/uploads.js';

const ROWS = 100_000;
const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const LATER = new Date('2026-11-22T10:00:00.000Z');
const FAILURE = { code: 'SOURCE_FAILED', message: '', retryable: true, at: NOW } as const;
const LEASE = { owner: 'a', now: NOW, limit: 10, leaseMs: 1_000 };

/** What one call did to the tables, as the engine itself counted it. */
interface Effort {
  readonly sequentialScans: number;
  /** Rows that index scans fetched; those of another index path count, too. */
  readonly rowsRead: number;
}

/**
 * Counts instead of plans: of the very statements that run, whatever they are, and a scan of an index from end to end,
 * which no plan would betray, shows as well.
 */
async function effortOf(
  kysely: Kysely<Tables>,
  call: (database: { kysely: Kysely<Tables> }) => Promise<unknown>,
): Promise<Effort> {
  const counted = kysely.transaction().execute(async (transaction) => {
    const before = await counters(transaction);
    await call({ kysely: transaction });
    const after = await counters(transaction);
    // What was claimed is given back, for the next question to find.
    throw new Counted({
      sequentialScans: after.sequentialScans - before.sequentialScans,
      rowsRead: after.rowsRead - before.rowsRead,
    });
  });
  const thrown: unknown = await counted.catch((reason: unknown) => reason);
  if (thrown instanceof Counted) return thrown.effort;
  throw thrown;
}

/** Of this session since it last reported them: they outlast a rollback. */
async function counters(kysely: Kysely<Tables>): Promise<Effort> {
  const { rows } = await sql<Effort>`
    select sum(seq_scan)::int as "sequentialScans", sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as "rowsRead"
    from pg_stat_xact_user_tables
    where relname in ('media', 'message_listings', 'webhook_events', 'uploads', 'upload_keys', 'quotas',
      'failed_uploads')`.execute(kysely);
  if (!rows[0]) throw new Error('expected the engine to count');
  return rows[0];
}

/** The most rows that a call may read, and the call, by its name. */
type Questions = Readonly<Record<string, [most: number, call: (of: { kysely: Kysely<Tables> }) => Promise<unknown>]>>;

class Counted extends Error {
  constructor(readonly effort: Effort) {
    super('rolled back');
  }
}

describeEngines(
  `among ${ROWS} rows`,
  (bed) => {
    const keys: MessageKey[] = Array.from({ length: 50 }, (_, index) => ({
      channelId: 'support',
      providerMessageId: `message-${index * 1_999}`,
    }));
    const catalogue = (of: { kysely: Kysely<Tables> }) => new SqlMediaCatalogue(of);
    const inbox = (of: { kysely: Kysely<Tables> }) => new SqlWebhookInbox({ ...of, background: of.kysely });
    const uploads = (of: { kysely: Kysely<Tables> }) => new SqlUploads(of);
    const deletions = (of: { kysely: Kysely<Tables> }) => new SqlDeletions(of);
    const plus = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000);
    const keyed = (key: string) => reservation({ now: LATER, idempotency: { key, inputSha256: 'aa' } });

    // One in a hundred waits for its copy, its device is gone, or its time is over; one in a thousand was deleted with its
    // bytes left here, or is being deleted. Every media is an upload, the oldest of which others work on.
    async function fill(): Promise<void> {
      const { kysely } = bed.shared();
      await sql`
      insert into media (tenant, id, channel_id, provider, provider_message_id, position, provider_media_id, status,
        recorded_at, updated_at, announced, mirror_state, mirror_due_at, available_until, expires_at, stored_at,
        stored_size_bytes, stored_sha256, lease_owner, deletion_owner, deletion_until)
      select case when n % 3 = 0 then 'another' else ${TENANT} end, 'media-' || n, 'support', 'kirim', 'message-' || n, 0,
        'device-' || n / 100 || '/' || n, case when n % 100 = 1 then 'PENDING' when n % 1000 = 500 then 'DELETED' else 'READY' end, ${NOW},
        ${NOW}::timestamptz + n * interval '1 second', true,
        case when n % 100 = 1 then 'due' else 'done' end, ${NOW}, ${LATER}::timestamptz + n * interval '1 second',
        ${LATER}::timestamptz + n * interval '1 second',
        case when n % 100 > 1 or n % 1000 = 500 then ${NOW}::timestamptz end, 1, 'ab', null,
        case when n % 1000 = 600 then 'dead' end,
        case when n % 1000 = 600 then ${NOW}::timestamptz + n * interval '1 second' end
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
      await sql`
      insert into message_listings
      select ${TENANT}, 'support', 'message-' || n, ${NOW}::timestamptz, 1, ${NOW}::timestamptz
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
      await sql`
      insert into webhook_events (tenant, channel_id, dedupe_key, content_type, raw_body, received_at, run_after, state)
      select ${TENANT}, 'support', 'key-' || n, '', '', ${NOW}::timestamptz + n * interval '1 second', ${NOW},
        case when n % 100 = 99 then 'due' when n % 1000 = 1 then 'dead' else 'done' end
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
      await sql`
      insert into uploads (tenant, media_id, source_url, created_at, attempts, lease_owner, lease_until)
      select case when n % 3 = 0 then 'another' else ${TENANT} end, 'media-' || n, '',
        ${NOW}::timestamptz + n * interval '1 second', 1,
        case when n % 10000 = 101 then 'a' when n < 20 then 'b' end, case when n < 20 then ${LATER}::timestamptz end
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
      await sql`
      insert into upload_keys (tenant, key, input_sha256, media_id, created_at)
      select ${TENANT}, 'key-' || n, 'aa', 'media-' || n, ${NOW}::timestamptz + n * interval '1 second'
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
      await sql`
      insert into failed_uploads (tenant, media_id, source_url, failed_at)
      select case when n % 3 = 0 then 'another' else ${TENANT} end, 'media-' || n, '', ${NOW}::timestamptz + n * interval '1 second'
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
      await sql`
      insert into quotas select 'name-' || n, array[${NOW}::timestamptz]
      from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
    }

    // The bed empties its tables before each test, and filling takes seconds: so one test with many questions, whose time
    // is not the filling's.
    beforeEach(fill, OPEN_TIMEOUT_MS);

    test(
      'no frequent query reads more than it answers, with statistics and without',
      async () => {
        const database = bed.shared();
        const questions: Questions = {
          findByIds: [
            60,
            (of) =>
              catalogue(of).findByIds(
                TENANT,
                Array.from({ length: 50 }, (_, n) => `media-${n * 1_999}`),
              ),
          ],
          findByMessages: [120, (of) => catalogue(of).findByMessages(TENANT, keys)],
          findKeysByProviderMessageIds: [
            10,
            (of) => catalogue(of).findKeysByProviderMessageIds(TENANT, ['message-7', 'x']),
          ],
          recordListings: [
            200,
            (of) =>
              catalogue(of).recordListings(
                TENANT,
                keys.map((key) => ({ key, media: [reportedMedia(key)] })),
                { now: NOW, retainedUntil: null },
              ),
          ],
          recordAnnouncement: [
            20,
            (of) =>
              catalogue(of).recordAnnouncement(TENANT, [reportedMedia()], {
                mirror: true,
                now: NOW,
                retainedUntil: null,
              }),
          ],
          recordDescriptions: [
            60,
            (of) => catalogue(of).recordDescriptions(TENANT, [{ id: 'media-5', details: UNKNOWN_DETAILS }], NOW),
          ],
          transition: [5, (of) => catalogue(of).transition(TENANT, 'media-1', ['READY'], 'DELETED', {}, NOW)],
          claimMirrors: [60, (of) => catalogue(of).claimMirrors(LEASE)],
          renewLeases: [10, (of) => catalogue(of).renewLeases('a', [{ tenant: TENANT, id: 'media-1' }], NOW, 1_000)],
          expireDevice: [300, (of) => catalogue(of).expireDevice(TENANT, 'support', 'device-77/', NOW)],
          expireDue: [400, (of) => catalogue(of).expireDue(new Date(LATER.getTime() + 50_000), 20)],
          findStored: [60, (of) => catalogue(of).findStored([{ tenant: TENANT, id: 'media-4' }])],
          findUninspected: [60, (of) => catalogue(of).findUninspected(LATER, 20)],
          receive: [
            5,
            (of) =>
              inbox(of).receive({
                tenant: TENANT,
                channelId: 'support',
                dedupeKey: 'key-5',
                contentType: '',
                rawBody: Buffer.alloc(0),
                now: NOW,
              }),
          ],
          claim: [60, (of) => inbox(of).claim(LEASE)],
          forget: [60, (of) => inbox(of).forget(plus(20))],
          'reserve, without a key': [10, (of) => uploads(of).reserve(reservation({ now: LATER }))],
          'reserve, a new key': [10, (of) => uploads(of).reserve(keyed('new'))],
          'reserve, a known key': [10, (of) => uploads(of).reserve(keyed('key-99998'))],
          'claim an upload': [60, (of) => uploads(of).claim(LEASE, [])],
          'renew an upload': [
            60,
            (of) => uploads(of).renewLeases('a', [{ tenant: TENANT, id: 'media-101' }], NOW, 1_000),
          ],
          'hand back an upload': [60, (of) => uploads(of).release('a')],
          markStored: [10, (of) => uploads(of).markStored(TENANT, 'media-101', 'a', uploadedBytes(), NOW)],
          // Rows of their own: the versions that rolled-back calls leave of one are read until they are pruned.
          finish: [10, (of) => uploads(of).finish(TENANT, 'media-20101', 'a', 'p', NOW)],
          fail: [10, (of) => uploads(of).fail(TENANT, 'media-50101', 'a', FAILURE)],
          'try an upload again': [10, (of) => uploads(of).retryFailed(TENANT, 'media-50101', NOW)],
          intend: [5, (of) => deletions(of).intend(TENANT, 'media-4', LEASE)],
          withdraw: [5, (of) => deletions(of).withdraw(TENANT, 'media-1600', 'dead')],
          complete: [
            10,
            (of) => deletions(of).complete(TENANT, 'media-1600', 'dead', { scope: 'LOCAL', purge: false, now: NOW }),
          ],
          bytesRemoved: [5, (of) => deletions(of).bytesRemoved(TENANT, 'media-500')],
          claimInterrupted: [60, (of) => deletions(of).claimInterrupted({ ...LEASE, now: plus(9_999) }, 10)],
          findBytesLeft: [60, (of) => deletions(of).findBytesLeft(plus(9_999), 10)],
          countUnfinished: [60, (of) => deletions(of).countUnfinished(plus(9_999), plus(9_999))],
          bury: [60, (of) => deletions(of).bury(plus(9_999))],
          'take of a quota': [10, (of) => new SqlQuotas(of, () => NOW.getTime()).take('name-7', 2, 1_000)],
          'take of a quota that is used up': [
            10,
            (of) => new SqlQuotas(of, () => NOW.getTime()).take('name-8', 1, 1_000),
          ],
        };
        // Once a start, or a sweep: of a table that nobody has counted yet, they may read all.
        const rare: Questions = {
          'abandon uploads': [120, (of) => uploads(of).abandonLeases()],
          'abandon deletions': [300, (of) => deletions(of).abandonLeases()],
          forgetKeys: [60, (of) => uploads(of).forgetKeys(plus(20))],
          forgetFailed: [60, (of) => uploads(of).forgetFailed(plus(20))],
        };
        for (const statistics of [false, true]) {
          if (statistics) await sql`analyze`.execute(database.kysely);
          const asked = statistics ? { ...questions, ...rare } : questions;
          const efforts: unknown[] = [];
          for (const [name, [most, call]] of Object.entries(asked)) {
            const { sequentialScans, rowsRead } = await effortOf(database.kysely, call);
            efforts.push({ name, sequentialScans, tooMuch: rowsRead > most ? rowsRead : 0 });
          }
          expect({ statistics, efforts }).toEqual({
            statistics,
            efforts: Object.keys(asked).map((name) => ({ name, sequentialScans: 0, tooMuch: 0 })),
          });
        }
        await expect(
          effortOf(database.kysely, (of) => sql`select caption from media`.execute(of.kysely)),
        ).resolves.toEqual({
          sequentialScans: 1,
          rowsRead: ROWS,
        });
      },
      OPEN_TIMEOUT_MS,
    );
  },
  { embedded: EMBEDDED_TOO },
);
