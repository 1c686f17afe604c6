import { Readable } from 'node:stream';

/** How many bytes to read ahead: a number, or a function that derives it from the bytes read so far. */
export type PeekedBytes = number | ((head: Buffer) => number);

/**
 * Reads the first bytes of a stream and returns them together with a stream that still contains them. Destroying the
 * returned stream destroys the source.
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
  const { head } = buffer;
  const body = Readable.from(resume(head, iterator), { objectMode: false });
  body.once('close', () => source.destroy());
  return { head: head.subarray(0, wantedBytes(bytes, head)), body };
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

async function* resume(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
