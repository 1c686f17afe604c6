import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MAX_TENANT_BYTES } from '../../src/model/channel.js';
import { MediagraphError } from '../../src/model/errors.js';
import {
  type BlobKey,
  BlobNotFound,
  type BlobStore,
  BlobStoreError,
  isBlobKey,
  mediaBlobKey,
  parseMediaBlobKey,
} from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { openBlobStore } from '../../src/storage/open-blob-store.js';
import { S3BlobStore } from '../../src/storage/s3/s3-blob-store.js';
import { compiledProject } from '../support/command.js';
import { RawServer } from '../support/raw-server.js';
import { S3TestServer } from '../support/s3.js';

const MEGABYTE = 1024 * 1024;
/** Three parts of a multipart upload. */
const LARGE = randomBytes(12 * MEGABYTE);

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const bodyOf = (bytes: Buffer, chunkBytes = 64 * 1024) =>
  Readable.from(chunksOf(bytes, chunkBytes), { objectMode: false });

function* chunksOf(bytes: Buffer, chunkBytes: number) {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** Yields `bytes`, then does `atEnd` instead of ending: throws, or waits for ever. */
async function* thenInstead(bytes: Buffer, atEnd: () => unknown) {
  yield* chunksOf(bytes, 64 * 1024);
  atEnd();
  await new Promise(() => {});
}

const HOSTILE_TENANTS = [
  '..',
  '../../etc',
  'a/b',
  'a\\b',
  '\0',
  'a\nb',
  '💾',
  'ü'.repeat(20),
  't'.repeat(300),
  '.',
  ' ',
  'CON',
];

let ids = 0;
const freshKey = (): BlobKey => mediaBlobKey('acme', `id${ids++}`);

async function read(store: BlobStore, key: BlobKey, range?: { start: number; end: number }): Promise<Buffer> {
  return buffer(await store.open(key, { range }));
}

async function keysOf(store: BlobStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.keys(prefix)) keys.push(key);
  return keys.sort();
}

/** What every driver is checked with: a store that is empty, and a look for what a put that failed left behind it. */
interface Subject {
  readonly store: BlobStore;
  leftovers(): Promise<string[]>;
  end(): Promise<void>;
}

const subjects: Array<[string, () => Promise<Subject>]> = [
  [
    'files',
    async () => {
      const root = await mkdtemp(join(tmpdir(), 'mediagraph-blobs-'));
      const store = await openBlobStore({ driver: 'fs', root });
      return { store, leftovers: () => readdir(join(root, 'tmp')), end: () => rm(root, { recursive: true }) };
    },
  ],
  [
    'S3',
    async () => {
      const server = await S3TestServer.start();
      const store = await openBlobStore({ driver: 's3', ...server.options });
      return { store, leftovers: () => server.unfinishedUploads(), end: () => server.close() };
    },
  ],
];

describe.each(subjects)('a blob store of %s', (_name, start) => {
  let subject: Subject;
  let store: BlobStore;

  beforeAll(async () => {
    subject = await start();
    ({ store } = subject);
  });

  afterEach(async () => {
    expect(await subject.leftovers()).toEqual([]);
  });

  afterAll(async () => {
    await store.close();
    await subject.end();
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('x')],
    ['one part, exactly', LARGE.subarray(0, 5 * MEGABYTE)],
    ['12 MB', LARGE],
  ])('gives back %s', async (_what, bytes) => {
    const key = freshKey();
    expect(await store.put(key, bodyOf(bytes), {})).toEqual({ sizeBytes: bytes.length, sha256: sha256(bytes) });
    expect(await store.stat(key)).toEqual({ sizeBytes: bytes.length });
    expect((await read(store, key)).equals(bytes)).toBe(true);
  });

  it('gives exact ranges, and no bytes for one that starts after the last', async () => {
    const key = freshKey();
    await store.put(key, bodyOf(LARGE), {});
    const last = LARGE.length - 1;
    const ranges: ReadonlyArray<readonly [number, number]> = [
      [0, 0],
      [0, 1],
      [1, 1],
      [70_000, 700_000],
      [5 * MEGABYTE - 1, 5 * MEGABYTE],
      [last, last],
      [last - 1, last + 10],
      [0, last],
    ];
    for (const [start, end] of ranges) {
      expect((await read(store, key, { start, end })).equals(LARGE.subarray(start, end + 1))).toBe(true);
    }
    await expect(store.open(key, { range: { start: last + 1, end: last + 1 } })).rejects.toThrow(RangeError);
    for (const [start, end] of [
      [2, 1],
      [-1, 5],
      [0.5, 2],
      [0, Number.NaN],
    ] as const) {
      await expect(store.open(key, { range: { start, end } })).rejects.toThrow(/expected a range of whole bytes/);
    }
    const empty = freshKey();
    await store.put(empty, bodyOf(Buffer.alloc(0)), {});
    await expect(store.open(empty, { range: { start: 0, end: 0 } })).rejects.toThrow(RangeError);
  });

  it('rejects for what it does not have before it hands out a stream', async () => {
    await expect(store.open(freshKey(), {})).rejects.toThrow(BlobNotFound);
    await expect(store.open(freshKey(), { range: { start: 0, end: 1 } })).rejects.toThrow(BlobNotFound);
    expect(await store.stat(freshKey())).toBeNull();
  });

  it.each([
    ['in the first part', LARGE.subarray(0, MEGABYTE)],
    ['after two parts', LARGE],
  ])('leaves nothing when it is aborted %s', async (_when, bytes) => {
    const key = freshKey();
    const controller = new AbortController();
    const reason = new Error('nobody waits any more');
    const body = Readable.from(thenInstead(bytes, () => controller.abort(reason)));
    await expect(store.put(key, body, { signal: controller.signal })).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    expect(await store.stat(key)).toBeNull();
  });

  it('reads nothing when it was aborted before', async () => {
    const key = freshKey();
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    const body = bodyOf(LARGE);
    await expect(store.put(key, body, { signal })).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
    await store.put(key, bodyOf(LARGE), {});
    await expect(store.open(key, { signal })).rejects.toBe(reason);
  });

  it.each([
    ['in the first part', LARGE.subarray(0, MEGABYTE)],
    ['after two parts', LARGE],
  ])("rejects with the source's own error %s and leaves nothing", async (_when, bytes) => {
    const key = freshKey();
    const fault = new Error('the provider hung up');
    const body = Readable.from(
      thenInstead(bytes, () => {
        throw fault;
      }),
    );
    await expect(store.put(key, body, {})).rejects.toBe(fault);
    expect(await store.stat(key)).toBeNull();
  });

  it('takes a source that was cut off, or had failed before, for no whole blob', async () => {
    const key = freshKey();
    const cut = bodyOf(LARGE);
    cut.once('data', () => cut.destroy()).pause();
    await expect(store.put(key, cut, {})).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    const fault = new Error('failed before');
    const failed = bodyOf(LARGE).on('error', () => {});
    failed.destroy(fault);
    await expect(store.put(key, failed, {})).rejects.toBe(fault);
    expect(await store.stat(key)).toBeNull();
  });

  it('stores as many bytes as are allowed, and nothing of one more', async () => {
    const key = freshKey();
    await expect(store.put(key, bodyOf(LARGE), { maxBytes: LARGE.length - 1 })).rejects.toMatchObject({
      code: 'MEDIA_TOO_LARGE',
    });
    await expect(store.put(key, bodyOf(Buffer.from('xx')), { maxBytes: 1 })).rejects.toThrow(MediagraphError);
    await expect(store.put(key, bodyOf(Buffer.from('x')), { maxBytes: Number.NaN })).rejects.toThrow(RangeError);
    expect(await store.stat(key)).toBeNull();
    await store.put(key, bodyOf(LARGE), { maxBytes: LARGE.length });
    expect(await store.stat(key)).toEqual({ sizeBytes: LARGE.length });
  });

  it.each([
    ['small', 1_000],
    ['large', 6 * MEGABYTE],
  ])('has one whole blob after several %s puts at once', async (_size, bytes) => {
    const key = freshKey();
    const candidates = [1, 2, 3, 4].map((value) => Buffer.alloc(bytes + value, value));
    await Promise.all(candidates.map((candidate) => store.put(key, bodyOf(candidate), {})));
    const found = await read(store, key);
    expect(candidates.some((candidate) => candidate.equals(found))).toBe(true);
  });

  it('shows the old blob or the new one while it is replaced, and lets readers of the old one finish', async () => {
    const key = freshKey();
    const [before, after] = [Buffer.alloc(2 * MEGABYTE, 'a'), Buffer.alloc(3 * MEGABYTE, 'b')];
    await store.put(key, bodyOf(before), {});
    const reader = await store.open(key, {});
    let during: Buffer | undefined;
    async function* slowly() {
      yield after.subarray(0, MEGABYTE);
      during = await read(store, key);
      yield after.subarray(MEGABYTE);
    }
    await store.put(key, Readable.from(slowly()), {});
    expect(during?.equals(before)).toBe(true);
    expect((await read(store, key)).equals(after)).toBe(true);
    expect((await buffer(reader)).equals(before)).toBe(true);
  });

  it('keeps the old blob when its replacement fails', async () => {
    const key = freshKey();
    await store.put(key, bodyOf(Buffer.from('old')), {});
    await expect(store.put(key, bodyOf(LARGE), { maxBytes: 6 * MEGABYTE })).rejects.toThrow(MediagraphError);
    expect((await read(store, key)).toString()).toBe('old');
  });

  it("ends a reader with the signal's reason", async () => {
    const key = freshKey();
    await store.put(key, bodyOf(LARGE), {});
    const controller = new AbortController();
    const reason = new Error('the client left');
    const stream = await store.open(key, { signal: controller.signal });
    await once(stream, 'readable');
    controller.abort(reason);
    await expect(buffer(stream)).rejects.toBe(reason);
    // Nobody listens here, and it must not end the process.
    const dropped = new AbortController();
    const unread = await store.open(key, { signal: dropped.signal });
    dropped.abort(reason);
    if (!unread.closed) await new Promise((resolve) => unread.once('close', resolve));
  });

  it('deletes, and deletes again', async () => {
    const key = freshKey();
    await store.put(key, bodyOf(Buffer.from('x')), {});
    await store.delete(key);
    await store.delete(key);
    expect(await store.stat(key)).toBeNull();
    await expect(store.open(key, {})).rejects.toThrow(BlobNotFound);
    expect(await keysOf(store, key)).toEqual([]);
    await store.put(key, bodyOf(Buffer.from('again')), {});
    expect((await read(store, key)).toString()).toBe('again');
  });

  it('lists 1,100 keys, each once, also while they are deleted', async () => {
    const startedAt = Date.now();
    const expected = new Set<string>();
    const work = Array.from({ length: 1_100 }, (_, index) =>
      mediaBlobKey('lister', `L${String(index).padStart(6, '0')}`),
    );
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let key = work.pop(); key !== undefined; key = work.pop()) {
          expected.add(key);
          await store.put(key, bodyOf(Buffer.from('x')), {});
        }
      }),
    );
    const mine = (keys: string[]) => keys.filter((key) => parseMediaBlobKey(key)?.tenant === 'lister');
    expect(mine(await keysOf(store, 'media/'))).toEqual([...expected].sort());
    const [some = ''] = expected;
    const shard = some.slice(0, 'media/00/'.length);
    expect(mine(await keysOf(store, shard))).toEqual([...expected].filter((key) => key.startsWith(shard)).sort());
    expect(await keysOf(store, some.slice(0, -3))).toEqual([some]);
    expect(await keysOf(store, 'mediaa/')).toEqual([]);

    const deleted: string[] = [];
    for await (const { key, modifiedAt } of store.keys('media/')) {
      if (!expected.has(key)) continue;
      // Servers tell whole seconds.
      expect(modifiedAt.getTime()).toBeGreaterThan(startedAt - 2_000);
      deleted.push(key);
      if (deleted.length <= 100) await store.delete(key);
    }
    expect(deleted.sort()).toEqual([...expected].sort());
    expect(mine(await keysOf(store, 'media/'))).toHaveLength(1_000);
  }, 60_000);

  it.each(HOSTILE_TENANTS)('keeps the media of the tenant %j apart', async (tenant) => {
    for (const id of ['A', `${'x'.repeat(199)}-`, 'y'.repeat(512)]) {
      const key = mediaBlobKey(tenant, id);
      await store.put(key, bodyOf(Buffer.from(id)), {});
      expect((await read(store, key)).toString()).toBe(id);
      const listed = await keysOf(store, key);
      expect(listed.map(parseMediaBlobKey)).toEqual([{ tenant, id }]);
      await store.delete(key);
    }
  });

  it('refuses a text that only claims to be a key', async () => {
    for (const text of ['../outside', '/etc/passwd', 'media//x', 'media/./x', 'media/..', 'a\0b', 'media/x y', '']) {
      const forged = text as BlobKey;
      const body = bodyOf(LARGE);
      await expect(store.put(forged, body, {})).rejects.toThrow(RangeError);
      expect(body.destroyed).toBe(true);
      await expect(store.open(forged, {})).rejects.toThrow(RangeError);
      await expect(store.stat(forged)).rejects.toThrow(RangeError);
      await expect(store.delete(forged)).rejects.toThrow(RangeError);
    }
  });

  it('answers a ping', async () => {
    await store.ping();
  });
});

describe('keys of media', () => {
  it('can be read back and are texts that any store takes', () => {
    for (const tenant of [...HOSTILE_TENANTS, 'é'.repeat(MAX_TENANT_BYTES / 2)]) {
      for (const id of ['A', '-', '_'.repeat(200), '-'.repeat(201), 'z'.repeat(512)]) {
        const key = mediaBlobKey(tenant, id);
        expect(isBlobKey(key)).toBe(true);
        expect(key.split('/').every((segment) => segment.length <= 220)).toBe(true);
        expect(parseMediaBlobKey(key)).toEqual({ tenant, id });
      }
    }
  });

  it('never meet, and no media begins with the prefix of another', () => {
    const pairs = [
      ['a', 'b'],
      ['ab', ''.padEnd(200, 'c')],
      ['ab', ''.padEnd(201, 'c')],
      ['ab', ''.padEnd(400, 'c')],
      ['a\nb', 'c'],
      ['a', 'bc'],
    ] as const;
    const keys = pairs.map(([tenant, id]) => mediaBlobKey(tenant, id));
    expect(new Set(keys).size).toBe(keys.length);
    const prefixes = keys.map((key) => key.slice(0, -'original'.length));
    for (const prefix of prefixes) expect(keys.filter((key) => key.startsWith(prefix))).toHaveLength(1);
  });

  it.each([
    ['no tenant', '', 'A'],
    ['a lone surrogate', '\ud800', 'A'],
    ['a tenant that is too long', 't'.repeat(MAX_TENANT_BYTES + 1), 'A'],
    ['no id', 'acme', ''],
    ['an id with a way up', 'acme', '../x'],
    ['an id with a NUL', 'acme', 'a\0'],
    ['an id that is too long', 'acme', 'a'.repeat(513)],
    ['an id with an emoji', 'acme', '💾'],
  ])('are not made for %s', (_what, tenant, id) => {
    expect(() => mediaBlobKey(tenant, id)).toThrow(RangeError);
  });

  it('are recognised only as they were written', () => {
    const key = mediaBlobKey('acme', 'A'.repeat(250));
    const [, shard = ''] = key.split('/');
    const variants = [
      key.replace(shard, shard === '00' ? '01' : '00'),
      key.replace('.original', '.thumbnail'),
      `${key}/x`,
      key.toUpperCase(),
      key.replace('t-YWNtZQ', 't-YWNtZR'),
      key.replace('t-YWNtZQ', 't-YWN/t-tZQ'),
      key.replace(`/i-${'A'.repeat(200)}/`, `/i-${'A'.repeat(199)}/i-A/`),
      `/${key}`,
      key.replace('media', 'other'),
      '',
      'media',
      `media/00/t-${'_'.repeat(10)}/i-A.original`,
    ];
    expect(parseMediaBlobKey(key)).not.toBeNull();
    for (const variant of variants) expect([variant, parseMediaBlobKey(variant)]).toEqual([variant, null]);
  });
});

/** Runs a module in a process of its own, over the compiled sources, as `sh -c` would with `limits` before it. */
function runModule(code: string, args: readonly string[], limits = ':'): ChildProcess {
  const node = ['--expose-gc', '--input-type=module', '-e', code, ...args];
  return spawn('sh', ['-c', `${limits} && exec "$0" "$@"`, process.execPath, ...node], {
    cwd: compiledProject(),
    env: { PATH: process.env.PATH ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function outputOf(child: ChildProcess): Promise<string> {
  const closed = once(child, 'close');
  const output = child.stdout ? (await buffer(child.stdout)).toString() : '';
  expect(await closed).toEqual([0, null]);
  return output;
}

describe('a blob store of files, besides', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'mediagraph-blobs-'));
  });

  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  const PRELUDE = `
    import { Readable } from 'node:stream';
    import { mediaBlobKey } from './src/storage/blob-store.js';
    import { openBlobStore } from './src/storage/open-blob-store.js';
    const [root] = process.argv.slice(1);
    const store = await openBlobStore({ driver: 'fs', root });
    const key = mediaBlobKey('acme', 'A');
    const chunk = Buffer.alloc(65536, 'x');
  `;

  it('shows nothing of a put whose process was killed, and removes what it left', async () => {
    const child = runModule(
      `${PRELUDE}
       setInterval(() => {}, 1000);
       async function* endless() {
         for (let i = 0; i < 64; i++) yield chunk;
         console.log('half');
         await new Promise(() => {});
       }
       await store.put(key, Readable.from(endless()), {});`,
      [root],
    );
    if (!child.stdout) throw new Error('expected a pipe');
    await once(child.stdout, 'data');

    // While it lives, its file is no leftover, however old.
    await FsBlobStore.open({ root, leftoverAgeMs: -60_000 });
    const [temporary = ''] = await readdir(join(root, 'tmp'));
    expect((await stat(join(root, 'tmp', temporary))).size).toBeGreaterThan(0);

    child.kill('SIGKILL');
    await once(child, 'close');
    const store = await FsBlobStore.open({ root });
    expect(await readdir(join(root, 'tmp'))).toEqual([temporary]);
    expect(await keysOf(store, '')).toEqual([]);
    expect(await store.stat(mediaBlobKey('acme', 'A'))).toBeNull();

    await FsBlobStore.open({ root, leftoverAgeMs: -60_000 });
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  }, 30_000);

  it('takes files of an earlier process with its own pid for leftovers, and leaves strange ones alone', async () => {
    await mkdir(join(root, 'tmp'));
    const old = new Date(Date.now() - 7_200_000);
    for (const name of [`${process.pid}.0123456789ab-x`, '1234.notes', 'README']) {
      await writeFile(join(root, 'tmp', name), '');
      await utimes(join(root, 'tmp', name), old, old);
    }
    await writeFile(join(root, 'tmp', `${process.pid}.0123456789ab-young`), '');
    await FsBlobStore.open({ root });
    expect((await readdir(join(root, 'tmp'))).sort()).toEqual(
      ['1234.notes', `${process.pid}.0123456789ab-young`, 'README'].sort(),
    );
  });

  it('rejects and leaves nothing when the disk takes no more', async () => {
    const child = runModule(
      `${PRELUDE}
       const body = Readable.from((function* () { for (let i = 0; i < 160; i++) yield chunk; })());
       const thrown = await store.put(key, body, {}).then(() => null, (error) => error);
       console.log(JSON.stringify({ name: thrown?.name, message: thrown?.message, destroyed: body.destroyed, stat: await store.stat(key) }));`,
      [root],
      // Blocks of 512 or 1,024 bytes: 2 or 4 MB, of the 10 that are sent.
      'ulimit -f 4096',
    );
    expect(JSON.parse(await outputOf(child))).toEqual({
      name: 'BlobStoreError',
      message: 'expected the blob store to take a blob, got EFBIG',
      destroyed: true,
      stat: null,
    });
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  }, 30_000);

  it('keeps memory flat while 200 MB pass in and out', async () => {
    const child = runModule(
      `${PRELUDE}
       globalThis.gc();
       const before = process.memoryUsage.rss();
       let most = before;
       const watch = () => { most = Math.max(most, process.memoryUsage.rss()); };
       async function* source() {
         for (let i = 0; i < 3200; i++) { watch(); yield Buffer.alloc(65536, i); }
       }
       const { sizeBytes } = await store.put(key, Readable.from(source()), {});
       let readBytes = 0;
       for await (const bytes of await store.open(key, {})) { readBytes += bytes.length; watch(); }
       console.log(JSON.stringify({ sizeBytes, readBytes, grownBytes: most - before }));`,
      [root],
    );
    const { sizeBytes, readBytes, grownBytes } = JSON.parse(await outputOf(child));
    expect([sizeBytes, readBytes]).toEqual([200 * MEGABYTE, 200 * MEGABYTE]);
    expect(grownBytes).toBeLessThan(80 * MEGABYTE);
  }, 60_000);

  it('removes the folders that a deletion empties, however many come to fill them at once', async () => {
    const store = await FsBlobStore.open({ root });
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        // Long ids: five folders each, some of them shared.
        const key = mediaBlobKey('acme', 'x'.repeat(400) + index);
        for (let round = 0; round < 20; round++) {
          await store.put(key, bodyOf(Buffer.from('x')), {});
          await store.delete(key);
        }
      }),
    );
    expect(await readdir(root)).toEqual(['tmp']);
  });

  it('neither opens nor lists what is no file of its own', async () => {
    const store = await FsBlobStore.open({ root });
    const key = mediaBlobKey('acme', 'A');
    await store.put(key, bodyOf(Buffer.from('x')), {});
    const link = mediaBlobKey('acme', 'B');
    await mkdir(join(root, link, '..'), { recursive: true });
    await symlink('/etc/passwd', join(root, link));
    await mkdir(join(root, mediaBlobKey('acme', 'C')), { recursive: true });
    await writeFile(join(root, 'media', 'with space'), '');
    expect(await keysOf(store, '')).toEqual([key]);
    for (const other of [link, mediaBlobKey('acme', 'C')]) {
      expect(await store.stat(other)).toBeNull();
      await expect(store.open(other, {})).rejects.toThrow(BlobNotFound);
    }
    await expect(store.open('tmp/x' as BlobKey, {})).rejects.toThrow(RangeError);
    expect(await keysOf(store, '../')).toEqual([]);
    expect(await keysOf(store, 'tmp/')).toEqual([]);
  });

  it('says at once that its folder cannot be written', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(openBlobStore({ driver: 'fs', root: join(root, 'file', 'blobs') })).rejects.toThrow(
      /^expected a folder for blobs that can be written at .*blobs, got ENOTDIR$/,
    );
    const store = await openBlobStore({ driver: 'fs', root: join(root, 'deep', 'down') });
    await access(join(root, 'deep', 'down', 'tmp'));
    await rm(join(root, 'deep'), { recursive: true });
    await expect(store.ping()).rejects.toThrow('expected the blob store to be writable, got ENOENT');
  });
});

describe('a blob store of S3, besides', () => {
  const SECRET = 'secret-access-key-7c1e';
  const stores: S3BlobStore[] = [];
  const servers: RawServer[] = [];

  async function storeBehind(handler: Parameters<typeof RawServer.start>[0]): Promise<S3BlobStore> {
    const server = await RawServer.start(handler);
    servers.push(server);
    return storeAt(server.url);
  }

  function storeAt(endpoint: string): S3BlobStore {
    const credentials = { accessKeyId: 'access-key-id-41d0', secretAccessKey: SECRET };
    const store = new S3BlobStore({ bucket: 'bucket-93ab', endpoint, forcePathStyle: true, ...credentials });
    stores.push(store);
    return store;
  }

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });

  const refusal = (code: string) =>
    `<Error><Code>${code}</Code><Message>access-key-id-41d0 at 127.0.0.1</Message><AWSAccessKeyId>access-key-id-41d0</AWSAccessKeyId></Error>`;

  it.each([
    ['a refusal', 403, refusal('AccessDenied'), 'AccessDenied (HTTP 403)'],
    ['a bucket that is not there', 404, refusal('NoSuchBucket'), 'NoSuchBucket (HTTP 404)'],
    ['a code that is a sentence', 400, refusal('go to http://127.0.0.1'), 'a failure without a name (HTTP 400)'],
  ])('tells %s without hosts or credentials', async (_what, status, body, got) => {
    const store = await storeBehind((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
    });
    const attempts: Array<[string, () => Promise<unknown>]> = [
      ['take a blob', () => store.put(freshKey(), bodyOf(Buffer.from('x')), {})],
      ['take a blob', () => store.put(freshKey(), bodyOf(LARGE), {})],
      ['open a blob', () => store.open(freshKey(), {})],
      ['delete a blob', () => store.delete(freshKey())],
      ['list blobs', () => keysOf(store, '')],
    ];
    for (const [expected, attempt] of attempts) {
      const thrown: unknown = await attempt().catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(BlobStoreError);
      expect(thrown).toHaveProperty('message', `expected the blob store to ${expected}, got ${got}`);
    }
  });

  it('tells that there is no connection', async () => {
    const server = await RawServer.start();
    await server.close();
    const store = storeAt(server.url);
    // A word, and not the socket's message with the address. (Under Jest the SDK does not know Node's errors for errors and
    // wraps them in its own, without the code ECONNREFUSED.)
    await expect(store.ping()).rejects.toThrow(/^expected the blob store to answer, got (ECONNREFUSED|Error)$/);
    await expect(store.stat(freshKey())).rejects.toThrow(BlobStoreError);
  });

  it('aborts a request that gets no answer', async () => {
    const controller = new AbortController();
    const reason = new Error('nobody waits any more');
    const store = await storeBehind(() => controller.abort(reason));
    const { signal } = controller;
    await expect(store.put(freshKey(), bodyOf(Buffer.from('x')), { signal })).rejects.toBe(reason);
    const second = new AbortController();
    const silent = await storeBehind(() => second.abort(reason));
    await expect(silent.open(freshKey(), { signal: second.signal })).rejects.toBe(reason);
  });

  it('removes the parts when a server takes some and then no more', async () => {
    const seen: string[] = [];
    const store = await storeBehind((request, response) => {
      seen.push(`${request.method} ${request.url?.replace(/^[^?]*\?/, '')}`);
      const xml = { 'content-type': 'application/xml' };
      if (request.method === 'POST') {
        response.writeHead(200, xml);
        response.end('<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>');
      } else if (request.method === 'DELETE') response.writeHead(204).end();
      else if (request.url?.includes('partNumber=1&')) response.writeHead(200, { etag: '"e"' }).end();
      else response.writeHead(400, xml).end(refusal('EntityTooLarge'));
    });
    const body = bodyOf(LARGE);
    await expect(store.put(freshKey(), body, {})).rejects.toThrow('got EntityTooLarge (HTTP 400)');
    expect(body.destroyed).toBe(true);
    expect(seen.at(-1)).toMatch(/^DELETE .*uploadId=u1/);
  });

  it('fails a body that ends early or is another range, rather than pass it on', async () => {
    const cut = await storeBehind((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('some');
      setImmediate(() => response.destroy());
    });
    await expect(cut.open(freshKey(), {}).then(buffer)).rejects.toThrow(/^expected the blob store to (send|open)/);
    const deaf = await storeBehind((_request, response) => void response.end('all of it'));
    await expect(deaf.open(freshKey(), { range: { start: 0, end: 0 } })).rejects.toThrow('got another range');
  });

  it('wants both credentials or none', () => {
    expect(() => new S3BlobStore({ bucket: 'b', accessKeyId: 'a' })).toThrow(
      /expected both accessKeyId and secretAccessKey/,
    );
    expect(() => new S3BlobStore({ bucket: 'b', secretAccessKey: SECRET })).toThrow(/^(?!.*7c1e)/);
  });
});
