import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ByteSpan } from '../model/byte-range.js';

const READ_BYTES = 256 * 1024;
/** The first bytes reach readers without the detour of a file: whoever asks first waits for them. */
const HEAD_BYTES = 64 * 1024;

/**
 * Bytes on their way, kept in a file so that any number of readers can follow at their own speed, from the first byte,
 * while they still come. Memory holds one chunk a reader; a slow one delays nobody.
 */
export class Spool {
  #written = 0;
  #head: Buffer = Buffer.alloc(0);
  #outcome: { readonly error: unknown } | 'complete' | null = null;
  readonly #waiting = new Set<() => void>();
  /** How many bytes there are in all; rejects as the source fails. */
  readonly complete: Promise<number>;
  #users = 1;

  private constructor(
    private readonly file: FileHandle,
    source: Readable,
  ) {
    this.#users += 1;
    this.complete = this.#fill(source).finally(() => this.leave());
    // For whoever waits for it; readers are told by themselves.
    this.complete.catch(() => {});
  }

  /**
   * Fills itself from the source, whose place is made while the source is asked; whoever opens it calls {@link leave} when
   * it needs it no more. Rejects as `open` does, or when there is no place.
   */
  static async open<Source extends { readonly body: Readable }>(
    open: () => Promise<Source>,
  ): Promise<{ readonly spool: Spool; readonly source: Source }> {
    const [file, source] = await Promise.allSettled([openNameless(), open()]);
    if (file.status === 'fulfilled' && source.status === 'fulfilled')
      return { spool: new Spool(file.value, source.value.body), source: source.value };
    if (file.status === 'fulfilled') await file.value.close();
    if (source.status === 'rejected') throw source.reason;
    source.value.body.destroy();
    throw file.status === 'rejected' ? file.reason : new Error('expected a place for the bytes');
  }

  /** How many bytes are here so far. */
  get writtenBytes(): number {
    return Math.max(this.#written, this.#head.length);
  }

  /** Whether the source has ended well. */
  get isComplete(): boolean {
    return this.#outcome === 'complete';
  }

  /**
   * Every byte, or those of a range; ends when the source has ended, fails as the source failed.
   * @param beforeLast is waited for before the last byte is handed out
   */
  reader(range: ByteSpan = { start: 0, end: Number.POSITIVE_INFINITY }, beforeLast?: () => Promise<void>): Readable {
    this.#users += 1;
    const reader = Readable.from(this.#read(range, beforeLast), { objectMode: false, highWaterMark: READ_BYTES });
    reader.once('close', () => this.leave());
    // A reader that left while it waited is told of a failure afterwards, when nobody listens any more.
    reader.on('error', () => {});
    return reader;
  }

  /** Resolves when a byte is here, or it is known that there is none; rejects as the source failed before it. */
  async reach(position: number): Promise<void> {
    while (this.writtenBytes <= position && this.#outcome === null) await this.#news();
    const outcome = this.#outcome;
    if (this.writtenBytes <= position && outcome !== null && outcome !== 'complete') throw outcome.error;
  }

  /** For whoever will read later: until {@link leave}, the bytes stay. */
  join(): void {
    this.#users += 1;
  }

  /** Once for `open` and for each `join`. The file is closed when its last user has left. */
  leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.file.close().catch(() => {});
  }

  async #fill(source: Readable): Promise<number> {
    try {
      for await (const chunk of source) {
        this.#showHead(chunk);
        await this.#write(chunk);
        this.#tell();
      }
      this.#outcome = 'complete';
      return this.#written;
    } catch (error) {
      this.#outcome = { error };
      throw error;
    } finally {
      this.#tell();
    }
  }

  #showHead(chunk: Buffer): void {
    const missing = HEAD_BYTES - this.#head.length;
    if (missing <= 0) return;
    this.#head = Buffer.concat([this.#head, chunk.subarray(0, missing)]);
    this.#tell();
  }

  // Private: a disk that is almost full takes a part of what it is given, and refuses the rest at the next call.
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
        yield* this.#isLast(at, end) ? holdingLast(chunk, beforeLast) : [chunk];
      } else if (at < this.#written) {
        const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, this.#written - at, end + 1 - at));
        const { bytesRead } = await this.file.read(chunk, 0, chunk.length, at);
        at += bytesRead;
        const read = chunk.subarray(0, bytesRead);
        yield* this.#isLast(at, end) ? holdingLast(read, beforeLast) : [read];
      } else if (this.#outcome === 'complete') {
        // A length that was announced, and is not there, must not look like the end.
        if (Number.isFinite(end)) throw new Error(`expected ${end + 1} bytes at least, got ${at}`);
        await beforeLast?.();
        return;
      } else if (this.#outcome !== null) {
        throw this.#outcome.error;
      } else {
        await this.#news();
      }
    }
  }

  #isLast(at: number, end: number): boolean {
    return Number.isFinite(end) ? at > end : this.#outcome === 'complete' && at >= this.#written;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

async function* holdingLast(chunk: Buffer, beforeLast?: () => Promise<void>): AsyncGenerator<Buffer> {
  if (chunk.length > 1) yield chunk.subarray(0, -1);
  await beforeLast?.();
  yield chunk.subarray(-1);
}

/** The file is gone with this process, however that ends. */
async function openNameless(): Promise<FileHandle> {
  const folder = join(tmpdir(), 'mediagraph-spool');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, randomUUID());
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  return file;
}
