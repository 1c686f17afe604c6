import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { UrlSigner } from '../../src/links/signed-url.js';
import { mediaBlobKey } from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { RunningCommand } from '../support/command.js';
import { copyTemplate } from '../support/copy-template.js';
import { reportedMedia, storedBytes } from '../support/databases.js';
import { EmulatedProviders } from '../support/emulated-providers.js';
import { eventually } from '../support/eventually.js';
import { samples } from '../support/sample-messages.js';
import { errorOf, SECRETS, sole } from '../support/test-bed.js';
import { WebhookBed } from '../support/webhook-bed.js';

// A process that compiles its own sources takes seconds to start on a busy machine.
const PATIENCE_MS = 120_000;
const HOUR_MS = 3_600_000;

/** Media ids that have bytes below a store's root. */
async function blobsIn(root: string): Promise<string[]> {
  const entries = await readdir(join(root, 'media'), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('mediagraph sweep', () => {
  let folder: string;
  let config: string;
  let commands: RunningCommand[];

  beforeEach(async () => {
    commands = [];
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-sweep-'));
    await copyTemplate(folder);
    config = join(folder, 'config.json');
    const [database, storage] = [{ url: `pglite:${folder}` }, { root: join(folder, 'blobs') }];
    await writeFile(config, JSON.stringify({ database, storage, channels: [] }));
  });

  afterEach(async () => {
    for (const command of commands) command.kill('SIGKILL');
    await Promise.all(commands.map(({ ended }) => ended));
    await rm(folder, { recursive: true });
  });

  function run(...args: readonly string[]): RunningCommand {
    const command = new RunningCommand(['sweep', '--config', config, ...args]);
    commands.push(command);
    return command;
  }

  /** What one sweep printed, which is all that it printed. */
  async function report(...args: readonly string[]): Promise<unknown> {
    const command = run(...args);
    expect([await command.ended, command.stdout.split('\n')]).toEqual([0, [expect.stringMatching(/^\{.*\}$/), '']]);
    return JSON.parse(command.stdout);
  }

  async function withDatabase<Result>(use: (database: Database) => Promise<Result>): Promise<Result> {
    const database = await openDatabase({ url: `pglite:${folder}` });
    try {
      await migrate(database);
      return await use(database);
    } finally {
      await database.close();
    }
  }

  /** A kept media, one whose time is over, and two blobs that nothing owns: one of now and one of hours ago. */
  async function fill(database: Database): Promise<Record<'kept' | 'over' | 'young' | 'old', string>> {
    const catalogue = new SqlMediaCatalogue(database);
    const store = await FsBlobStore.open({ root: join(folder, 'blobs') });
    const now = new Date();
    const hoursAgo = new Date(now.getTime() - 3 * HOUR_MS);
    const media = {
      kept: reportedMedia({ providerMessageId: 'kept' }),
      over: reportedMedia({ providerMessageId: 'over', expiresAt: hoursAgo }),
      young: reportedMedia({ providerMessageId: 'young' }),
      old: reportedMedia({ providerMessageId: 'old' }),
    };
    for (const { tenant, id } of Object.values(media))
      await store.put(mediaBlobKey(tenant, id), Readable.from([samples.photo.bytes]), {});
    for (const [name, one] of [['kept', media.kept] as const, ['over', media.over] as const]) {
      const retainedUntil = name === 'over' ? hoursAgo : null;
      await catalogue.recordAnnouncement('default', [one], { mirror: false, now, retainedUntil });
      const stored = storedBytes({ key: mediaBlobKey('default', one.id), at: now });
      await catalogue.markStored('default', one.id, { stored, details: {}, replacing: null }, now);
    }
    for (const { tenant, id } of [media.kept, media.over, media.old])
      await utimes(join(folder, 'blobs', mediaBlobKey(tenant, id)), hoursAgo, hoursAgo);
    return { kept: media.kept.id, over: media.over.id, young: media.young.id, old: media.old.id };
  }

  const statuses = (ids: readonly string[]) =>
    withDatabase(async (database) => {
      const rows = await new SqlMediaCatalogue(database).findByIds('default', ids);
      return ids.map((id) => rows.get(id)?.status ?? null);
    });

  it(
    'counts in a dry run, then expires and removes, keeps fresh blobs without a row, and removes them later',
    async () => {
      const ids = await withDatabase(fill);
      const all = Object.values(ids);
      const remaining = async () => (await blobsIn(join(folder, 'blobs'))).toSorted();
      const before = await remaining();
      expect(before).toHaveLength(4);
      const nothing = { deletionsFinished: 0, forgottenEvents: 0, tombstones: 0, deadLetters: 0, leftovers: 0 };
      expect(await report('--dry-run')).toEqual({ dryRun: true, expired: 1, orphans: 1, ...nothing });
      expect(await remaining()).toEqual(before);
      expect(await statuses(all)).toEqual(['READY', 'READY', null, null]);
      expect(await report()).toEqual({ dryRun: false, expired: 1, orphans: 1, ...nothing });
      expect(await remaining()).toHaveLength(2);
      expect(await statuses(all)).toEqual(['READY', 'EXPIRED', null, null]);
      expect(await report('--grace', '0s')).toEqual({ dryRun: false, expired: 0, orphans: 1, ...nothing });
      const store = await FsBlobStore.open({ root: join(folder, 'blobs') });
      expect(await store.stat(mediaBlobKey('default', ids.kept))).toEqual({ sizeBytes: samples.photo.bytes.length });
      expect(await remaining()).toHaveLength(1);
    },
    PATIENCE_MS,
  );

  it(
    'removes only half-written files of dead processes, also when another process has their pid',
    async () => {
      await withDatabase(async () => {});
      const temporary = join(folder, 'blobs', 'tmp');
      await mkdir(temporary, { recursive: true });
      const dead = spawn(process.execPath, ['--eval', '']);
      await once(dead, 'close');
      const token = 'abcdef012345';
      const leave = async (name: string) => {
        await writeFile(join(temporary, name), 'half a');
        return name;
      };
      // Files that were there before the process that has their number now.
      const older = await leave('before');
      await sleep(1_200);
      const living = spawn(process.execPath, ['--eval', 'setTimeout(() => {}, 600_000)']);
      try {
        await rename(join(temporary, older), join(temporary, `${living.pid}.${token}-reborn`));
        await sleep(300);
        await leave(`${dead.pid}.${token}-dead`);
        const kept = [await leave(`${living.pid}.${token}-alive`), await leave('not-ours')].sort();
        expect(await report('--grace', '1h')).toMatchObject({ leftovers: 0 });
        expect(await report('--grace', '0s')).toMatchObject({ leftovers: 2 });
        expect((await readdir(temporary)).sort()).toEqual(kept);
      } finally {
        living.kill('SIGKILL');
      }
    },
    PATIENCE_MS,
  );

  it(
    'refuses unknown options, and does nothing',
    async () => {
      const before = await withDatabase(fill);
      const commands = [run('--dry-runs'), run('--grace', 'soon'), run('--grace', '60'), run('--grace')];
      for (const command of commands) {
        expect(await command.ended).toBe(1);
        expect(command.stderr).toMatch(/^error: .*(--dry-runs|--grace)/);
        expect(command.stdout).toBe('');
      }
      expect(await blobsIn(join(folder, 'blobs'))).toHaveLength(Object.keys(before).length);
    },
    PATIENCE_MS,
  );

  it(
    'reports that a running server has the embedded database, and changes nothing',
    async () => {
      await withDatabase(async (database) => {
        await fill(database);
        const command = run('--grace', '0s');
        expect(await command.ended).toBe(1);
        expect(command.stdout).toBe('');
        expect(command.stderr).toMatch(
          new RegExp(`^mediagraph failed: .*is open in process ${process.pid} .*only one process can use it\\S*\\n$`),
        );
      });
      expect(await blobsIn(join(folder, 'blobs'))).toHaveLength(4);
    },
    PATIENCE_MS,
  );
});

describe('media that retention.default keeps for a second', () => {
  const providers = new EmulatedProviders();
  const WAMID = 'wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ';
  let bed: WebhookBed;

  beforeAll(() => providers.start());
  afterAll(() => providers.close());
  afterEach(() => bed.close());

  async function start(retention: object, mode: string): Promise<void> {
    const config = { retention: { default: '1500ms', ...retention }, mirror: { mode } };
    bed = await WebhookBed.start({ config, channels: providers.channels() });
  }

  /** A link that was given out for longer than the media lives, as an operator's shorter retention makes of old ones. */
  function longLink(mediaId: string): string {
    const keys = [{ id: 'k1', secret: SECRETS.signingSecret }];
    const urls = new UrlSigner({ keys, baseUrl: () => bed.app.url, ttlMs: HOUR_MS });
    return urls.sign({ mediaId, filename: 'image.jpg', disposition: 'inline', expiresAt: urls.expiry(Date.now()) });
  }

  const expired = (id: string) =>
    eventually(
      () => bed.media(id),
      (media) => sole(media).status === 'EXPIRED',
    );

  it(
    'expires at the announced time, and the next sweep removes its bytes',
    async () => {
      await start({ sweepInterval: '1s' }, 'eager');
      providers.meta.addMedia({ id: '1', bytes: samples.photo.bytes, mimeType: 'image/jpeg' });
      const announcedAt = Date.now();
      expect((await bed.post('cloud', providers.meta.webhookOf('1', { id: WAMID }))).status).toBe(200);
      const [known] = await eventually(
        () => bed.media(`cloud:${WAMID}`),
        (media) => media.length === 1,
      );
      const expiresAt = Date.parse(known?.expiresAt ?? '');
      expect(expiresAt).toBeGreaterThanOrEqual(announcedAt + 1_500);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + 1_500);
      const gone = sole(await expired(`cloud:${WAMID}`));
      expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
      expect(gone).toMatchObject({ url: null, expiresAt: known?.expiresAt });
      await eventually(
        () => blobsIn(bed.blobs),
        (blobs) => blobs.length === 0,
      );
      const got = await bed.send('GET', longLink(gone.id));
      expect([got.status, errorOf(got).code]).toEqual([410, 'MEDIA_GONE']);
    },
    PATIENCE_MS,
  );

  it(
    'is gone at its time without a sweep, also when its provider still has it',
    async () => {
      await start({ sweepInterval: '24d' }, 'lazy');
      providers.kirim.addMessage({ id: 'msg_1', media: samples.photo });
      const listed = sole(await bed.media('wa:msg_1'));
      const link = longLink(listed.id);
      expect(listed.expiresAt).not.toBeNull();
      expect(Number(new URL(listed.url ?? '').searchParams.get('exp')) * 1000).toBeLessThanOrEqual(
        Date.parse(listed.expiresAt ?? ''),
      );
      await bed.send('GET', link);
      await bed.settled();
      const gone = sole(await expired('wa:msg_1'));
      expect([gone.url, gone.expiresAt]).toEqual([null, listed.expiresAt]);
      const got = await bed.send('GET', link);
      expect([got.status, errorOf(got).code]).toEqual([410, 'MEDIA_GONE']);
    },
    PATIENCE_MS,
  );
});

describe('a running server', () => {
  let bed: WebhookBed;

  afterEach(() => bed.close());

  it(
    'regularly removes only half-written files of dead processes that are older than an hour',
    async () => {
      bed = await WebhookBed.start({ config: { retention: { sweepInterval: '1s' } }, channels: [] });
      const temporary = join(bed.blobs, 'tmp');
      const dead = spawn(process.execPath, ['--eval', '']);
      await once(dead, 'close');
      const leave = async (name: string, age: number) => {
        await writeFile(join(temporary, name), 'half a');
        const then = new Date(Date.now() - age);
        await utimes(join(temporary, name), then, then);
        return name;
      };
      const token = 'abcdef012345';
      const kept = [
        await leave(`${dead.pid}.${token}-young`, 0),
        // The parent of this process lives as long as it does.
        await leave(`${process.ppid}.${token}-alive`, 2 * HOUR_MS),
        await leave('not-ours', 2 * HOUR_MS),
      ].sort();
      for (const name of ['first', 'second']) {
        await leave(`${dead.pid}.${token}-${name}`, 2 * HOUR_MS);
        expect(
          await eventually(
            async () => (await readdir(temporary)).sort(),
            (names) => names.length === kept.length,
          ),
        ).toEqual(kept);
      }
    },
    PATIENCE_MS,
  );
});
