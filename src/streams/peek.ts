import { Readable } from 'node:stream';

/** How much of a stream is looked at: a number of bytes, or what those that are here tell of it. */
export type PeekedBytes = number | ((head: Buffer) => number);

/**
 * The first bytes of a stream, and the stream with them still in it. Destroying the latter ends the former.
 * @param isEnough whether fewer bytes will do, asked as they come
 */
export async function peek(
  source: Readable,
  bytes: PeekedBytes,
  isEnough?: (head: Buffer) => boolean,
): Promise<{ head: Buffer; body: Readable }> {
  const iterator: AsyncIterator<Buffer> = source.iterator({ destroyOnReturn: false });
  const collected = new Collected();
  while (collected.head.length < wanted(bytes, collected.head) && !isEnough?.(collected.head)) {
    const next = await iterator.next();
    if (next.done) break;
    collected.add(next.value);
  }
  const { head } = collected;
  const body = Readable.from(resume(head, iterator), { objectMode: false });
  body.once('close', () => source.destroy());
  return { head: head.subarray(0, wanted(bytes, head)), body };
}

function wanted(bytes: PeekedBytes, head: Buffer): number {
  return typeof bytes === 'number' ? bytes : bytes(head);
}

/** Bytes that came in pieces, together. Grows by doubling: a stream in single bytes costs no more than one in large pieces. */
class Collected {
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
