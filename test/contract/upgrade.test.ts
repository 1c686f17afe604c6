/**
 * From the version before blobs were named by their attempts: its schema, rows and blobs as it left them, and what it still
 * does beside this version during a rolling upgrade.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Kysely, Migrator, sql } from 'kysely';
import { ChangeLog } from '../../src/catalogue/change-log.js';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media-catalogue.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { catalogue as catalogueTables } from '../../src/database/migrations/0001-catalogue.js';
import { uploadsAndDeletions } from '../../src/database/migrations/0002-uploads-and-deletions.js';
import { delivery } from '../../src/database/migrations/0003-delivery.js';
import { mediaChanges } from '../../src/database/migrations/0004-media-changes.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import type { Tables } from '../../src/database/tables.js';
import { keyOfStored } from '../../src/inspection/stored-bytes.js';
import { MediaDeletion } from '../../src/media/delete.js';
import { sweep } from '../../src/media/sweep.js';
import { MAX_TENANT_BYTES } from '../../src/model/channel.js';
import { ChannelDirectory } from '../../src/providers/channel-directory.js';
import { attemptBlobKey, type BlobKey, derivedBlobKey, mediaBlobKey } from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { describeEngines, OPEN_TIMEOUT_MS, reportedMedia } from '../support/databases.js';

const NOW = new Date('2026-11-21T10:00:00.000Z');
const PREVIOUS = {
  '0001-catalogue': catalogueTables,
  '0002-uploads-and-deletions': uploadsAndDeletions,
  '0003-delivery': delivery,
  '0004-media-changes': mediaChanges,
};
/** What the previous version took for a key of a media. */
const PREVIOUS_MEDIA_KEY =
  /^media\/[0-9a-f]{2}((?:\/t-[A-Za-z0-9_-]{1,200})+)((?:\/i-[A-Za-z0-9_-]{1,200})+)\.(?:original|[a-z0-9-]{1,40}\.[a-z0-9]{1,8})$/;

/** An empty database of the previous version. */
async function downgrade(kysely: Kysely<Tables>): Promise<void> {
  await sql`drop schema public cascade`.execute(kysely);
  await sql`create schema public`.execute(kysely);
  const { error } = await new Migrator({
    db: kysely,
    provider: { getMigrations: async () => PREVIOUS },
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

describeEngines('a database of the previous version', (bed) => {
  const kysely = () => bed.shared().kysely;
  const catalogue = () => new SqlMediaCatalogue(bed.shared());
  let folder: string;
  let blobs: FsBlobStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-upgrade-'));
    blobs = await FsBlobStore.open({ root: folder });
    await downgrade(kysely());
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
      deletions: new SqlDeletions(database),
      blobs,
      clock: Date,
      logger,
    };
    const alone = { channels: new ChannelDirectory([]), forget: async () => {}, purge: null };
    return { ...all, deletion: new MediaDeletion({ ...alone, ...all }) };
  };
  const swept = () => sweep({ ...stores(), inspector: null, graceMs: -1_000, dryRun: false });
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
