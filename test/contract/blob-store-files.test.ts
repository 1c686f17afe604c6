import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { attemptBlobKey, type BlobKey, BlobNotFound, mediaBlobKey } from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { openBlobStore } from '../../src/storage/open-blob-store.js';
import { compiledProject } from '../support/command.js';
import { filesBelow } from '../support/files-below.js';
import { bodyOf, keysOf, MEGABYTE } from './blobs.js';

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

describe('a blob store of files', () => {
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

  it('removes files of an earlier process with the same pid, and leaves other files alone', async () => {
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

  it('writes small chunks together', async () => {
    const child = runModule(
      `${PRELUDE}
       import { readFileSync } from 'node:fs';
       const writes = () => Number(/^syscw: (\\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
       const small = chunk.subarray(0, 1000);
       const body = Readable.from((function* () { for (let i = 0; i < 10000; i++) yield small; })(), { objectMode: false });
       const before = writes();
       const { sizeBytes } = await store.put(key, body, {});
       console.log(JSON.stringify({ sizeBytes, writes: writes() - before }));`,
      [root],
    );
    const { sizeBytes, writes } = JSON.parse(await outputOf(child));
    expect(sizeBytes).toBe(10_000_000);
    // Forty of 256 KiB. The others wake threads.
    expect(writes).toBeLessThan(1_000);
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

  describe('with storage.fileMode and storage.folderMode', () => {
    const modesBelow = async (folder: string) => {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const modes = await Promise.all(
        entries.map(async (entry) => {
          const { mode } = await stat(join(entry.parentPath, entry.name));
          return `${entry.isDirectory() ? 'folder' : 'file'} ${(mode & 0o7777).toString(8)}`;
        }),
      );
      return [...new Set(modes)].sort();
    };
    const put = (options: string, umask: string, limits = `umask ${umask}`) =>
      runModule(
        `import { Readable } from 'node:stream';
         import { mediaBlobKey } from './src/storage/blob-store.js';
         import { openBlobStore } from './src/storage/open-blob-store.js';
         const [root] = process.argv.slice(1);
         const store = await openBlobStore({ driver: 'fs', root, ${options} });
         // A long id has several folders.
         await store.put(mediaBlobKey('acme', 'x'.repeat(400)), Readable.from([Buffer.from('x')]), {});
         let during;
         async function* body() { yield Buffer.alloc(1000); during = true; await new Promise(() => {}); }
         store.put(mediaBlobKey('acme', 'B'), Readable.from(body()), {});
         while (!during) await new Promise(setImmediate);
         process.exit(0);`,
        [join(root, 'deep', 'blobs')],
        limits,
      );

    it.each(['0000', '0022', '0077'])(
      'gives them to every file and folder, with the umask %s',
      async (umask) => {
        await outputOf(put('fileMode: 0o640, folderMode: 0o750', umask));
        // The file of the put that was interrupted is one of them.
        expect(await filesBelow(join(root, 'deep', 'blobs', 'tmp'))).toHaveLength(1);
        expect(await modesBelow(root)).toEqual(['file 640', 'folder 750']);
      },
      30_000,
    );

    it('gives no other user any right by default', async () => {
      await outputOf(put('', '0000'));
      expect(await modesBelow(root)).toEqual(['file 600', 'folder 700']);
    }, 30_000);

    it('keeps existing files, and a set-group-ID bit, and opens older folders on the way to new files', async () => {
      const [first, second] = [mediaBlobKey('acme', 'A'), mediaBlobKey('acme', 'x'.repeat(400))];
      const closed = await FsBlobStore.open({ root });
      for (const key of [first, second]) await closed.put(key, bodyOf(Buffer.from('x')), {});
      await chmod(join(root, 'media'), 0o2700);
      await chmod(root, 0o710);
      const store = await FsBlobStore.open({ root, fileMode: 0o640, folderMode: 0o750 });
      await store.put(attemptBlobKey('acme', 'A'), bodyOf(Buffer.from('y')), {});
      const modeOf = async (path: string) => ((await stat(join(root, path))).mode & 0o7777).toString(8);
      expect(await Promise.all([modeOf('media'), modeOf(dirname(first)), modeOf(first)])).toEqual([
        '2750',
        '750',
        '600',
      ]);
      // Folders that have no new file, and the root, which the operator may share with others.
      expect(await Promise.all([modeOf(dirname(second)), modeOf('')])).toEqual(['700', '710']);
    });
  });

  it('names a blob by its path below the root', async () => {
    const store = await FsBlobStore.open({ root });
    const key = mediaBlobKey('acme', 'A');
    await store.put(key, bodyOf(Buffer.from('x')), {});
    expect((await stat(join(root, store.relativePath(key)))).size).toBe(1);
    expect(() => store.relativePath('../x' as BlobKey)).toThrow(RangeError);
  });

  it('removes folders that a deletion empties, also while other puts fill them', async () => {
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

  it('neither opens nor lists files that are not blobs', async () => {
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
