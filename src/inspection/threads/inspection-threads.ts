import type { Look } from '../look.js';
import type { MeasuredSource } from '../measure/byte-window.js';
import type { Read } from './inspection-thread.js';
import { INSPECTION_WORKER } from './inspection-worker-file.js';
import { ThreadPool, type ThreadPoolOptions } from './thread-pool.js';

const UNKNOWN_MIME_TYPE = 'application/octet-stream';
/** The most bytes of a media that one look may read. */
const MAX_READ_BYTES = 160 * 2 ** 20;

/**
 * Parses untrusted bytes in threads, since a thread that hangs can be terminated. Threads start on demand, and end
 * after a while without tasks. A task whose thread had to be terminated twice yields no result; the other tasks move on
 * to other threads.
 */
export class InspectionThreads {
  // Two pools, so that sniffing, for which a reader waits, is not queued behind a look, which may read for seconds.
  readonly #sniffers: ThreadPool;
  readonly #lookers: ThreadPool;

  constructor(overrides: Partial<ThreadPoolOptions> = {}) {
    const options = { worker: INSPECTION_WORKER, timeoutMs: 3_000, maxThreads: 4, idleMs: 30_000, ...overrides };
    this.#sniffers = new ThreadPool(options);
    this.#lookers = new ThreadPool(options);
  }

  /** Runs `sniffMimeType`. Resolves `application/octet-stream` for bytes on which it hangs. Never rejects. */
  async sniff(head: Buffer, declared: string | null): Promise<string> {
    const done = await this.#sniffers.perform({ kind: 'sniff', head, declared }, noBytes).catch(() => null);
    return done !== null && 'mimeType' in done ? done.mimeType : UNKNOWN_MIME_TYPE;
  }

  /**
   * Runs `look`. Resolves null for bytes on which it hangs. Rejects only with what `read` rejected with.
   * @param signal ends the reads; the result is what was known until then
   */
  async look({ mimeType, sizeBytes, read }: MeasuredSource, signal?: AbortSignal): Promise<Look | null> {
    const failures: unknown[] = [];
    let bytesLeft = MAX_READ_BYTES;
    const counted: Read = async (start, end) => {
      bytesLeft -= end - start + 1;
      if (bytesLeft < 0 || signal?.aborted)
        throw new Error('expected a look to end within its time and its bytes, got another read');
      return await read(start, end).catch((reason: unknown) => {
        if (!signal?.aborted) failures.push(reason);
        throw reason;
      });
    };
    const done = await this.#lookers.perform({ kind: 'look', mimeType, sizeBytes }, counted).catch(() => null);
    if (done !== null && 'look' in done) return done.look;
    if (failures.length > 0) throw failures[0];
    return null;
  }

  /** Ends all threads. It may be called again, and later tasks start new threads. */
  async close(): Promise<void> {
    await Promise.all([this.#sniffers.close(), this.#lookers.close()]);
  }
}

/** One pool for the process, even with several apps in it: like libuv's threads, its size follows the machine. */
export const inspectionThreads = new InspectionThreads();

function noBytes(): Promise<Buffer> {
  return Promise.reject(new Error('expected a task that reads nothing, got a read'));
}
