import { type FileHandle, open } from 'node:fs/promises';
import type { PieceMemory } from '../piece-memory.js';
import { addPermissions } from './permissions.js';

/**
 * The bytes after which a file is synced while it is still being written. The disk then works while bytes arrive, and
 * little is left for the last sync.
 */
const SYNC_BYTES = 8 * 1024 * 1024;

/** The pieces of a file, in order; null after the last. */
interface Pieces {
  next(): Promise<Buffer | null>;
}

/** Writes files that survive a power failure once they are in a synced folder. */
export class DurableWriter {
  // A sync occupies one of few threads, which all reads need as well. So the files share one early sync at a time.
  #isSyncing = false;

  /**
   * @param memory where pieces go once they are written
   * @param mode the permissions of the files, whatever the umask is
   */
  constructor(
    private readonly memory: Pick<PieceMemory, 'give'>,
    private readonly mode: number,
  ) {}

  /** Creates the file. It may exist if this rejects. */
  async write(path: string, pieces: Pieces): Promise<void> {
    const handle = await open(path, 'wx', this.mode);
    const running: Running = { write: Promise.resolve(), sync: Promise.resolve() };
    try {
      await addPermissions(handle, this.mode);
      await this.#writeAll(handle, pieces, running);
      await handle.sync();
    } finally {
      await Promise.allSettled([running.write, running.sync]);
      await handle.close();
    }
  }

  /** The next piece arrives while the previous one is written. */
  async #writeAll(handle: FileHandle, pieces: Pieces, running: Running): Promise<void> {
    let position = 0;
    let syncedTo = 0;
    for (let piece = await pieces.next(); piece !== null; piece = await pieces.next()) {
      await running.write;
      if (position - syncedTo >= SYNC_BYTES && !this.#isSyncing) {
        // The system reports a failed write to one sync only, which may be this one.
        await running.sync;
        running.sync = handled(this.#syncEarly(handle));
        syncedTo = position;
      }
      running.write = handled(this.#writePiece(handle, piece, position));
      position += piece.length;
    }
    await Promise.all([running.write, running.sync]);
  }

  // A write to an almost full disk may take only a part of the piece; the next write then fails.
  async #writePiece(handle: FileHandle, piece: Buffer, position: number): Promise<void> {
    for (let from = 0; from < piece.length; ) {
      const { bytesWritten } = await handle.write(piece, from, piece.length - from, position + from);
      from += bytesWritten;
    }
    this.memory.give(piece);
  }

  async #syncEarly(handle: FileHandle): Promise<void> {
    this.#isSyncing = true;
    try {
      await handle.datasync();
    } finally {
      this.#isSyncing = false;
    }
  }
}

/** What runs on a file, so that it is closed afterwards. */
interface Running {
  write: Promise<void>;
  sync: Promise<void>;
}

/** The same promise, which is awaited later, also if it rejects before that. */
function handled(work: Promise<void>): Promise<void> {
  work.catch(() => {});
  return work;
}
