import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MediagraphError } from '../../src/model/errors.js';
import {
  type BlobKey,
  BlobNotFound,
  type BlobStore,
  mediaBlobKey,
  parseMediaBlobKey,
} from '../../src/storage/blob-store.js';
import { openBlobStore } from '../../src/storage/open-blob-store.js';
import { S3TestServer } from '../support/s3.js';
import { bodyOf, chunksOf, freshKey, HOSTILE_TENANTS, keysOf, LARGE, MEGABYTE, read, sha256 } from './blobs.js';

/** Yields `bytes`, then does `atEnd` instead of ending: throws, or waits for ever. */
async function* thenInstead(bytes: Buffer, atEnd: () => unknown) {
  yield* chunksOf(bytes, 64 * 1024);
  atEnd();
  await new Promise(() => {});
}
/** One driver: an empty store, and a way to see what a failed put left behind. */
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
/** Starts the driver for the tests of a describe block. Each test must leave nothing unfinished behind. */
function useStore(start: () => Promise<Subject>): () => BlobStore {
  let subject: Subject | null = null;
  const present = (): Subject => {
    if (!subject) throw new Error('expected a started store');
    return subject;
  };
  beforeAll(async () => {
    subject = await start();
  });
  afterEach(async () => {
    expect(await present().leftovers()).toEqual([]);
  });
  afterAll(async () => {
    await present().store.close();
    await present().end();
  });
  return () => present().store;
}

describe.each(subjects)('the blobs of a store of %s', (_name, start) => {
  const current = useStore(start);
  let store: BlobStore;
  beforeEach(() => {
    store = current();
  });

  it('stores the bytes of concurrent puts unmixed, whatever their chunks are, while others fail', async () => {
    const sizes = [1, 999, 16 * 1024, 64 * 1024, 256 * 1024, 300_000, 3 * MEGABYTE];
    const good = sizes.map((chunkBytes, index) => {
      // Single bytes are slow to produce.
      const bytes = LARGE.subarray(index * 1_000, index * 1_000 + (chunkBytes === 1 ? 300_000 : 4 * MEGABYTE + index));
      return { key: freshKey(), bytes, chunkBytes };
    });
    const failing = sizes.map(async (chunkBytes) => {
      const body = bodyOf(LARGE, chunkBytes);
      await expect(store.put(freshKey(), body, { maxBytes: 400_000 })).rejects.toMatchObject({
        code: 'MEDIA_TOO_LARGE',
      });
      expect(body.destroyed).toBe(true);
    });
    const stored = await Promise.all(
      good.map(({ key, bytes, chunkBytes }) => store.put(key, bodyOf(bytes, chunkBytes), {})),
    );
    await Promise.all(failing);
    for (const [index, { key, bytes }] of good.entries()) {
      expect(stored[index]).toEqual({ sizeBytes: bytes.length, sha256: sha256(bytes) });
      expect(sha256(await read(store, key))).toBe(sha256(bytes));
    }
  }, 30_000);

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

  it('rejects for an absent blob before it returns a stream', async () => {
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
    const reason = new Error('the caller has left');
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

  it('stores no blob from a source that was cut off or had failed before', async () => {
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

  it('stores the maximum number of bytes, and nothing of a larger blob', async () => {
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
    // An error without a listener must not end the process.
    const dropped = new AbortController();
    const unread = await store.open(key, { signal: dropped.signal });
    dropped.abort(reason);
    if (!unread.closed) await new Promise((resolve) => unread.once('close', resolve));
  });
});

describe.each(subjects)('the keys of a store of %s', (_name, start) => {
  const current = useStore(start);
  let store: BlobStore;
  beforeEach(() => {
    store = current();
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
      // Servers report whole seconds.
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

  it('refuses a text that is not a key', async () => {
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
