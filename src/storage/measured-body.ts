import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { MediagraphError } from '../model/errors.js';
import { assertByteCount } from '../streams/byte-limit.js';
import type { PutOptions, StoredBlob } from './blob-store.js';

/**
 * The bytes of a put on their way into a store: counted, hashed, limited, ended by the signal. It remembers how the
 * source failed, so that a driver can tell the source's failures from its own.
 */
export class MeasuredBody implements AsyncIterable<Buffer> {
  /** What iterating threw; null = nothing, or it did not come to that. */
  failure: { readonly thrown: unknown } | null = null;
  #sizeBytes = 0;
  readonly #hash = createHash('sha256');
  #rejectChunk: (reason: unknown) => void = ignore;
  readonly #onAbort = () => {
    this.body.destroy();
    this.#rejectChunk(this.options.signal?.reason);
  };

  /** @throws RangeError for a limit that is no number of bytes */
  constructor(
    private readonly body: Readable,
    private readonly options: PutOptions,
  ) {
    if (options.maxBytes !== undefined) assertByteCount(options.maxBytes);
    // From now on, since the body may fail before a driver comes to read it; reading throws the same then.
    body.on('error', ignore);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    const chunks = this.body[Symbol.asyncIterator]();
    try {
      // What a driver throws in at the `yield`, when it has failed itself, is no failure of the source.
      for (let bytes = await this.#next(chunks); bytes !== null; bytes = await this.#next(chunks)) yield bytes;
    } finally {
      this.body.destroy();
    }
  }

  /** Once, after the last byte. */
  finish(): StoredBlob {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.digest('hex') };
  }

  /** Ends the source if nobody read it to its end, and lets go of the signal. */
  close(): void {
    this.options.signal?.removeEventListener('abort', this.#onAbort);
    this.body.destroy();
  }

  /** Why a put failed: how the source did or why it was aborted, unchanged; else the store's failure. */
  reasonOr(storeFailure: () => Error): unknown {
    if (this.failure !== null) return this.failure.thrown;
    return this.options.signal?.aborted ? this.options.signal.reason : storeFailure();
  }

  async #next(chunks: AsyncIterator<unknown>): Promise<Buffer | null> {
    try {
      const { done, value } = await this.#orAbort(chunks.next());
      this.options.signal?.throwIfAborted();
      if (done) return null;
      const bytes = asBuffer(value);
      this.#count(bytes);
      return bytes;
    } catch (thrown) {
      this.failure = { thrown: this.options.signal?.aborted ? this.options.signal.reason : thrown };
      throw this.failure.thrown;
    }
  }

  // Private: destroying a body need not end a wait for its next chunk; a generator that waits itself cannot be ended.
  #orAbort<Result>(chunk: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#rejectChunk = reject;
      chunk.then(resolve, reject);
    });
  }

  #count(bytes: Buffer): void {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.options;
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > maxBytes) {
      throw new MediagraphError('MEDIA_TOO_LARGE', `expected at most ${maxBytes} bytes, got more`);
    }
    this.#hash.update(bytes);
  }
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk;
  if (typeof chunk === 'string' || chunk instanceof Uint8Array) return Buffer.from(chunk);
  throw new TypeError(`expected a body of bytes, got ${typeof chunk}`);
}

function ignore(): void {}
