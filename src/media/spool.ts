import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

const READ_BYTES = 256 * 1024;

/**
 * Bytes on their way, kept in a file so that any number of readers can follow at their own speed, from the first byte,
 * while they still come. Memory holds one chunk a reader; a slow one delays nobody.
 */
export class Spool {
  #written = 0;
  #outcome: { readonly error: unknown } | 'complete' | null = null;
  readonly #waiting = new Set<() => void>();
  #users = 1;

  private constructor(private readonly file: FileHandle) {}

  /** Fills itself from `source`; whoever opens it calls {@link leave} when it needs it no more. */
  static async open(source: Readable): Promise<Spool> {
    const spool = new Spool(
      await openNameless().catch((thrown: unknown) => {
        source.destroy();
        throw thrown;
      }),
    );
    spool.#users += 1;
    void spool.#fill(source).finally(() => spool.leave());
    return spool;
  }

  /** Every byte from the first; ends when the source has ended, fails as the source failed. */
  reader(): Readable {
    this.#users += 1;
    const reader = Readable.from(this.#read(), { objectMode: false, highWaterMark: READ_BYTES });
    reader.once('close', () => this.leave());
    // A reader that left while it waited is told of a failure afterwards, when nobody listens any more.
    reader.on('error', () => {});
    return reader;
  }

  /** Once for `open`. The file is closed when its last user has left. */
  leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.file.close().catch(() => {});
  }

  async #fill(source: Readable): Promise<void> {
    try {
      for await (const chunk of source) {
        await this.#write(chunk);
        this.#tell();
      }
      this.#outcome = 'complete';
    } catch (error) {
      this.#outcome = { error };
    }
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

  async *#read(): AsyncGenerator<Buffer> {
    for (let at = 0; ; ) {
      if (at < this.#written) {
        const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, this.#written - at));
        const { bytesRead } = await this.file.read(chunk, 0, chunk.length, at);
        at += bytesRead;
        yield chunk.subarray(0, bytesRead);
      } else if (this.#outcome === 'complete') {
        return;
      } else if (this.#outcome !== null) {
        throw this.#outcome.error;
      } else {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    }
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
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
