import { type Kysely, sql } from 'kysely';
import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlCopies } from '../../src/catalogue/media/copies.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { adoptPreviousWork } from '../../src/catalogue/previous-work.js';
import { SqlQuotas } from '../../src/catalogue/quotas.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import type { Tables } from '../../src/database/tables.js';
import type { ClaimedJob } from '../../src/jobs/job.js';
import { JOB_KINDS, type JobKind } from '../../src/model/job-kind.js';
import { type MessageKey, UNKNOWN_DETAILS } from '../../src/model/media.js';
import {
  describeEngines,
  EMBEDDED_TOO,
  listing,
  OPEN_TIMEOUT_MS,
  reportedMedia,
  storedBytes,
} from '../support/databases.js';
import { jobStoreOf } from '../support/jobs.js';
import { reservation, uploadedBytes } from '../support/uploads.js';

const ALL_KINDS = JOB_KINDS.map((kind) => ({ kind }));

const ROWS = 100_000;
const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const LATER = new Date('2026-11-22T10:00:00.000Z');
const FAILURE = { code: 'SOURCE_FAILED', message: '', retryable: true, at: NOW } as const;
const LEASE = { owner: 'a', now: NOW, leaseMs: 1_000 };

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
async function effortOf(kysely: Kysely<Tables>, call: (database: Handles) => Promise<unknown>): Promise<Effort> {
  const counted = kysely.transaction().execute(async (transaction) => {
    const before = await counters(transaction);
    await call(handlesOf(transaction));
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

/** All handles of a database go through one session. */
type Handles = Pick<Database, 'kysely' | 'background' | 'reads' | 'backgroundReads' | 'jobs'>;

function handlesOf(kysely: Kysely<Tables>): Handles {
  return { kysely, background: kysely, reads: kysely, backgroundReads: kysely, jobs: kysely };
}

/** Of this session since it last reported them: they outlast a rollback. */
async function counters(kysely: Kysely<Tables>): Promise<Effort> {
  const { rows } = await sql<Effort>`
    select sum(seq_scan)::int as "sequentialScans", sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as "rowsRead"
    from pg_stat_xact_user_tables
    -- Paused kinds are so few that they are read from end to end.
    where relname in ('media', 'message_listings', 'webhook_events', 'jobs', 'upload_keys', 'quotas',
      'failed_uploads', 'media_changes')`.execute(kysely);
  if (!rows[0]) throw new Error('expected the engine to count');
  return rows[0];
}

/** The most rows that a call may read, and the call, by its name. */
type Questions = Readonly<Record<string, [most: number, call: (of: Handles) => Promise<unknown>]>>;

class Counted extends Error {
  constructor(readonly effort: Effort) {
    super('rolled back');
  }
}

const plus = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000);
/** As `fill` numbers them. */
const jobIdOf = (n: number) => n + 1;
const tenantOf = (n: number) => (n % 3 === 0 ? 'another' : TENANT);

/** A job that `fill` has leased to this owner. */
function leased(kind: JobKind, n: number, owner = 'a'): ClaimedJob {
  const key = kind === 'webhook' ? String(n + 1) : `media-${n}`;
  const payload = { sourceUrl: '', filename: null, mimeType: null };
  return {
    ...{
      id: jobIdOf(n),
      owner,
      kind,
      tenant: tenantOf(n),
      key,
      channelId: 'support',
      attempts: 1,
      since: NOW,
      payload,
    },
    ...{ suspect: false, interruptions: 0, deaths: 0 },
  };
}

/**
 * One media in a hundred waits for its copy, its device is gone, or its time is over; one in a thousand was deleted, or is
 * being deleted by a dead process. Every media has a job; most wait for their copy.
 */
async function fill(kysely: Kysely<Tables>): Promise<void> {
  await sql`
    insert into media (tenant, id, channel_id, provider, provider_message_id, position, provider_media_id, status,
      recorded_at, updated_at, announced, uploaded, mirror_state, available_until, expires_at, stored_at, blob_key,
      stored_size_bytes, stored_sha256)
    select case when n % 3 = 0 then 'another' else ${TENANT} end, 'media-' || n, 'support', 'kirim', 'message-' || n, 0,
      'device-' || n / 100 || '/' || n,
      case when n % 100 = 1 or n % 10000 = 128 then 'PENDING' when n % 10000 = 228 then 'FAILED'
        when n % 1000 = 500 then 'DELETED' else 'READY' end,
      ${NOW}, ${NOW}::timestamptz + n * interval '1 second', true, n % 100 = 28,
      case when n % 100 = 1 then 'open' else 'done' end, ${LATER}::timestamptz + n * interval '1 second',
      ${LATER}::timestamptz + n * interval '1 second', case when n % 100 > 1 and n % 1000 <> 500 then ${NOW}::timestamptz end,
      case when n % 100 > 1 and n % 1000 <> 500 then 'blob-' || n end, 1, 'ab'
    from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
  await sql`
    insert into message_listings
    select ${TENANT}, 'support', 'message-' || n, ${NOW}::timestamptz, 1, ${NOW}::timestamptz
    from generate_series(0, ${ROWS - 1}::integer) as n`.execute(kysely);
  await sql`
    insert into webhook_events (id, tenant, channel_id, dedupe_key, content_type, raw_body, received_at, state)
      overriding system value
    select n + 1, ${TENANT}, 'support', 'key-' || n, '', '', ${NOW}::timestamptz + n * interval '1 second',
      case when n % 100 = 99 then 'due' when n % 1000 = 1 then 'dead' else 'done' end
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
  await fillJobs(kysely);
  for (const table of ['jobs', 'webhook_events'])
    await sql`select setval(pg_get_serial_sequence(${table}, 'id'), ${ROWS}::bigint)`.execute(kysely);
}

/** A hundred of each kind are leased at most, as by replicas; of each kind a worker of this process holds ten. */
async function fillJobs(kysely: Kysely<Tables>): Promise<void> {
  await sql`
    insert into jobs (id, kind, tenant, key, channel_id, state, rank, due_at, waits, since, attempts, payload, lease_owner,
      lease_until) overriding system value
    select n + 1, kind, case when n % 3 = 0 then 'another' else ${TENANT} end,
      case when kind = 'webhook' then (n + 1)::text else 'media-' || n end, 'support',
      case when n % 1000 = 9 then 'dead' else 'open' end,
      case when kind = 'copy' and n % 2 = 1 then ${LATER}::timestamptz - n * interval '1 second' else 'infinity' end,
      case when waits then ${LATER}::timestamptz + n * interval '1 second' else ${NOW}::timestamptz end, waits, ${NOW}, 1,
      case when kind = 'upload' then '{"sourceUrl":"","filename":null,"mimeType":null}'::jsonb end, owner,
      case when owner = 'dead' then ${NOW}::timestamptz + n * interval '1 second'
        when owner is not null then ${LATER}::timestamptz + n * interval '1 second' end
    from generate_series(0, ${ROWS - 1}::integer) as n
    cross join lateral (
      select
        case when n % 2000 = 500 then 'removal' when n % 2000 = 1500 then 'inspection' when n % 1000 = 600 then 'deletion'
          when n % 10 = 9 then 'webhook' when n % 10 = 8 then 'upload' else 'copy' end as kind,
        case when n % 1000 = 600 then 'dead' when n % 10000 in (101, 128, 199, 500) then 'a' end as owner
    ) as job
    cross join lateral (select kind = 'copy' and owner is null and n % 4 = 2 as waits) as turn`.execute(kysely);
}

const messageKeys: MessageKey[] = Array.from({ length: 50 }, (_, index) => ({
  channelId: 'support',
  providerMessageId: `message-${index * 1_999}`,
}));

/** Statements of the media catalogue. */
function catalogueQuestions(): Questions {
  const catalogue = (of: Handles) => new SqlMediaCatalogue(of);
  return {
    findByIds: [
      60,
      (of) =>
        catalogue(of).findByIds(
          TENANT,
          Array.from({ length: 50 }, (_, n) => `media-${n * 1_999}`),
        ),
    ],
    findByMessages: [120, (of) => catalogue(of).findByMessages(TENANT, messageKeys)],
    findKeysByProviderMessageIds: [10, (of) => catalogue(of).findKeysByProviderMessageIds(TENANT, ['message-7', 'x'])],
    recordListings: [
      200,
      (of) =>
        catalogue(of).recordListings(
          TENANT,
          messageKeys.map((key) => listing(key, [reportedMedia(key)], { now: NOW })),
          NOW,
        ),
    ],
    recordAnnouncement: [
      20,
      (of) =>
        catalogue(of).recordAnnouncement(TENANT, [reportedMedia()], { mirror: true, now: NOW, retainedUntil: null }),
    ],
    recordDescriptions: [
      60,
      (of) => catalogue(of).recordDescriptions(TENANT, [{ id: 'media-5', details: UNKNOWN_DETAILS }], NOW),
    ],
    transition: [10, (of) => catalogue(of).transition(TENANT, 'media-1', ['PENDING'], 'EXPIRED', {}, NOW)],
    'keep bytes': [
      10,
      (of) => {
        const bytes = { stored: storedBytes(), details: {}, replacing: null };
        return catalogue(of).markStored(TENANT, 'media-301', bytes, NOW);
      },
    ],
    recordMeasures: [
      10,
      (of) => {
        const found = { key: 'blob-1502', measures: MEASURES };
        return catalogue(of).recordMeasures(TENANT, 'media-1502', found, NOW);
      },
    ],
    'try a copy again': [10, (of) => catalogue(of).retryFailed(TENANT, 'media-20228', { copy: true, now: NOW })],
    expireDevice: [300, (of) => catalogue(of).expireDevice(TENANT, 'support', 'device-77/', NOW)],
    expireDue: [400, (of) => catalogue(of).expireDue(new Date(LATER.getTime() + 50_000), 20)],
    findStored: [60, (of) => catalogue(of).findStored([{ tenant: TENANT, id: 'media-4' }])],
    'read the change log': [
      20,
      async (of) => {
        const log = new ChangeLog(of);
        const { snapshot } = await log.read(null);
        await log.read(snapshot);
      },
    ],
    'take of a quota': [10, (of) => new SqlQuotas(of, () => NOW.getTime()).take('name-7', 2, 1_000)],
    'take of a quota that is used up': [10, (of) => new SqlQuotas(of, () => NOW.getTime()).take('name-8', 1, 1_000)],
  };
}

/** Those of the jobs, and others. */
const CHANNELS = Array.from({ length: 200 }, (_, index) => [
  { tenant: TENANT, id: index === 0 ? 'support' : `channel-${index}` },
  { tenant: 'another', id: index === 0 ? 'support' : `another-${index}` },
]).flat();

const MEASURES = { width: 1, height: 1, durationSeconds: null, thumbHash: null, pageCount: null, still: null };

/** Statements of the job store. */
function jobQuestions(): Questions {
  const store = (of: Handles, now = NOW) => jobStoreOf(of, { owner: 'a', now });
  const added = { tenant: TENANT, channelId: 'support', dueAt: NOW };
  return {
    'claim copies': [60, (of) => store(of).claim([{ kind: 'copy', limit: 10 }])],
    'claim of every kind': [200, (of) => store(of).claim(JOB_KINDS.map((kind) => ({ kind, limit: 10 })))],
    'claim copies of the channels of a process': [
      60,
      (of) => store(of).claim([{ kind: 'copy', limit: 10, channels: CHANNELS }]),
    ],
    // The lease of every other job has ended by then, too.
    'claim copies that became due': [200, (of) => store(of, plus(2 * 86_400)).claim([{ kind: 'copy', limit: 10 }])],
    'claim an upload of a tenant that has its turn': [
      20,
      (of) => store(of).claim([{ kind: 'upload', limit: 1, exceptTenants: ['another'] }]),
    ],
    // Of each kind one job, and the leases of this process, which are as many as it has jobs under way.
    nextAt: [60, (of) => store(of).nextAt(ALL_KINDS)],
    'nextAt of the channels of a process': [
      60,
      (of) => store(of).nextAt(JOB_KINDS.map((kind) => ({ kind, channels: CHANNELS }))),
    ],
    add: [5, (of) => store(of).add({ ...added, kind: 'copy', key: 'new' })],
    'add what is open': [5, (of) => store(of).add({ ...added, kind: 'copy', key: 'media-7' })],
    renew: [5, (of) => store(of).renew([leased('copy', 10_101), leased('upload', 10_128)])],
    handBack: [5, (of) => store(of).handBack(leased('copy', 10_101))],
    setAlone: [5, (of) => store(of).setAlone(leased('copy', 10_101), true)],
    // Of all leases there are; they are as many as replicas have jobs under way.
    release: [200, (of) => store(of).release(['copy', 'upload'])],
    countDue: [250, (of) => store(of, plus(9_999)).countDue(['deletion', 'removal'])],
    'finish a job': [5, (of) => store(of).finish(leased('removal', 10_500))],
    'retry a job': [5, (of) => store(of).retry(leased('copy', 20_101), NOW, 'reason')],
    'reschedule a job': [5, (of) => store(of).reschedule(leased('copy', 40_101), NOW)],
    'bury a job': [5, (of) => store(of).bury(leased('copy', 50_101), 'reason')],
  };
}

/** Statements that end jobs together with their rows. */
function roomQuestions(): Questions {
  const [inbox, uploads] = [(of: Handles) => new SqlWebhookInbox(of), (of: Handles) => new SqlUploads(of)];
  const [deletions, copies] = [(of: Handles) => new SqlDeletions(of), (of: Handles) => new SqlCopies(of)];
  const keyed = (key: string) => reservation({ now: LATER, idempotency: { key, inputSha256: 'aa' } });
  const bytes = { stored: storedBytes(), details: {} };
  const event = { tenant: TENANT, channelId: 'support', contentType: '', rawBody: Buffer.alloc(0), now: NOW };
  const completion = { scope: 'LOCAL', now: NOW } as const;
  return {
    'receive what is here': [5, (of) => inbox(of).receive({ ...event, dedupeKey: 'key-5' })],
    'receive what is new': [5, (of) => inbox(of).receive({ ...event, dedupeKey: 'new' })],
    findEvents: [5, (of) => inbox(of).findEvents([leased('webhook', 199), leased('webhook', 10_199)])],
    'an event is done': [5, (of) => inbox(of).done(leased('webhook', 20_199))],
    'an event is buried': [5, (of) => inbox(of).bury(leased('webhook', 30_199), 'reason')],
    forget: [60, (of) => inbox(of).forget(plus(20))],
    'find the media of copies': [10, (of) => copies(of).findMedia([leased('copy', 101), leased('copy', 10_101)])],
    'finish a copy': [
      10,
      (of) => copies(of).finish(leased('copy', 101), { tenant: TENANT, id: 'media-101' }, bytes, NOW),
    ],
    'retry a copy': [
      10,
      (of) => copies(of).retry(leased('copy', 70_101), { dueAt: NOW, failure: FAILURE, isFailed: true }, NOW),
    ],
    'fail a copy': [10, (of) => copies(of).fail(leased('copy', 80_101), { status: 'FAILED', failure: FAILURE })],
    'reserve, without a key': [10, (of) => uploads(of).reserve(reservation({ now: LATER }))],
    'reserve, a new key': [10, (of) => uploads(of).reserve(keyed('new'))],
    'reserve, a known key': [10, (of) => uploads(of).reserve(keyed('key-99998'))],
    findUploads: [10, (of) => uploads(of).findUploads([leased('upload', 128), leased('upload', 10_128)])],
    markStored: [10, (of) => uploads(of).markStored(leased('upload', 128), uploadedBytes(), NOW)],
    // Rows of their own: the versions that rolled-back calls leave of one are read until they are pruned.
    'finish an upload': [10, (of) => uploads(of).finish(leased('upload', 20_128), 'p', NOW)],
    'fail an upload': [10, (of) => uploads(of).fail(leased('upload', 50_128), FAILURE)],
    // Where an index of the ten FAILED media looks as cheap as the key, it is read.
    'try an upload again': [20, (of) => uploads(of).retryFailed(TENANT, 'media-10228', NOW)],
    intend: [5, (of) => deletions(of).intend(TENANT, 'media-4', LEASE)],
    withdraw: [5, (of) => deletions(of).withdraw(leased('deletion', 2_600, 'dead'))],
    complete: [10, (of) => deletions(of).complete(leased('deletion', 1_600, 'dead'), completion, 1_000)],
    'find the media of deletions': [10, (of) => deletions(of).findMedia([leased('deletion', 1_600, 'dead')])],
    bury: [60, (of) => deletions(of).bury(plus(9_999))],
  };
}

/** Statements of a start or a sweep, which may read a whole table that has no statistics yet. */
function rareQuestions(): Questions {
  const store = (of: Handles) => jobStoreOf(of, { owner: 'a', now: plus(9_999) });
  return {
    abandonLeases: [400, (of) => store(of).abandonLeases()],
    forgetKeys: [60, (of) => new SqlUploads(of).forgetKeys(plus(20))],
    forgetFailed: [60, (of) => new SqlUploads(of).forgetFailed(plus(20))],
    // It reads what it removes: five events, and all hundred dead jobs of webhooks, whose age is the same here.
    'forget dead events': [250, (of) => new SqlWebhookInbox(of).forgetDead(plus(5_000))],
    // All due events are read twice: to find whether there is work of an earlier version, and to convert it.
    'adopt what an earlier version left': [2_400, (of) => adoptPreviousWork(of, { now: NOW, leasesBefore: NOW })],
  };
}

describeEngines(
  `among ${ROWS} rows`,
  (bed) => {
    // The bed empties its tables before each test, and filling takes seconds: so one test with many questions, whose time
    // is not the filling's.
    beforeEach(() => bed.shared().unhurried(fill), OPEN_TIMEOUT_MS);

    test(
      'no frequent query reads more than it answers, with statistics and without',
      async () => {
        const database = bed.shared();
        const questions = { ...catalogueQuestions(), ...jobQuestions(), ...roomQuestions() };
        for (const statistics of [false, true]) {
          if (statistics) await sql`analyze`.execute(database.kysely);
          const chosen = statistics ? { ...questions, ...rareQuestions() } : questions;
          const efforts: unknown[] = [];
          for (const [name, [most, call]] of Object.entries(chosen)) {
            const { sequentialScans, rowsRead } = await effortOf(database.kysely, call);
            efforts.push({ name, sequentialScans, tooMuch: rowsRead > most ? rowsRead : 0 });
          }
          expect({ statistics, efforts }).toEqual({
            statistics,
            efforts: Object.keys(chosen).map((name) => ({ name, sequentialScans: 0, tooMuch: 0 })),
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
