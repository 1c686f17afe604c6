import { randomBytes, randomUUID } from 'node:crypto';
import { constants, type Dirent, type Stats } from 'node:fs';
import {
  access,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  unlink,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { isError } from '../../streams/net-error.js';
import {
  assertBlobKey,
  assertByteRange,
  type BlobKey,
  BlobNotFound,
  type BlobStore,
  BlobStoreError,
  isBlobKey,
  type ListedBlob,
  type OpenOptions,
  type PutOptions,
  type StoredBlob,
} from '../blob-store.js';
import { destroyOnAbort } from '../blob-stream.js';
import { MeasuredBody } from '../measured-body.js';
import { PieceMemory } from '../piece-memory.js';
import { DurableWriter, FILE_MODE } from './durable-writer.js';
import { FileReader } from './file-reader.js';
import { ReadMemory } from './read-memory.js';

export interface FsBlobStoreOptions {
  /** A folder, created if it is missing. Its file system must be case-sensitive. */
  readonly root: string;
  /** The age of its last write at which a dead process's temporary file is removed, in milliseconds. */
  readonly leftoverAgeMs?: number;
}

/** The folder of temporary files. No key starts with it. */
const TEMPORARY = 'tmp';
const FOLDER_MODE = 0o700;

/**
 * Names this process in its temporary files. The token tells it from an earlier process with the same pid: in a
 * container it is always 1.
 */
const PROCESS = { pid: process.pid, token: randomBytes(6).toString('hex') };

/**
 * Stores blobs as files, with their keys as paths. A put writes a temporary file, syncs it, renames it, and syncs the
 * folders.
 */
export class FsBlobStore implements BlobStore {
  readonly #readMemory = new ReadMemory();
  readonly #pieces = new PieceMemory();
  readonly #writer = new DurableWriter(this.#pieces);

  private constructor(private readonly root: string) {}

  /** @throws Error, meant for the operator, if the folder cannot be created or written */
  static async open({ root, leftoverAgeMs = 3_600_000 }: FsBlobStoreOptions): Promise<FsBlobStore> {
    const folder = resolve(root);
    try {
      await mkdir(join(folder, TEMPORARY), { recursive: true, mode: FOLDER_MODE });
      const probe = temporaryFile(folder);
      const handle = await open(probe, 'wx', FILE_MODE);
      await handle.close();
      await rm(probe);
      await removeLeftovers(join(folder, TEMPORARY), new Date(Date.now() - leftoverAgeMs));
    } catch (thrown) {
      throw new Error(`expected a folder for blobs that can be written at ${folder}, got ${codeOf(thrown)}`, {
        cause: thrown,
      });
    }
    return new FsBlobStore(folder);
  }

  async put(key: BlobKey, body: Readable, options: PutOptions): Promise<StoredBlob> {
    const measured = new MeasuredBody(body, options, this.#pieces);
    const temporary = temporaryFile(this.root);
    try {
      const target = this.#pathOf(key);
      await this.#writer.write(temporary, measured);
      options.signal?.throwIfAborted();
      await this.#place(temporary, target);
      return measured.finish();
    } catch (thrown) {
      // `removeLeftovers` removes a file that cannot be removed now.
      await rm(temporary, { force: true }).catch(ignore);
      throw measured.reasonOr(() => toBlobStoreError('take a blob', thrown));
    } finally {
      measured.close();
    }
  }

  async open(key: BlobKey, { signal, range, sizeBytes }: OpenOptions): Promise<Readable> {
    if (range) assertByteRange(range);
    const path = this.#pathOf(key);
    signal?.throwIfAborted();
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((thrown: unknown) => {
      throw isAbsent(thrown) ? new BlobNotFound({ cause: thrown }) : toBlobStoreError('open a blob', thrown);
    });
    let size: number;
    try {
      const stats = await handle.stat();
      size = stats.size;
      if (!stats.isFile() || (sizeBytes ?? stats.size) !== stats.size) throw new BlobNotFound();
      if (range && range.start >= stats.size) {
        throw new RangeError(`expected a range within ${stats.size} bytes, got one from ${range.start}`);
      }
      signal?.throwIfAborted();
    } catch (thrown) {
      await handle.close();
      throw thrown;
    }
    const { start, end } = range ?? { start: 0, end: size - 1 };
    const stream = new FileReader(handle, { start, end: Math.min(end, size - 1) }, this.#readMemory);
    destroyOnAbort(stream, signal);
    return stream;
  }

  async stat(key: BlobKey): Promise<{ readonly sizeBytes: number } | null> {
    const stats = await fileStats(this.#pathOf(key));
    return stats && { sizeBytes: stats.size };
  }

  async delete(key: BlobKey): Promise<void> {
    const path = this.#pathOf(key);
    try {
      await unlink(path);
      await syncFolder(dirname(path));
    } catch (thrown) {
      if (isAbsent(thrown)) return;
      throw toBlobStoreError('delete a blob', thrown);
    }
    await this.#removeEmptyFolders(dirname(path));
  }

  async *keys(prefix: string): AsyncGenerator<ListedBlob, void, undefined> {
    const folder = prefix.slice(0, Math.max(prefix.lastIndexOf('/'), 0));
    if (folder === '' || isBlobKey(folder)) yield* this.#keysIn(folder, prefix);
  }

  removeLeftovers(unchangedForMs: number): Promise<number> {
    return removeLeftovers(join(this.root, TEMPORARY), new Date(Date.now() - unchangedForMs));
  }

  async ping(): Promise<void> {
    try {
      await access(join(this.root, TEMPORARY), constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (thrown) {
      throw toBlobStoreError('be writable', thrown);
    }
  }

  async close(): Promise<void> {}

  // The grammar of keys excludes `..` and absolute paths, so the path is always below the root.
  #pathOf(key: BlobKey): string {
    assertBlobKey(key);
    if (key === TEMPORARY || key.startsWith(`${TEMPORARY}/`))
      throw new RangeError('expected a blob key, got a temporary file');
    return join(this.root, key);
  }

  async #place(temporary: string, target: string): Promise<void> {
    const folder = dirname(target);
    for (let attempt = 1; ; attempt++) {
      try {
        await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
        await rename(temporary, target);
        break;
      } catch (thrown) {
        // A concurrent deletion removed the empty folder between `mkdir` and `rename`.
        if (codeOf(thrown) !== 'ENOENT' || attempt === 10) throw thrown;
      }
    }
    // Up to the root: a folder may have been created by another process that has not synced it yet. Syncing a clean
    // folder is cheap.
    for (let at = folder; ; at = dirname(at)) {
      await syncFolder(at);
      if (at === this.root) return;
    }
  }

  // Best effort: a folder that cannot be removed, mostly because of a new blob, keeps the folders above it as well.
  async #removeEmptyFolders(folder: string): Promise<void> {
    try {
      for (let at = folder; at !== this.root; at = dirname(at)) await rmdir(at);
    } catch {}
  }

  async *#keysIn(folder: string, prefix: string): AsyncGenerator<ListedBlob, void, undefined> {
    for (const entry of await entriesOf(join(this.root, folder))) {
      const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (key === TEMPORARY || !isBlobKey(key)) continue;
      if (entry.isDirectory()) {
        if (`${key}/`.startsWith(prefix)) yield* this.#keysIn(key, prefix);
      } else if (key.startsWith(prefix)) {
        const stats = await fileStats(join(this.root, key));
        if (stats) yield { key, modifiedAt: stats.mtime };
      }
    }
  }
}

function temporaryFile(root: string): string {
  return join(root, TEMPORARY, `${PROCESS.pid}.${PROCESS.token}-${randomUUID()}`);
}

/**
 * Makes files that were created in, renamed into or removed from a folder survive a power failure (fsync(2),
 * "Description").
 */
async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder.
  if (process.platform === 'win32') return;
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (thrown) {
    // The folder was deleted meanwhile, with its content.
    if (isAbsent(thrown)) return;
    throw thrown;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @returns the number of removed files */
async function removeLeftovers(folder: string, before: Date): Promise<number> {
  let removed = 0;
  for (const { name } of await entriesOf(folder)) {
    const [, pid, token] = /^(\d{1,10})\.([0-9a-f]{12})-/.exec(name) ?? [];
    const stats = await fileStats(join(folder, name));
    if (pid === undefined || !stats || stats.mtime > before) continue;
    if (await isAlive(Number(pid), token, stats.birthtime)) continue;
    await rm(join(folder, name), { force: true });
    removed += 1;
  }
  return removed;
}

/**
 * Whether the process that wrote a file is still running. A process that started after the file was created has only
 * been given the same pid. For a process on another machine, the age of the last write has to decide.
 */
async function isAlive(pid: number, token: string | undefined, createdAt: Date): Promise<boolean> {
  if (pid === PROCESS.pid) return token === PROCESS.token;
  if (!isRunning(pid)) return false;
  const startedAt = await startTimeOf(pid);
  return startedAt === null || startedAt <= createdAt;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return codeOf(thrown) === 'EPERM';
  }
}

/** Clock ticks per second in Linux's user interfaces (proc(5), "starttime"; sysconf(3), "_SC_CLK_TCK"). */
const TICKS_PER_SECOND = 100;

/** When a process started, to a tenth of a second. Null: the system does not tell. */
async function startTimeOf(pid: number): Promise<Date | null> {
  try {
    const [stat, uptime] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/uptime', 'utf8')]);
    // Field 2 is a name in parentheses, which may hold any character. Field 22 is the start time since boot.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ageS = Number.parseFloat(uptime) - Number(fields[19]) / TICKS_PER_SECOND;
    return Number.isFinite(ageS) ? new Date(Date.now() - ageS * 1_000 - 100) : null;
  } catch {
    return null;
  }
}

/** Empty for a folder that does not exist. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw toBlobStoreError('list blobs', thrown);
  }
}

/** Null: there is no regular file at that path. */
async function fileStats(path: string): Promise<Stats | null> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats : null;
  } catch (thrown) {
    if (isAbsent(thrown)) return null;
    throw toBlobStoreError('look a blob up', thrown);
  }
}

function isAbsent(thrown: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(thrown));
}

function toBlobStoreError(expected: string, thrown: unknown): Error {
  // An invalid key is a programming error, not a failure of the disk.
  return thrown instanceof RangeError ? thrown : new BlobStoreError(expected, codeOf(thrown), { cause: thrown });
}

function codeOf(thrown: unknown): string {
  if (!isError(thrown)) return typeof thrown;
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
}

function ignore(): void {}
