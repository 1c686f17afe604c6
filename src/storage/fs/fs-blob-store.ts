import { constants } from 'node:fs';
import { access, type FileHandle, open, rename, rm, rmdir, statfs, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { FileSystemSpace } from '../../telemetry/instruments/resource-metrics.js';
import {
  assertBlobKey,
  assertByteRange,
  type BlobKey,
  BlobNotFound,
  type BlobStore,
  isBlobKey,
  type Leftover,
  type ListedBlob,
  type OpenOptions,
  type PutOptions,
  type StoredBlob,
} from '../blob-store.js';
import { destroyOnAbort } from '../blob-stream.js';
import { MeasuredBody } from '../measured-body.js';
import { PieceMemory } from '../piece-memory.js';
import { DEFAULT_FILE_MODE, DEFAULT_FOLDER_MODE } from '../settings.js';
import { DurableWriter } from './durable-writer.js';
import { FileReader } from './file-reader.js';
import { codeOf, entriesOf, fileStats, isAbsent, toBlobStoreError } from './files.js';
import { addPermissions, createFolders, type Permissions } from './permissions.js';
import { ReadMemory } from './read-memory.js';
import { leftovers, TEMPORARY, temporaryFile } from './temporary-files.js';

export interface FsBlobStoreOptions {
  /** A folder, created if it is missing. Its file system must be case-sensitive. */
  readonly root: string;
  /** `storage.fileMode` and `storage.folderMode`. */
  readonly fileMode?: number;
  readonly folderMode?: number;
  /**
   * The age of its last write at which a dead process's temporary file is removed, in milliseconds. Null: none is removed.
   */
  readonly leftoverAgeMs?: number | null;
}

/**
 * Stores blobs as files, with their keys as paths. A put writes a temporary file, syncs it, renames it, and syncs the
 * folders.
 */
export class FsBlobStore implements BlobStore {
  readonly #readMemory = new ReadMemory();
  readonly #pieces = new PieceMemory();
  readonly #writer: DurableWriter;

  private constructor(
    private readonly root: string,
    private readonly permissions: Permissions,
  ) {
    this.#writer = new DurableWriter(this.#pieces, permissions.file);
  }

  /** @throws Error, meant for the operator, if the folder cannot be created or written */
  static async open({
    root,
    fileMode = DEFAULT_FILE_MODE,
    folderMode = DEFAULT_FOLDER_MODE,
    leftoverAgeMs = 3_600_000,
  }: FsBlobStoreOptions): Promise<FsBlobStore> {
    const folder = resolve(root);
    const permissions = { file: fileMode, folder: folderMode };
    try {
      await createFolders(join(folder, TEMPORARY), folderMode);
      await probe(folder, permissions);
      if (leftoverAgeMs !== null) await removeLeftovers(join(folder, TEMPORARY), leftoverAgeMs);
    } catch (thrown) {
      throw new Error(`expected a folder for blobs that can be written at ${folder}, got ${codeOf(thrown)}`, {
        cause: thrown,
      });
    }
    return new FsBlobStore(folder, permissions);
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
      // A sweep removes a file that cannot be removed now.
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

  relativePath(key: BlobKey): string {
    assertBlobKey(key);
    return key;
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

  leftovers(unchangedForMs: number): AsyncGenerator<Leftover, void, undefined> {
    return leftovers(join(this.root, TEMPORARY), new Date(Date.now() - unchangedForMs));
  }

  async space(): Promise<FileSystemSpace> {
    const { bavail, blocks, bsize } = await statfs(this.root);
    return { freeBytes: bavail * bsize, capacityBytes: blocks * bsize };
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
        await createFolders(folder, this.permissions.folder);
        await rename(temporary, target);
        break;
      } catch (thrown) {
        // A concurrent deletion removed the empty folder between `mkdir` and `rename`.
        if (codeOf(thrown) !== 'ENOENT' || attempt === 10) throw thrown;
      }
    }
    // Up to the root: a folder may have been created by another process that has not synced it yet. Syncing a clean
    // folder is cheap. An older folder may lack permissions that `storage.folderMode` has now.
    for (let at = folder; at !== this.root; at = dirname(at)) await syncFolder(at, this.permissions);
    await syncFolder(this.root);
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

async function removeLeftovers(folder: string, ageMs: number): Promise<void> {
  for await (const leftover of leftovers(folder, new Date(Date.now() - ageMs))) await leftover.remove();
}

/** Rejects where a file cannot be created, or cannot get its permissions. */
async function probe(root: string, { file }: Permissions): Promise<void> {
  const path = temporaryFile(root);
  const handle = await open(path, 'wx', file);
  try {
    await addPermissions(handle, file);
  } finally {
    await handle.close();
    await rm(path);
  }
}

/**
 * Makes files that were created in, renamed into or removed from a folder survive a power failure (fsync(2),
 * "Description").
 * @param permissions those that the folder gets where it lacks them
 */
async function syncFolder(path: string, permissions?: Permissions): Promise<void> {
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
    if (permissions) await addPermissions(handle, permissions.folder);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignore(): void {}
