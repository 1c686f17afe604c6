import { createHash } from 'node:crypto';
import { finished, type Readable } from 'node:stream';
import { MediagraphError } from '../model/errors.js';
import { assertByteCount } from '../streams/byte-limit.js';
import type { PutOptions, StoredBlob } from './blob-store.js';
import { newPiece, PIECE_BYTES, type PieceMemory } from './piece-memory.js';

/**
 * A slow source fills no piece for so long that its temporary file looks abandoned: other machines judge it by its last
 * write.
 */
const MAX_FILLING_MS = 60_000;

/**
 * Counts and hashes the bytes of a put, and ends it at the byte limit or with the signal. It remembers how the source
 * failed, so that a driver can tell the source's failures from its own.
 *
 * The bytes leave in pieces of {@link PIECE_BYTES}, which take few system calls to write, however small the chunks of
 * the source are. The source is read while the driver uses the previous piece, and pauses once one more is full.
 */
export class MeasuredBody implements AsyncIterable<Buffer> {
  /** How the source failed. Null: it did not fail. */
  failure: { readonly thrown: unknown } | null = null;
  #sizeBytes = 0;
  readonly #hash = createHash('sha256');
  readonly #onAbort = () => this.#fail(this.options.signal?.reason);
  #isReading = false;
  #hasEnded = false;
  /** The piece that is being filled, and its filled part. */
  #piece: Buffer | null = null;
  #filledBytes = 0;
  #fillingSince = 0;
  /** Pieces that wait for the driver. */
  readonly #ready: Buffer[] = [];
  #waiting: { resolve(piece: Buffer | null): void; reject(reason: unknown): void } | null = null;

  /**
   * @param memory the origin of the pieces, which the driver gives back. By default each piece is new.
   * @throws RangeError for a limit that is no number of bytes
   */
  constructor(
    private readonly body: Readable,
    private readonly options: PutOptions,
    private readonly memory: Pick<PieceMemory, 'take'> = { take: newPiece },
  ) {
    if (options.maxBytes !== undefined) assertByteCount(options.maxBytes);
    // The body may fail before a driver reads it. Reading it then throws the same error.
    body.on('error', ignore);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  /**
   * The next piece; null after the last byte. A driver waits for one piece at a time.
   * @throws the source's error, the signal's reason, MediagraphError MEDIA_TOO_LARGE
   */
  next(): Promise<Buffer | null> {
    if (!this.#isReading) this.#startReading();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#deliver();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      // An error that a driver injects at the `yield` is the driver's own and does not count as one of the source.
      for (let piece = await this.next(); piece !== null; piece = await this.next()) yield piece;
    } finally {
      this.body.destroy();
    }
  }

  /** May be called once, after the last byte. */
  finish(): StoredBlob {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.digest('hex') };
  }

  /** Destroys the source, in case it was not read to its end, and removes the listener from the signal. */
  close(): void {
    this.options.signal?.removeEventListener('abort', this.#onAbort);
    this.body.destroy();
  }

  /** The reason of a failed put: the source's error or the abort's reason, unchanged, otherwise the store's failure. */
  reasonOr(storeFailure: () => Error): unknown {
    if (this.failure !== null) return this.failure.thrown;
    return this.options.signal?.aborted ? this.options.signal.reason : storeFailure();
  }

  // Events instead of the stream's iterator: `read()` of a stream with several chunks copies them into one.
  #startReading(): void {
    this.#isReading = true;
    finished(this.body, { writable: false }, (error) => {
      if (error) this.#fail(error);
      else this.#onEnd();
    });
    this.body.on('data', (chunk: unknown) => this.#onChunk(chunk)).resume();
  }

  #onChunk(chunk: unknown): void {
    if (this.failure !== null) return;
    try {
      const bytes = asBuffer(chunk);
      this.#count(bytes);
      this.#add(bytes);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    this.#deliver();
    if (this.#ready.length > 0) this.body.pause();
  }

  #count(bytes: Buffer): void {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.options;
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes <= maxBytes) return;
    throw new MediagraphError('MEDIA_TOO_LARGE', `expected at most ${maxBytes} bytes, got more`);
  }

  #add(bytes: Buffer): void {
    for (let from = 0; from < bytes.length; ) {
      // A large chunk is a piece of its own, which needs no copy.
      if (this.#filledBytes === 0 && bytes.length - from >= PIECE_BYTES) {
        this.#finishPiece(bytes.subarray(from));
        return;
      }
      if (this.#piece === null) {
        this.#piece = this.memory.take();
        this.#fillingSince = performance.now();
      }
      const copied = bytes.copy(this.#piece, this.#filledBytes, from);
      from += copied;
      this.#filledBytes += copied;
      const isFull = this.#filledBytes === this.#piece.length;
      if (isFull || performance.now() - this.#fillingSince > MAX_FILLING_MS) this.#finishPiece(this.#takePiece());
    }
  }

  #takePiece(): Buffer {
    const piece = this.#piece?.subarray(0, this.#filledBytes) ?? Buffer.alloc(0);
    this.#piece = null;
    this.#filledBytes = 0;
    return piece;
  }

  #finishPiece(piece: Buffer): void {
    this.#hash.update(piece);
    this.#ready.push(piece);
  }

  #onEnd(): void {
    this.#hasEnded = true;
    if (this.#filledBytes > 0) this.#finishPiece(this.#takePiece());
    this.#deliver();
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    const piece = this.#ready.shift();
    if (this.failure === null && piece === undefined && !this.#hasEnded) {
      this.body.resume();
      return;
    }
    this.#waiting = null;
    if (this.failure !== null) waiting.reject(this.failure.thrown);
    else waiting.resolve(piece ?? null);
    if (this.failure === null && this.#ready.length === 0) this.body.resume();
  }

  // Destroying a body does not always end the wait for its next chunk: a generator that awaits cannot be interrupted.
  #fail(thrown: unknown): void {
    const { signal } = this.options;
    this.failure ??= { thrown: signal?.aborted ? signal.reason : thrown };
    this.body.destroy();
    this.#deliver();
  }
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk;
  if (typeof chunk === 'string' || chunk instanceof Uint8Array) return Buffer.from(chunk);
  throw new TypeError(`expected a body of bytes, got ${typeof chunk}`);
}

function ignore(): void {}
