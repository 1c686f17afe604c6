import type { MeasuredSource } from './window.js';

const CHUNK_BYTES = 1024 * 1024;
/** As many bytes are looked at one after the other, at most: above the limit of uploads, below what a thread may read. */
const MAX_WALK_BYTES = 128 * 2 ** 20;

/** Far more than the pages or frames of any real media; what is made of tiny ones ends here. */
const MAX_STEPS = 1_000_000;

/** The bytes of a media from front to back, each read once, of which a few are here at a time. */
export class ByteWalk {
  readonly #source: MeasuredSource;
  readonly #end: number;
  #here: Buffer = Buffer.alloc(0);
  /** Where in the media that begins which is here. */
  #at: number;
  #stepsLeft = MAX_STEPS;

  constructor(source: MeasuredSource, start = 0, end = source.sizeBytes) {
    this.#source = source;
    this.#at = start;
    this.#end = Math.min(end, source.sizeBytes, start + MAX_WALK_BYTES);
  }

  /** Where the next byte lies. */
  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** At least so many of the next bytes, without going on; fewer at the end only. @throws Error after too many steps */
  async ahead(least: number): Promise<Buffer> {
    this.#stepsLeft -= 1;
    if (this.#stepsLeft < 0) throw new Error('expected an answer after fewer steps');
    while (this.#here.length < least && this.#at + this.#here.length < this.#end) {
      const start = this.#at + this.#here.length;
      const chunk = await this.#source.read(start, Math.min(start + CHUNK_BYTES, this.#end) - 1);
      if (chunk.length === 0) break;
      this.#here = this.#here.length === 0 ? chunk : Buffer.concat([this.#here, chunk]);
    }
    return this.#here;
  }

  /** Goes on; what is passed over and is not here is never read. */
  skip(bytes: number): void {
    this.#at += bytes;
    this.#here = bytes < this.#here.length ? this.#here.subarray(bytes) : Buffer.alloc(0);
  }
}
