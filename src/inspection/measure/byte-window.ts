export interface MeasuredSource {
  readonly mimeType: string;
  readonly sizeBytes: number;
  /** Reads the bytes from `start` to `end`, both inclusive and within the size. */
  read(start: number, end: number): Promise<Buffer>;
}

const BLOCK_BYTES = 64 * 1024;
/** 1 MiB. No block is read twice, so this also bounds the number of reads. */
const MAX_BLOCKS = 16;
/** Far above what any real header takes. It ends a parser that follows offsets in a circle. */
const MAX_CALLS = 10_000;

/**
 * Random access to a media for header parsers: a bounded number of blocks, each read once, and a bounded number of
 * calls.
 */
export class ByteWindow {
  readonly sizeBytes: number;
  /** What `read` rejected with. It tells a failed store from a parser that failed on the bytes. */
  failure: { readonly reason: unknown } | null = null;
  readonly #source: MeasuredSource;
  readonly #blocks = new Map<number, Buffer>();
  #calls = 0;

  constructor(source: MeasuredSource) {
    this.#source = source;
    this.sizeBytes = source.sizeBytes;
  }

  /** Exactly `length` bytes. @throws Error when the media ends before that, or a limit is reached */
  async exactly(at: number, length: number): Promise<Buffer> {
    const bytes = await this.upTo(at, length);
    if (bytes.length < length) throw new Error(`expected ${length} bytes, got the end of the media`);
    return bytes;
  }

  /** `length` bytes, or fewer where the media ends. @throws Error when a limit is reached */
  async upTo(at: number, length: number): Promise<Buffer> {
    this.#calls += 1;
    if (this.#calls > MAX_CALLS) throw new Error(`expected at most ${MAX_CALLS} reads, got one more`);
    if (!Number.isSafeInteger(at) || at < 0) throw new Error(`expected an offset within the media, got ${at}`);
    const end = Math.min(at + length, this.sizeBytes);
    if (end <= at) return Buffer.alloc(0);
    const [first, last] = [Math.floor(at / BLOCK_BYTES), Math.floor((end - 1) / BLOCK_BYTES)];
    if (last - first >= MAX_BLOCKS) throw tooManyBlocks();
    const blocks: Buffer[] = [];
    for (let index = first; index <= last; index++) blocks.push(await this.#block(index));
    const [only] = blocks;
    const joined = only !== undefined && blocks.length === 1 ? only : Buffer.concat(blocks);
    return joined.subarray(at - first * BLOCK_BYTES, end - first * BLOCK_BYTES);
  }

  /** The bytes from `at` to the end of the media, or to where the limit on blocks is reached. */
  async upToLimit(at: number): Promise<Buffer> {
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
    if (this.#blocks.size >= MAX_BLOCKS) throw tooManyBlocks();
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

function tooManyBlocks(): Error {
  return new Error(`expected at most ${MAX_BLOCKS * BLOCK_BYTES} bytes of headers, got more`);
}
