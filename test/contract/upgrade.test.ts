/**
 * From the version before blobs were named by their attempts, and from the version before all work was jobs: their schemas,
 * rows and blobs as they left them, and what they still do beside this version during a rolling upgrade.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Kysely, type Migration, Migrator, type Selectable, sql } from 'kysely';
import { openStores } from '../../src/app/stores.js';
import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { adoptPreviousWork } from '../../src/catalogue/previous-work.js';
import { SqlRequestCounts } from '../../src/catalogue/request-counts.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { parseConfig } from '../../src/config/config.js';
import { catalogue as catalogueTables } from '../../src/database/migrations/0001-catalogue.js';
import { uploadsAndDeletions } from '../../src/database/migrations/0002-uploads-and-deletions.js';
import { delivery } from '../../src/database/migrations/0003-delivery.js';
import { mediaChanges } from '../../src/database/migrations/0004-media-changes.js';
import { fencedWork } from '../../src/database/migrations/0005-fenced-work.js';
import { channelFacts } from '../../src/database/migrations/0006-channel-facts.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import type { JobsTable, Tables } from '../../src/database/tables.js';
import { keyOfStored } from '../../src/inspection/stored-bytes.js';
import { MediaDeletion } from '../../src/media/delete.js';
import { sweep } from '../../src/media/sweep.js';
import { MAX_TENANT_BYTES } from '../../src/model/channel.js';
import { ChannelDirectory } from '../../src/providers/channel-directory.js';
import { attemptBlobKey, type BlobKey, derivedBlobKey, mediaBlobKey } from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { describeEngines, type EngineBed, OPEN_TIMEOUT_MS, reportedMedia, storedBytes } from '../support/databases.js';
import { deletionBed } from '../support/deletions.js';
import { claimCopies, claimEvents, claimJobs, claimUploads, jobStoreOf } from '../support/jobs.js';
import { kirimChannel } from '../support/test-bed.js';
import { createdBy, reservation } from '../support/uploads.js';

const NOW = new Date('2026-11-21T10:00:00.000Z');
const BEFORE_ATTEMPTS = {
  '0001-catalogue': catalogueTables,
  '0002-uploads-and-deletions': uploadsAndDeletions,
  '0003-delivery': delivery,
  '0004-media-changes': mediaChanges,
};
const BEFORE_JOBS = { ...BEFORE_ATTEMPTS, '0005-fenced-work': fencedWork, '0006-channel-facts': channelFacts };
/** What the previous version took for a key of a media. */
const PREVIOUS_MEDIA_KEY =
  /^media\/[0-9a-f]{2}((?:\/t-[A-Za-z0-9_-]{1,200})+)((?:\/i-[A-Za-z0-9_-]{1,200})+)\.(?:original|[a-z0-9-]{1,40}\.[a-z0-9]{1,8})$/;

/** An empty database of an earlier version, which had these migrations. */
async function downgrade(kysely: Kysely<Tables>, migrations: Readonly<Record<string, Migration>>): Promise<void> {
  await sql`drop schema public cascade`.execute(kysely);
  await sql`create schema public`.execute(kysely);
  const { error } = await new Migrator({
    db: kysely,
    provider: { getMigrations: async () => ({ ...migrations }) },
    migrationTableName: 'mediagraph_migrations',
    migrationLockTableName: 'mediagraph_migrations_lock',
    migrationTableSchema: 'public',
  }).migrateToLatest();
  if (error) throw error;
}

interface OldRow {
  readonly tenant: string;
  readonly id: string;
  readonly status?: string;
  readonly uploaded?: boolean;
  readonly stored?: { readonly sizeBytes: number; readonly sha256: string } | null;
}

/** A row with everything that the previous version read from bytes, whether they are here still or not. */
async function insertOld(
  kysely: Kysely<Tables>,
  { tenant, id, status, uploaded, stored = null }: OldRow,
): Promise<void> {
  await sql`
    insert into media (tenant, id, channel_id, provider, provider_message_id, position, status, uploaded, recorded_at,
      updated_at, announced, size_bytes, sha256, width, height, duration_seconds, thumb_hash, stored_at, stored_size_bytes,
      stored_sha256, stored_mime_type)
    values (${tenant}, ${id}, 'support', 'kirim', ${id}, 0, ${status ?? 'READY'}, ${uploaded ?? false}, ${NOW}, ${NOW}, true,
      7, 'ab', 1, 2, 3.5, 'dGh1bWI=', ${stored && NOW}, ${stored?.sizeBytes ?? null}, ${stored?.sha256 ?? null},
      ${stored && 'image/png'})`.execute(kysely);
}

const idOf = (providerMessageId: string) => reportedMedia({ providerMessageId }).id;
const TENANTS = ['default', 'Ünïcode 🌻 日本', '-', 'a'.repeat(MAX_TENANT_BYTES), '🌻'.repeat(MAX_TENANT_BYTES / 4)];
const IDS = [idOf('m1'), 'a', 'i'.repeat(199), 'i'.repeat(200), 'i'.repeat(201), '-_'.repeat(200), '_'.repeat(401)];

describeEngines('a database of the version before blobs were named by their attempts', (bed) => {
  const kysely = () => bed.shared().kysely;
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  let folder: string;
  let blobs: FsBlobStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-upgrade-'));
    blobs = await FsBlobStore.open({ root: folder });
    await downgrade(kysely(), BEFORE_ATTEMPTS);
  }, OPEN_TIMEOUT_MS);
  afterEach(async () => {
    // The bed empties the tables of this version before the next test.
    await migrate(bed.shared());
    await blobs.close();
    await rm(folder, { recursive: true });
  }, OPEN_TIMEOUT_MS);

  const put = (key: BlobKey, text: string) => blobs.put(key, Readable.from([Buffer.from(text)]), {});
  const allKeys = async (): Promise<string[]> => (await collected(blobs.keys('media/'))).map(({ key }) => key).sort();
  const stores = () => {
    const [database, logger] = [bed.shared(), createLogger({ level: 'silent' })];
    const all = {
      catalogue: catalogue(),
      changes: new ChangeLog(database),
      inbox: new SqlWebhookInbox(database),
      uploads: new SqlUploads(database),
      requestCounts: new SqlRequestCounts(database),
      deletions: new SqlDeletions(database),
      jobs: jobStoreOf(database, { owner: 'sweep', now: NOW }),
      blobs,
      clock: Date,
      logger,
    };
    const alone = { channels: new ChannelDirectory([]), forget: async () => {}, purge: null };
    return { ...all, deletion: new MediaDeletion({ ...alone, ...all }) };
  };
  const swept = () => sweep({ ...stores(), graceMs: -1_000, dryRun: false });
  const textOf = async (tenant: string, id: string): Promise<string> => {
    const stored = (await catalogue().findByIds(tenant, [id])).get(id)?.stored;
    if (!stored) throw new Error('expected bytes to be stored');
    const chunks = await collected(await blobs.open(keyOfStored(stored), { sizeBytes: stored.sizeBytes }));
    return Buffer.concat(chunks).toString();
  };

  test(
    'keeps the key of every blob, whatever its tenant and id, reads it, and sweeps nothing of it',
    async () => {
      const owners = TENANTS.flatMap((tenant) => IDS.map((id) => ({ tenant, id }))).filter(hasKey);
      expect(owners.length).toBeGreaterThan(TENANTS.length * 4);
      for (const { tenant, id } of owners)
        await insertOld(kysely(), { tenant, id, stored: await put(mediaBlobKey(tenant, id), `${tenant} ${id}`) });
      await insertOld(kysely(), { tenant: 'default', id: 'not-here' });
      await migrate(bed.shared());
      for (const { tenant, id } of owners) {
        const media = (await catalogue().findByIds(tenant, [id])).get(id);
        expect([tenant, id, media?.stored?.key]).toEqual([tenant, id, mediaBlobKey(tenant, id)]);
      }
      expect((await catalogue().findByIds('default', ['not-here'])).get('not-here')).toMatchObject({ stored: null });
      const keys = await allKeys();
      expect(await swept()).toMatchObject({ orphans: 0 });
      expect(await allKeys()).toEqual(keys);
      for (const { tenant, id } of owners) expect(await textOf(tenant, id)).toBe(`${tenant} ${id}`);
    },
    OPEN_TIMEOUT_MS,
  );

  test('forgets what was read from bytes that are gone, and nothing of those that are here', async () => {
    const stored = { sizeBytes: 7, sha256: 'ab' };
    const rows: OldRow[] = [
      { tenant: 'default', id: 'deleted', status: 'DELETED' },
      { tenant: 'default', id: 'expired', status: 'EXPIRED' },
      { tenant: 'default', id: 'failed-upload', status: 'FAILED', uploaded: true },
      { tenant: 'default', id: 'here', stored },
      { tenant: 'default', id: 'told' },
    ];
    for (const row of rows) await insertOld(kysely(), row);
    await migrate(bed.shared());
    const columns = sql`size_bytes, sha256, width, height, duration_seconds, thumb_hash`;
    const { rows: after } = await sql`select id, ${columns} from media order by id`.execute(kysely());
    const nothing = {
      size_bytes: null,
      sha256: null,
      width: null,
      height: null,
      duration_seconds: null,
      thumb_hash: null,
    };
    const all = { size_bytes: 7, sha256: 'ab', width: 1, height: 2, duration_seconds: 3.5, thumb_hash: 'dGh1bWI=' };
    expect(after).toEqual([
      { id: 'deleted', ...nothing },
      { id: 'expired', ...nothing },
      { id: 'failed-upload', ...nothing },
      { id: 'here', ...all },
      { id: 'told', ...all },
    ]);
  });

  test('may be written by the previous version meanwhile: its bytes have their key, and lose what was read from them', async () => {
    await migrate(bed.shared());
    const [tenant, id] = ['Ünïcode', 'i'.repeat(401)];
    const media = reportedMedia({ tenant, id });
    await catalogue().recordAnnouncement(tenant, [media], { mirror: true, now: NOW, retainedUntil: null });
    const { sizeBytes, sha256 } = await put(mediaBlobKey(tenant, id), 'of the previous version');
    /** As the previous version did. */
    const store = (columns: object) =>
      kysely().updateTable('media').set(columns).where('tenant', '=', tenant).where('id', '=', id).execute();
    const stored = {
      stored_at: NOW,
      stored_size_bytes: sizeBytes,
      stored_sha256: sha256,
      stored_mime_type: 'image/png',
    };
    const measured = {
      size_bytes: sizeBytes,
      sha256,
      width: 1,
      height: 2,
      duration_seconds: 3.5,
      thumb_hash: 'dGh1bWI=',
    };
    await store({ status: 'READY', mirror_state: 'done', ...stored, ...measured });
    expect(await textOf(tenant, id)).toBe('of the previous version');
    expect(await swept()).toMatchObject({ orphans: 0 });

    // What this version stored and the previous one has lost, it fetches again under its own key.
    const ours = attemptBlobKey(tenant, id);
    await put(ours, 'of this version');
    await store({ blob_key: ours, stored_at: new Date(NOW.getTime() + 1) });
    await store({ ...stored, stored_at: new Date(NOW.getTime() + 2) });
    expect(await textOf(tenant, id)).toBe('of the previous version');
    expect(await swept()).toMatchObject({ orphans: 1 });
    expect(await allKeys()).toEqual([mediaBlobKey(tenant, id)]);

    const forgotten = { stored_at: null, stored_size_bytes: null, stored_sha256: null, stored_mime_type: null };
    await store({ status: 'EXPIRED', ...forgotten });
    const row = await kysely().selectFrom('media').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const { blob_key, size_bytes, width, height, duration_seconds, thumb_hash } = row;
    expect([blob_key, size_bytes, row.sha256, width, height, duration_seconds, thumb_hash]).toEqual(
      Array(7).fill(null),
    );
  });

  test('logs what the previous version changes meanwhile', async () => {
    await insertOld(kysely(), { tenant: 'default', id: 'before', status: 'PENDING' });
    await migrate(bed.shared());
    const log = new ChangeLog(bed.shared());
    const { snapshot } = await log.read(null);
    await insertOld(kysely(), { tenant: 'default', id: 'new', status: 'PENDING' });
    await kysely().updateTable('media').set({ status: 'READY' }).where('id', '=', 'before').execute();
    expect((await log.read(snapshot)).changes.map(({ id, status }) => [id, status])).toEqual([
      ['new', 'PENDING'],
      ['before', 'READY'],
    ]);
  });

  test('keeps what this version stores through the sweep of the previous one', async () => {
    await migrate(bed.shared());
    const owners = [
      { tenant: 'default', id: idOf('m1') },
      { tenant: 'Ünïcode', id: 'i'.repeat(401) },
    ];
    for (const { tenant, id } of owners) {
      const media = reportedMedia({ tenant, id });
      await catalogue().recordAnnouncement(tenant, [media], { mirror: false, now: NOW, retainedUntil: null });
      const key = attemptBlobKey(tenant, id);
      const stored = { key, at: NOW, mimeType: 'image/png', measures: null, ...(await put(key, 'bytes')) };
      await put(derivedBlobKey(key, `t-${stored.sha256.slice(0, 8)}-320`, 'webp'), 'thumbnail');
      expect(await catalogue().markStored(tenant, id, { stored, details: {}, replacing: null }, NOW)).toMatchObject({
        isNamed: true,
      });
    }
    const keys = await allKeys();
    expect(keys).toHaveLength(4);
    for (const key of keys) expect([key, await isOrphanOfPrevious(key)]).toEqual([key, false]);
    // The rule can say so.
    expect(await isOrphanOfPrevious(mediaBlobKey('default', 'nobody'))).toBe(true);
  });

  /** Whether the previous version's sweep would have removed a blob. */
  async function isOrphanOfPrevious(key: string): Promise<boolean> {
    const [, tenantParts, idParts] = PREVIOUS_MEDIA_KEY.exec(key) ?? [];
    if (tenantParts === undefined || idParts === undefined) return false;
    const tenant = Buffer.from(tenantParts.replaceAll('/t-', ''), 'base64url').toString();
    const id = idParts.replaceAll('/i-', '');
    const shard = createHash('sha256').update(`${tenant}\n${id}`).digest('hex').slice(0, 2);
    if (!key.startsWith(`media/${shard}${tenantParts}${idParts}.`)) return false;
    const { rows } = await sql`
      select 1 from media where tenant = ${tenant} and id = ${id} and stored_at is not null
        and status not in ('DELETED', 'EXPIRED')`.execute(kysely());
    return rows.length === 0;
  }
});

/** A tenant and an id may be too long together. */
function hasKey({ tenant, id }: { readonly tenant: string; readonly id: string }): boolean {
  try {
    return mediaBlobKey(tenant, id).length > 0;
  } catch {
    return false;
  }
}

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

type Row = Readonly<Record<string, unknown>>;
type Job = Omit<Selectable<JobsTable>, 'id'>;

/** A row with work as the version before jobs left it, and what becomes of it. */
interface PreviousWork {
  readonly table: 'webhook_events' | 'media' | 'uploads';
  readonly rows: readonly Row[];
  /** Whether a living process works on it. */
  readonly isHeld: boolean;
  readonly jobs: readonly Job[];
}

interface Moment {
  readonly now: Date;
  /** When the leases of living processes end. */
  readonly aliveUntil: Date;
  /** When the work is adopted that has no time of its own. */
  readonly adoptedAt: Date;
}

const after = (from: Date, ms: number) => new Date(from.getTime() + ms);
const DAY_MS = 24 * 60 * 60 * 1000;
const LEASED = { lease_owner: 'previous' };
const INTERRUPTED = { suspect: true, interruptions: 1 };
/** It ran alone before, and ended its process. */
const BLAMED = { suspect: true, interruptions: 2, deaths: 1 };
const BLAMED_AGAIN = { suspect: true, interruptions: 3, deaths: 2 };

function jobOf(kind: Job['kind'], key: string, keys: Pick<Job, 'due_at' | 'since'> & Partial<Job>): Job {
  return {
    ...{ kind, tenant: 'default', key, channel_id: 'support', state: 'open', rank: Number.POSITIVE_INFINITY },
    ...{ waits: false, attempts: 0, payload: null, last_error: null },
    ...{ lease_owner: null, lease_until: null, lease_alone: false },
    ...{ suspect: false, interruptions: 0, deaths: 0 },
    ...keys,
  };
}

/** Webhook events in every state. */
function previousEvents({ now, aliveUntil }: Moment): PreviousWork[] {
  const receivedAt = after(now, -60_000);
  const event = (id: number, row: Row, job: Partial<Job> | null, isHeld = false): PreviousWork => ({
    table: 'webhook_events',
    rows: [
      {
        ...{ id, tenant: 'default', channel_id: 'support', dedupe_key: `event ${id}`, content_type: 'text/plain' },
        ...{ raw_body: Buffer.from(`body ${id}`), received_at: receivedAt, run_after: receivedAt, ...row },
      },
    ],
    isHeld,
    jobs: job ? [jobOf('webhook', String(id), { due_at: receivedAt, since: receivedAt, ...job })] : [],
  });
  const later = after(now, 5_000);
  return [
    event(101, {}, {}),
    event(
      102,
      { run_after: later, attempts: 2, last_error: 'not yet', ...BLAMED },
      { due_at: later, waits: true, attempts: 2, last_error: 'not yet', ...BLAMED },
    ),
    event(103, { ...LEASED, attempts: 1, lease_until: aliveUntil }, { attempts: 1, ...INTERRUPTED }, true),
    event(104, { ...LEASED, attempts: 1, lease_until: now }, { attempts: 1, ...INTERRUPTED }),
    event(
      105,
      { ...LEASED, attempts: 3, lease_until: after(now, -1), lease_alone: true, ...BLAMED },
      { attempts: 3, ...BLAMED_AGAIN },
    ),
    event(
      106,
      { state: 'dead', attempts: 5, last_error: 'not understood' },
      { state: 'dead', attempts: 5, last_error: 'not understood' },
    ),
    event(107, { state: 'done', attempts: 1, raw_body: Buffer.alloc(0) }, null),
  ];
}

const mediaRow = (id: string, now: Date, row: Row): Row => ({
  ...{ tenant: 'default', id, channel_id: 'support', provider: 'kirim', provider_message_id: id, position: 0 },
  ...{ status: 'READY', recorded_at: after(now, -2 * DAY_MS), updated_at: now, announced: true, ...row },
});

/** Copies in every state. */
function previousCopies({ now, aliveUntil }: Moment): PreviousWork[] {
  const since = after(now, -DAY_MS);
  const dueAt = after(now, -10);
  const copy = (id: string, row: Row, job: Partial<Job> | null, isHeld = false): PreviousWork => ({
    table: 'media',
    rows: [
      mediaRow(id, now, {
        ...{ status: 'PENDING', mirror_state: 'due', mirror_due_at: dueAt, mirror_since: since, ...row },
      }),
    ],
    isHeld,
    jobs: job ? [jobOf('copy', id, { due_at: dueAt, since, ...job })] : [],
  });
  const failure = {
    ...{ failure_code: 'PROVIDER_UNAVAILABLE', failure_reason: 'the provider answered 503' },
    ...{ failure_retryable: true, failed_at: after(now, -100) },
  };
  const next = after(now, 60_000);
  const postponed = { due_at: next, waits: true, last_error: failure.failure_reason };
  const lastDay = after(now, DAY_MS);
  return [
    copy('copy, due', { available_until: lastDay }, { rank: lastDay }),
    copy('copy, in backoff', { mirror_due_at: next, mirror_attempts: 2, ...failure }, { attempts: 2, ...postponed }),
    copy(
      'copy, under way',
      { ...LEASED, mirror_attempts: 1, lease_until: aliveUntil },
      { attempts: 1, ...INTERRUPTED },
      true,
    ),
    copy('copy, interrupted', { ...LEASED, mirror_attempts: 1, lease_until: now }, { attempts: 1, ...INTERRUPTED }),
    copy(
      'copy, ended its process alone',
      { ...LEASED, mirror_attempts: 3, lease_until: after(now, -1), lease_alone: true, ...BLAMED },
      { attempts: 3, ...BLAMED_AGAIN },
    ),
    copy(
      'copy, FAILED and tried again',
      { status: 'FAILED', available_until: lastDay, mirror_due_at: next, mirror_attempts: 7, ...failure },
      { rank: lastDay, attempts: 7, ...postponed },
    ),
    copy('copy, of a version without beginnings', { mirror_since: null }, { since: after(now, -2 * DAY_MS) }),
    copy('copy, done', { status: 'READY', mirror_state: 'done', mirror_attempts: 1 }, null),
    copy('copy, given up', { status: 'FAILED', mirror_state: 'failed', mirror_attempts: 9, ...failure }, null),
  ];
}

/** Uploads in every state. */
function previousUploads({ now, aliveUntil }: Moment): PreviousWork[] {
  const createdAt = after(now, -30_000);
  const upload = (id: string, row: Row, job: Partial<Job>, isHeld = false): PreviousWork[] => [
    { table: 'media', rows: [mediaRow(id, now, { status: 'PENDING', uploaded: true })], isHeld, jobs: [] },
    {
      table: 'uploads',
      rows: [
        {
          ...{ tenant: 'default', media_id: id, source_url: 'https://files.example/1', filename: 'beach.jpg' },
          ...{ created_at: createdAt, attempts: 1, ...row },
        },
      ],
      isHeld,
      jobs: [
        jobOf('upload', id, {
          ...{ due_at: createdAt, since: createdAt, attempts: 1 },
          payload: { sourceUrl: 'https://files.example/1', filename: 'beach.jpg', mimeType: null },
          ...job,
        }),
      ],
    },
  ];
  return [
    ...upload('upload, due', { attempts: 0 }, { attempts: 0 }),
    ...upload('upload, under way', { ...LEASED, lease_until: aliveUntil }, INTERRUPTED, true),
    ...upload('upload, interrupted', { ...LEASED, lease_until: now }, INTERRUPTED),
    ...upload(
      'upload, ended its process alone',
      { ...LEASED, attempts: 3, lease_until: after(now, -1), lease_alone: true, ...BLAMED },
      { attempts: 3, ...BLAMED_AGAIN },
    ),
  ];
}

/** Deletions in every state, what they left, and bytes that were not looked at. */
function previousRest({ now, aliveUntil, adoptedAt }: Moment): PreviousWork[] {
  const work = (id: string, row: Row, kinds: ReadonlyArray<Job['kind']>, isHeld = false): PreviousWork => {
    const at = isHeld ? adoptedAt : now;
    const jobs = kinds.map((kind) => jobOf(kind, id, { due_at: at, since: at }));
    return { table: 'media', rows: [mediaRow(id, now, row)], isHeld, jobs };
  };
  const stored = {
    ...{ stored_at: now, stored_size_bytes: 3, stored_sha256: 'ab', stored_mime_type: 'image/png' },
    blob_key: storedBytes().key,
  };
  const deleted = { status: 'DELETED', deletion_scope: 'PROVIDER' };
  return [
    work('deletion, under way', { deletion_owner: 'previous', deletion_until: aliveUntil }, ['deletion'], true),
    work('deletion, interrupted', { deletion_owner: 'previous', deletion_until: now }, ['deletion']),
    work('deleted, bytes left', { ...deleted, stored_at: now, blob_key: stored.blob_key }, ['removal']),
    work('deleted, the CDN not told', { ...deleted, purge_due: true }, ['removal']),
    work('deleted, both left', { ...deleted, stored_at: now, blob_key: stored.blob_key, purge_due: true }, ['removal']),
    work('deleted, all done', deleted, []),
    work('not looked at', { ...stored, inspection_due: true }, ['inspection']),
    work('looked at', { ...stored, width: 1, height: 2 }, []),
    work('two of a kind', { ...stored, inspection_due: true, deletion_owner: 'previous', deletion_until: now }, [
      'inspection',
      'deletion',
    ]),
  ];
}

function previousWork(moment: Moment): PreviousWork[] {
  const kinds = [previousEvents, previousCopies, previousUploads, previousRest];
  return kinds.flatMap((kind) => kind(moment));
}

async function write(kysely: Kysely<Tables>, table: PreviousWork['table'], row: Row): Promise<void> {
  const columns = sql.join(Object.keys(row).map((column) => sql.ref(column)));
  const values = sql.join(Object.values(row));
  await sql`insert into ${sql.table(table)} (${columns}) overriding system value values (${values})`.execute(kysely);
}

/** All jobs, in one order. */
async function allJobs(kysely: Kysely<Tables>): Promise<Job[]> {
  const rows = await kysely.selectFrom('jobs').selectAll().execute();
  return inOrder(rows.map(({ id: _, ...job }) => job));
}

function inOrder(jobs: readonly Job[]): Job[] {
  const nameOf = ({ kind, key }: Job) => `${kind} ${key}`;
  return [...jobs].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function jobsOf(works: readonly PreviousWork[]): Job[] {
  return inOrder(works.flatMap(({ jobs }) => jobs));
}

const LATER = after(NOW, 2_000);
const MOMENT: Moment = { now: NOW, aliveUntil: after(NOW, 1_000), adoptedAt: LATER };

describeEngines('a database of the version before all work was jobs', (bed) => {
  beforeEach(() => downgrade(bed.shared().kysely, BEFORE_JOBS), OPEN_TIMEOUT_MS);
  // The bed empties the tables of this version before the next test.
  afterEach(async () => {
    await migrate(bed.shared());
  }, OPEN_TIMEOUT_MS);
  describe('has work that', () => adoption(bed));
  describe('is used by both versions, and', () => besides(bed));
});

function adoption(bed: EngineBed): void {
  const kysely = () => bed.shared().kysely;
  const adopt = (now: Date, leasesBefore = now, database = bed.shared()) =>
    adoptPreviousWork(database, { now, leasesBefore });
  const leave = async (works: readonly PreviousWork[]): Promise<void> => {
    for (const { table, rows } of works) for (const row of rows) await write(kysely(), table, row);
    await migrate(bed.shared());
  };

  test('becomes one job each, with its history; what a living process holds is left alone until its lease ends', async () => {
    const works = previousWork(MOMENT);
    const free = works.filter(({ isHeld }) => !isHeld);
    await leave(works);
    expect(await allJobs(kysely())).toEqual([]);
    expect(await adopt(NOW)).toBe(jobsOf(free).length);
    expect(await allJobs(kysely())).toEqual(jobsOf(free));
    expect(await adopt(NOW)).toBe(0);
    expect(await allJobs(kysely())).toEqual(jobsOf(free));

    expect(await adopt(LATER)).toBe(jobsOf(works).length - jobsOf(free).length);
    expect(await allJobs(kysely())).toEqual(jobsOf(works));
    expect(await adopt(after(LATER, DAY_MS))).toBe(0);
    expect(await allJobs(kysely())).toEqual(jobsOf(works));
  });

  test('becomes one job each at once where every lease is a dead process’s', async () => {
    const works = previousWork({ ...MOMENT, adoptedAt: NOW });
    await leave(works);
    expect(await adopt(NOW, new Date('9999-12-31T00:00:00Z'))).toBe(jobsOf(works).length);
    expect(await allJobs(kysely())).toEqual(jobsOf(works));
    expect(await adopt(LATER)).toBe(0);
  });

  test('is adopted when the server starts; on the embedded engine every lease is a dead process’s', async () => {
    const now = new Date(Date.now() - 60_000);
    const works = previousWork({ now, aliveUntil: after(now, DAY_MS), adoptedAt: now });
    await leave(works);
    const root = await mkdtemp(join(tmpdir(), 'mediagraph-upgrade-'));
    try {
      const config = parseConfig({ storage: { root }, channels: [kirimChannel('https://api.example')] }, {});
      const stores = await openStores(config, createLogger({ level: 'silent' }), bed.shared());
      const expected = jobsOf(bed.engine === 'embedded' ? works : works.filter(({ isHeld }) => !isHeld));
      const historyOf = ({ kind, key, attempts, suspect, interruptions, deaths, lease_owner }: Job) => [
        ...[kind, key, attempts, suspect, interruptions, deaths, lease_owner],
      ];
      expect((await allJobs(kysely())).map(historyOf)).toEqual(expected.map(historyOf));
      await stores.close();
    } finally {
      await rm(root, { recursive: true });
    }
  });

  test('becomes one job each when two replicas adopt it at once', async () => {
    for (let round = 0; round < 3; round++) {
      const works = previousWork({ ...MOMENT, adoptedAt: LATER });
      await downgrade(kysely(), BEFORE_JOBS);
      await leave(works);
      const counts = await Promise.all(
        [bed.shared(), bed.replica(), bed.shared(), bed.replica()].map((database) => adopt(LATER, LATER, database)),
      );
      // Calls at once may pass over rows that another is just moving, and never count one twice.
      const rest = await adopt(LATER);
      expect([...counts, rest].reduce((sum, count) => sum + count)).toBe(jobsOf(works).length);
      const keys = (jobs: readonly Job[]) => jobs.map(({ kind, key }) => [kind, key]);
      expect(keys(await allJobs(kysely()))).toEqual(keys(jobsOf(works)));
    }
  });

  test('can be carried out by this version, the copies in the order of their deadlines', async () => {
    await leave(previousWork(MOMENT));
    await adopt(LATER);
    const worker = { owner: 'worker', now: after(NOW, DAY_MS) };
    const events = await claimEvents(bed.shared(), worker);
    expect(events.map(({ event }) => [event.id, event.rawBody.toString(), event.contentType])).toEqual(
      [101, 102, 103, 104, 105].map((id) => [id, `body ${id}`, 'text/plain']),
    );
    const copies = await claimCopies(bed.shared(), worker);
    expect(copies.map(({ media }) => media.id).slice(0, 2)).toEqual(['copy, due', 'copy, FAILED and tried again']);
    expect(copies).toHaveLength(7);
    expect(copies.every(({ media }) => media.mirrored)).toBe(true);
    expect((await claimUploads(bed.shared(), worker)).map(({ media, filename }) => [media.status, filename])).toEqual(
      Array(4).fill(['PENDING', 'beach.jpg']),
    );
    for (const [kind, count] of [
      ['deletion', 3],
      ['removal', 3],
      ['inspection', 2],
    ] as const) {
      const jobs = await claimJobs(bed.shared(), kind, worker);
      expect([kind, (await new SqlDeletions(bed.shared()).findMedia(jobs)).size]).toEqual([kind, count]);
    }
  });

  test('leaves dead letters and tombstones as they are, and gives each letter a dead job that is forgotten with it', async () => {
    await leave(previousWork(MOMENT));
    await adopt(LATER);
    const inbox = new SqlWebhookInbox(bed.shared());
    expect(await inbox.counts()).toMatchObject({ due: 5, dead: 1 });
    const jobs = jobStoreOf(bed.shared(), { owner: 'counts', now: LATER });
    expect(await jobs.counts()).toMatchObject({ webhook: { open: 5, dead: 1 } });
    const { rows } = await sql`select raw_body, last_error from webhook_events where state = 'dead'`.execute(kysely());
    expect(rows).toEqual([{ raw_body: Buffer.from('body 106'), last_error: 'not understood' }]);
    expect(await inbox.forgetDead(LATER)).toBe(1);
    expect(await jobs.counts()).toMatchObject({ webhook: { open: 5, dead: 0 } });
    expect(await adopt(LATER)).toBe(0);
    expect(await new SqlDeletions(bed.shared()).bury(LATER)).toBe(1);
  });
}

/** What the previous version finds to do, whose replica has the name `previous`: as its statements asked. */
async function dueToPrevious(kysely: Kysely<Tables>, now: Date): Promise<number> {
  const isFree = sql`(lease_until is null or lease_until <= ${now})`;
  const { rows } = await sql<{ count: number }>`
    select (
      (select count(*) from webhook_events where state = 'due' and run_after <= ${now} and ${isFree}) +
      (select count(*) from media where mirror_state = 'due' and mirror_due_at <= ${now} and ${isFree}) +
      (select count(*) from uploads where ${isFree}) +
      (select count(*) from media where deletion_owner is not null and deletion_until <= ${now}) +
      (select count(*) from media where status = 'DELETED' and (stored_at is not null or purge_due)) +
      (select count(*) from media where inspection_due)
    )::integer as count`.execute(kysely);
  return rows[0]?.count ?? -1;
}

function besides(bed: EngineBed): void {
  const kysely = () => bed.shared().kysely;
  const adopt = (now: Date) => adoptPreviousWork(bed.shared(), { now, leasesBefore: now });
  const statusOf = async (id: string) => (await deletionBed(bed.shared(), NOW).found(id))?.status;

  test('the previous one finds nothing to do of what this one adopts or begins', async () => {
    for (const { table, rows } of previousWork(MOMENT)) for (const row of rows) await write(kysely(), table, row);
    await migrate(bed.shared());
    expect(await dueToPrevious(kysely(), after(NOW, DAY_MS))).toBeGreaterThan(20);
    await adopt(LATER);
    const { catalogue, keep, list, remove } = deletionBed(bed.shared(), NOW);
    const event = { tenant: 'default', channelId: 'support', dedupeKey: 'new', contentType: '' };
    await new SqlWebhookInbox(bed.shared()).receive({ ...event, rawBody: Buffer.from('new'), now: NOW });
    const announced = reportedMedia({ providerMessageId: 'announced' });
    await catalogue.recordAnnouncement('default', [announced], { mirror: true, now: NOW, retainedUntil: null });
    createdBy(await new SqlUploads(bed.shared()).reserve(reservation({ now: NOW })));
    const [stored, deleted] = [await list('stored'), await list('deleted')];
    for (const { id } of [stored, deleted]) await keep(id);
    await remove(deleted.id);
    expect(await dueToPrevious(kysely(), after(NOW, DAY_MS))).toBe(0);
  });

  test('what the previous one finishes is not adopted, what it adds or hands back is', async () => {
    const event = (dedupeKey: string, row: Row) =>
      write(kysely(), 'webhook_events', {
        ...{ tenant: 'default', channel_id: 'support', dedupe_key: dedupeKey, content_type: '', received_at: NOW },
        ...{ raw_body: Buffer.from(dedupeKey), run_after: NOW, ...row },
      });
    // An identity column counts by itself where no value is given.
    await event('finished', { id: 201, ...LEASED, attempts: 1, lease_until: after(NOW, 1_000) });
    await event('handed back', { id: 202, ...LEASED, attempts: 1, lease_until: after(NOW, 1_000) });
    await migrate(bed.shared());
    expect(await adopt(NOW)).toBe(0);
    await sql`update webhook_events set state = 'done', raw_body = '', lease_owner = null, lease_until = null
      where id = 201`.execute(kysely());
    await sql`update webhook_events set attempts = 0, lease_owner = null, lease_until = null where id = 202`.execute(
      kysely(),
    );
    await event('added', { id: 203 });
    expect(await adopt(NOW)).toBe(2);
    expect(await allJobs(kysely())).toEqual(
      ['202', '203'].map((id) => jobOf('webhook', id, { due_at: NOW, since: NOW })),
    );
    // A delivery that either version has is no new one.
    const repeated = { tenant: 'default', channelId: 'support', dedupeKey: 'finished', contentType: '' };
    const inbox = new SqlWebhookInbox(bed.shared());
    expect(await inbox.receive({ ...repeated, rawBody: Buffer.from('again'), now: NOW })).toBe('repeated');
    expect(await adopt(LATER)).toBe(0);
  });

  test('a copy that both announce is one job', async () => {
    const media = reportedMedia();
    await write(
      kysely(),
      'media',
      mediaRow(media.id, NOW, {
        ...{ provider_message_id: media.providerMessageId, status: 'PENDING', mirror_state: 'due', mirror_due_at: NOW },
        ...{ mirror_since: NOW, mirror_attempts: 1, ...LEASED, lease_until: after(NOW, 1_000) },
      }),
    );
    await migrate(bed.shared());
    const recording = { mirror: true, now: NOW, retainedUntil: null };
    await new SqlMediaCatalogue(bed.shared()).recordAnnouncement('default', [media], recording);
    // As the previous version's announcement.
    await sql`update media set mirror_state = 'due', mirror_due_at = ${NOW}, mirror_attempts = 0, mirror_since = ${NOW},
      lease_owner = null, lease_until = null where id = ${media.id}`.execute(kysely());
    await adopt(LATER);
    expect((await allJobs(kysely())).map(({ kind, key }) => [kind, key])).toEqual([['copy', media.id]]);
    expect(await dueToPrevious(kysely(), after(NOW, DAY_MS))).toBe(0);
  });

  /** What the previous one has begun. */
  const beginCopy = (id: string, row: Row) =>
    write(
      kysely(),
      'media',
      mediaRow(id, NOW, {
        ...{ status: 'PENDING', mirror_state: 'due', mirror_due_at: NOW, mirror_since: NOW, mirror_attempts: 1 },
        ...{ ...LEASED, lease_until: after(NOW, 1_000), ...row },
      }),
    );

  test('what this one deletes or expires while the previous one copies it has ended', async () => {
    await beginCopy('deleted', {});
    await beginCopy('expired', { expires_at: NOW });
    await beginCopy('expired with its device', { provider_media_id: 'device-1/1' });
    await migrate(bed.shared());
    const { catalogue, remove } = deletionBed(bed.shared(), NOW);
    await remove('deleted');
    await catalogue.expireDue(NOW, 10);
    await catalogue.expireDevice('default', 'support', 'device-1/', NOW);
    const ended = { deleted: 'DELETED', expired: 'EXPIRED', 'expired with its device': 'EXPIRED' };
    for (const [id, status] of Object.entries(ended)) expect([id, await statusOf(id)]).toEqual([id, status]);
    // The previous version names the bytes of its copy.
    await sql`
      update media set status = 'READY', was_ready = true, mirror_state = 'done', lease_owner = null, lease_until = null,
        stored_at = ${NOW}, stored_size_bytes = 3, stored_sha256 = 'ab', blob_key = 'media/previous'
      where lease_owner = 'previous' and mirror_state = 'due' and stored_at is null`.execute(kysely());
    for (const [id, status] of Object.entries(ended)) expect([id, await statusOf(id)]).toEqual([id, status]);
  });

  test('what this one deletes while the previous one works on it is no job afterwards', async () => {
    await beginCopy('copy', {});
    await write(kysely(), 'media', mediaRow('upload', NOW, { status: 'PENDING', uploaded: true }));
    await write(kysely(), 'uploads', {
      ...{ tenant: 'default', media_id: 'upload', source_url: 'https://files.example/1', created_at: NOW, attempts: 1 },
      ...{ ...LEASED, lease_until: after(NOW, 1_000) },
    });
    await migrate(bed.shared());
    const { removeWholly } = deletionBed(bed.shared(), NOW);
    for (const id of ['copy', 'upload']) await removeWholly(id);
    await adopt(LATER);
    expect((await allJobs(kysely())).map(({ kind, key }) => [kind, key])).toEqual([]);
    for (const id of ['copy', 'upload']) expect([id, await statusOf(id)]).toEqual([id, 'DELETED']);
  });
}
