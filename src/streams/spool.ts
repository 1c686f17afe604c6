import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ByteSpan } from '../model/byte-range.js';

const READ_BYTES = 256 * 1024;
/** The first bytes reach readers through memory, so that the first reader does not wait for the file. */
const HEAD_BYTES = 64 * 1024;

/**
 * Buffers a stream in a temporary file, so that any number of readers can follow it from the first byte at their own
 * speed while it still arrives. Memory holds one chunk per reader. A slow reader does not delay the others.
 */
export class Spool {
  #written = 0;
  #head: Buffer = Buffer.alloc(0);
  #outcome: { readonly error: unknown } | 'complete' | null = null;
  readonly #waitingReaders = new Set<() => void>();
  /** Resolves to the total number of bytes; rejects when the source fails. */
  readonly complete: Promise<number>;
  #references = 1;

  private constructor(
    private readonly file: FileHandle,
    source: Readable,
  ) {
    this.#references += 1;
    this.complete = this.#fill(source).finally(() => this.release());
    // Readers receive the error themselves; without a handler here an unused promise would end the process.
    this.complete.catch(() => {});
  }

  /**
   * Opens the source and the temporary file at the same time, and fills the file from the source. The opener must call
   * {@link release} when it no longer needs the spool. Rejects as `open` does, or when the file cannot be created.
   */
  static async open<Source extends { readonly body: Readable }>(
    open: () => Promise<Source>,
  ): Promise<{ readonly spool: Spool; readonly source: Source }> {
    const [file, source] = await Promise.allSettled([openUnlinked(), open()]);
    if (file.status === 'fulfilled' && source.status === 'fulfilled')
      return { spool: new Spool(file.value, source.value.body), source: source.value };
    if (file.status === 'fulfilled') await file.value.close();
    if (source.status === 'rejected') throw source.reason;
    source.value.body.destroy();
    throw file.status === 'rejected' ? file.reason : new Error('expected a temporary file for the bytes');
  }

  /** The number of bytes that readers can read now. */
  get writtenBytes(): number {
    return Math.max(this.#written, this.#head.length);
  }

  /** Whether the source has ended without an error. */
  get isComplete(): boolean {
    return this.#outcome === 'complete';
  }

  /**
   * Reads all bytes or a range. The reader ends when the source ends and fails when the source fails.
   * @param beforeLast awaited before the last byte is delivered
   */
  reader(range: ByteSpan = { start: 0, end: Number.POSITIVE_INFINITY }, beforeLast?: () => Promise<void>): Readable {
    this.#references += 1;
    const reader = Readable.from(this.#read(range, beforeLast), { objectMode: false, highWaterMark: READ_BYTES });
    reader.once('close', () => this.release());
    // A reader that is destroyed while it waits may fail afterwards, when nothing listens to its errors any more.
    reader.on('error', () => {});
    return reader;
  }

  /**
   * Resolves when the byte at this position is available or the source has ended before it. Rejects if the source
   * failed before it.
   */
  async reach(position: number): Promise<void> {
    while (this.writtenBytes <= position && this.#outcome === null) await this.#nextChange();
    const outcome = this.#outcome;
    if (this.writtenBytes <= position && outcome !== null && outcome !== 'complete') throw outcome.error;
  }

  /** Keeps the bytes for a later reader until {@link release}. */
  retain(): void {
    this.#references += 1;
  }

  /** Releases one reference, of `open` or of `retain`. The last release closes the file, which frees its space. */
  release(): void {
    this.#references -= 1;
    if (this.#references === 0) this.file.close().catch(() => {});
  }

  async #fill(source: Readable): Promise<number> {
    try {
      for await (const chunk of source) {
        this.#appendToHead(chunk);
        await this.#write(chunk);
        this.#notifyWaiting();
      }
      this.#outcome = 'complete';
      return this.#written;
    } catch (error) {
      this.#outcome = { error };
      throw error;
    } finally {
      this.#notifyWaiting();
    }
  }

  #appendToHead(chunk: Buffer): void {
    const missing = HEAD_BYTES - this.#head.length;
    if (missing <= 0) return;
    this.#head = Buffer.concat([this.#head, chunk.subarray(0, missing)]);
    this.#notifyWaiting();
  }

  // A write to an almost full disk may take only a part of the chunk; the next write then fails.
  async #write(chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      const { bytesWritten } = await this.file.write(chunk, from, chunk.length - from, this.#written);
      from += bytesWritten;
      this.#written += bytesWritten;
    }
  }

  async *#read({ start, end }: ByteSpan, beforeLast?: () => Promise<void>): AsyncGenerator<Buffer> {
    for (let at = start; at <= end; ) {
      if (at < this.#head.length) {
        const chunk = this.#head.subarray(at, end + 1);
        at += chunk.length;
        yield* this.#isLast(at, end) ? withLastByteHeld(chunk, beforeLast) : [chunk];
      } else if (at < this.#written) {
        const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, this.#written - at, end + 1 - at));
        const { bytesRead } = await this.file.read(chunk, 0, chunk.length, at);
        at += bytesRead;
        const read = chunk.subarray(0, bytesRead);
        yield* this.#isLast(at, end) ? withLastByteHeld(read, beforeLast) : [read];
      } else if (this.#outcome === 'complete') {
        // A body that is shorter than announced must fail; an early end would look complete.
        if (Number.isFinite(end)) throw new Error(`expected ${end + 1} bytes at least, got ${at}`);
        await beforeLast?.();
        return;
      } else if (this.#outcome !== null) {
        throw this.#outcome.error;
      } else {
        await this.#nextChange();
      }
    }
  }

  #isLast(at: number, end: number): boolean {
    return Number.isFinite(end) ? at > end : this.#outcome === 'complete' && at >= this.#written;
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => this.#waitingReaders.add(resolve));
  }

  #notifyWaiting(): void {
    for (const resolve of this.#waitingReaders) resolve();
    this.#waitingReaders.clear();
  }
}

async function* withLastByteHeld(chunk: Buffer, beforeLast?: () => Promise<void>): AsyncGenerator<Buffer> {
  if (chunk.length > 1) yield chunk.subarray(0, -1);
  await beforeLast?.();
  yield chunk.subarray(-1);
}

/** Opens a file without a name: the system frees it when this process ends, even by a crash. */
async function openUnlinked(): Promise<FileHandle> {
  const folder = join(tmpdir(), 'mediagraph-spool');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, randomUUID());
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  return file;
}
