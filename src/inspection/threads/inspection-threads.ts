import type { Look } from '../look.js';
import type { MeasuredSource } from '../measure/window.js';
import { INSPECTION_WORKER } from './inspection-worker-file.js';
import { InspectionLane, type LaneOptions } from './lane.js';
import type { Read } from './thread.js';

const UNKNOWN_MIME_TYPE = 'application/octet-stream';
/** Bytes of a media that one look may read. */
const MAX_READ_BYTES = 160 * 2 ** 20;

/**
 * Looks at foreign bytes where that can be stopped. Threads are started when they are needed, and end when nothing has
 * come for a while. What stops a thread twice is taken for what cannot be told; everything that waits meanwhile is
 * performed by others.
 */
export class InspectionThreads {
  // Apart, so that a sniffing, which a reader waits for, never waits for a look, which may read for seconds.
  readonly #sniffers: InspectionLane;
  readonly #lookers: InspectionLane;

  constructor(given: Partial<LaneOptions> = {}) {
    const options = { worker: INSPECTION_WORKER, timeoutMs: 3_000, most: 4, idleMs: 30_000, ...given };
    this.#sniffers = new InspectionLane(options);
    this.#lookers = new InspectionLane(options);
  }

  /** As `sniffMimeType`; `application/octet-stream` for bytes that it makes no end of. Never rejects. */
  async sniff(head: Buffer, declared: string | null): Promise<string> {
    const done = await this.#sniffers.perform({ kind: 'sniff', head, declared }, noBytes).catch(() => null);
    return done !== null && 'mimeType' in done ? done.mimeType : UNKNOWN_MIME_TYPE;
  }

  /**
   * As `look`; null for bytes that it makes no end of. Rejects with what `read` rejected with, and nothing else.
   * @param signal ends the reads: what was found until then is the answer
   */
  async look({ mimeType, sizeBytes, read }: MeasuredSource, signal?: AbortSignal): Promise<Look | null> {
    const failures: unknown[] = [];
    let bytesLeft = MAX_READ_BYTES;
    const counted: Read = async (start, end) => {
      bytesLeft -= end - start + 1;
      if (bytesLeft < 0 || signal?.aborted) throw new Error('expected an answer after fewer bytes, or sooner');
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

  /** Ends all threads. Harmless when repeated; what is asked afterwards starts anew. */
  async close(): Promise<void> {
    await Promise.all([this.#sniffers.close(), this.#lookers.close()]);
  }
}

/** Of this process, whatever apps are in it, as libuv's threads are. */
export const inspectionThreads = new InspectionThreads();

function noBytes(): Promise<Buffer> {
  return Promise.reject(new Error('expected a task that reads nothing'));
}
