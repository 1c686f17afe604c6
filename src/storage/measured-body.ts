import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { MediagraphError } from '../model/errors.js';
import { assertByteCount } from '../streams/byte-limit.js';
import type { PutOptions, StoredBlob } from './blob-store.js';

/**
 * Counts and hashes the bytes of a put, and ends it at the byte limit or with the signal. It remembers how the source
 * failed, so that a driver can tell the source's failures from its own.
 */
export class MeasuredBody implements AsyncIterable<Buffer> {
  /** What the iteration threw. Null: it did not throw. */
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
    // The body may fail before a driver reads it. Reading it then throws the same error.
    body.on('error', ignore);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    const chunks = this.body[Symbol.asyncIterator]();
    try {
      // An error that a driver injects at the `yield` is the driver's own and does not count as one of the source.
      for (let bytes = await this.#next(chunks); bytes !== null; bytes = await this.#next(chunks)) yield bytes;
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

  // Destroying a body does not always end the wait for its next chunk: a generator that awaits cannot be interrupted.
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
