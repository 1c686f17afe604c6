export interface MeasuredSource {
  readonly mimeType: string;
  readonly sizeBytes: number;
  /** Bytes start..end (inclusive, within the size). */
  read(start: number, end: number): Promise<Buffer>;
}

const BLOCK_BYTES = 64 * 1024;
/** 1 MiB, and as no block is read twice, never more reads than that. */
const MAX_BLOCKS = 16;
/** Far more than any real header takes; what walks in circles ends here. */
const MAX_LOOKS = 10_000;

/** What a measurer may see of a media: few blocks of it, each read once, and not for ever. */
export class ByteWindow {
  readonly sizeBytes: number;
  /** What `read` rejected with, to be told from what a parser throws. */
  failure: { readonly reason: unknown } | null = null;
  readonly #source: MeasuredSource;
  readonly #blocks = new Map<number, Buffer>();
  #looks = 0;

  constructor(source: MeasuredSource) {
    this.#source = source;
    this.sizeBytes = source.sizeBytes;
  }

  /** Exactly these bytes. @throws Error when the media ends before, or too much was asked for */
  async exactly(at: number, length: number): Promise<Buffer> {
    const bytes = await this.upTo(at, length);
    if (bytes.length < length) throw new Error('expected the media to go on');
    return bytes;
  }

  /** These bytes, fewer where the media ends. @throws Error when too much was asked for */
  async upTo(at: number, length: number): Promise<Buffer> {
    this.#looks += 1;
    if (this.#looks > MAX_LOOKS) throw new Error('expected an answer after fewer steps');
    if (!Number.isSafeInteger(at) || at < 0) throw new Error('expected a place within the media');
    const end = Math.min(at + length, this.sizeBytes);
    if (end <= at) return Buffer.alloc(0);
    const [first, last] = [Math.floor(at / BLOCK_BYTES), Math.floor((end - 1) / BLOCK_BYTES)];
    if (last - first >= MAX_BLOCKS) throw new Error('expected an answer after fewer bytes');
    const blocks: Buffer[] = [];
    for (let index = first; index <= last; index++) blocks.push(await this.#block(index));
    const [only] = blocks;
    const joined = only !== undefined && blocks.length === 1 ? only : Buffer.concat(blocks);
    return joined.subarray(at - first * BLOCK_BYTES, end - first * BLOCK_BYTES);
  }

  /** From there to the end of the media, or as far as may still be read. */
  async asFarAsItGoes(at: number): Promise<Buffer> {
    const first = Math.floor(at / BLOCK_BYTES);
    let last = first;
    for (let spare = MAX_BLOCKS - this.#blocks.size; ; last++) {
      if (!this.#blocks.has(last)) spare -= 1;
      if (spare < 0 || last - first >= MAX_BLOCKS) break;
    }
    return this.upTo(at, last * BLOCK_BYTES - at);
  }

  async #block(index: number): Promise<Buffer> {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    if (this.#blocks.size >= MAX_BLOCKS) throw new Error('expected an answer after fewer bytes');
    const start = index * BLOCK_BYTES;
    try {
      const block = await this.#source.read(start, Math.min(start + BLOCK_BYTES, this.sizeBytes) - 1);
      this.#blocks.set(index, block);
      return block;
    } catch (reason) {
      this.failure = { reason };
      throw reason;
    }
  }
}
