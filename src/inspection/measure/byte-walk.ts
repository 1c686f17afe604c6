import type { MeasuredSource } from './byte-window.js';

const CHUNK_BYTES = 1024 * 1024;
/** Above the size limit of uploads, and below the bytes that one inspection may read in its thread. */
const MAX_WALK_BYTES = 128 * 2 ** 20;

/** Far above the number of pages or frames in any real media. It ends a walk over very small ones. */
const MAX_STEPS = 1_000_000;

/**
 * Sequential access to a media for parsers of pages and frames: each byte is read once, and few are in memory at a
 * time.
 */
export class ByteWalk {
  readonly #source: MeasuredSource;
  readonly #end: number;
  #buffered: Buffer = Buffer.alloc(0);
  /** The offset in the media at which the buffered bytes begin. */
  #at: number;
  #stepsLeft = MAX_STEPS;

  constructor(source: MeasuredSource, start = 0, end = source.sizeBytes) {
    this.#source = source;
    this.#at = start;
    this.#end = Math.min(end, source.sizeBytes, start + MAX_WALK_BYTES);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /**
   * The next bytes, without moving on: at least `least`, fewer only at the end.
   * @throws Error after too many steps
   */
  async peek(least: number): Promise<Buffer> {
    this.#stepsLeft -= 1;
    if (this.#stepsLeft < 0) throw new Error(`expected at most ${MAX_STEPS} pages or frames, got more`);
    while (this.#buffered.length < least && this.#at + this.#buffered.length < this.#end) {
      const start = this.#at + this.#buffered.length;
      const chunk = await this.#source.read(start, Math.min(start + CHUNK_BYTES, this.#end) - 1);
      if (chunk.length === 0) break;
      this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    }
    return this.#buffered;
  }

  /** Moves on. Bytes that are skipped before they were buffered are never read. */
  skip(bytes: number): void {
    this.#at += bytes;
    this.#buffered = bytes < this.#buffered.length ? this.#buffered.subarray(bytes) : Buffer.alloc(0);
  }
}
