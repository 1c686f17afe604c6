import { Readable } from 'node:stream';

/** How many bytes to read ahead: a number, or a function that derives it from the bytes read so far. */
export type PeekedBytes = number | ((head: Buffer) => number);

/**
 * Reads the first bytes of a stream and returns them together with a stream that still contains them, which replaces
 * the source.
 * @param isEnough called before each further read; true stops reading early
 */
export async function peek(
  source: Readable,
  bytes: PeekedBytes,
  isEnough?: (head: Buffer) => boolean,
): Promise<{ head: Buffer; body: Readable }> {
  const iterator: AsyncIterator<Buffer> = source.iterator({ destroyOnReturn: false });
  const buffer = new ChunkBuffer();
  while (buffer.head.length < wantedBytes(bytes, buffer.head) && !isEnough?.(buffer.head)) {
    const next = await iterator.next();
    if (next.done) break;
    buffer.add(next.value);
  }
  await iterator.return?.();
  const { head } = buffer;
  return { head: head.subarray(0, wantedBytes(bytes, head)), body: withHead(source, head) };
}

/** The source itself, with the head in front of it: a stream between it and its reader would cost time. */
function withHead(source: Readable, head: Buffer): Readable {
  // Node accepts nothing into a stream that has ended.
  if (source.readableEnded) return Readable.from(head.length === 0 ? [] : [head], { objectMode: false });
  // The reader sees a failure that comes before it listens, but without a listener it would end the process.
  source.on('error', ignore);
  if (head.length > 0) source.unshift(head);
  return source;
}

function wantedBytes(bytes: PeekedBytes, head: Buffer): number {
  return typeof bytes === 'number' ? bytes : bytes(head);
}

/**
 * Collects chunks in one buffer that grows by doubling, so that a stream of single bytes costs no more than one of
 * large chunks.
 */
class ChunkBuffer {
  #room = Buffer.alloc(0);
  #size = 0;

  get head(): Buffer {
    return this.#room.subarray(0, this.#size);
  }

  add(chunk: Buffer): void {
    const size = this.#size + chunk.length;
    if (size > this.#room.length) {
      const room = Buffer.allocUnsafe(Math.max(size, this.#room.length * 2));
      this.#room.copy(room, 0, 0, this.#size);
      this.#room = room;
    }
    chunk.copy(this.#room, this.#size);
    this.#size = size;
  }
}

function ignore(): void {}
