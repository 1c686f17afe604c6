import { Readable } from 'node:stream';

/**
 * The first bytes of a stream, and the stream with them still in it. Destroying the latter ends the former.
 * @param isEnough whether fewer bytes will do, asked as they come
 */
export async function peek(
  source: Readable,
  bytes: number,
  isEnough?: (head: Buffer) => boolean,
): Promise<{ head: Buffer; body: Readable }> {
  const iterator: AsyncIterator<Buffer> = source.iterator({ destroyOnReturn: false });
  const chunks: Buffer[] = [];
  let size = 0;
  while (size < bytes && !isEnough?.(Buffer.concat(chunks))) {
    const next = await iterator.next();
    if (next.done) break;
    chunks.push(next.value);
    size += next.value.length;
  }
  const head = Buffer.concat(chunks);
  const body = Readable.from(resume(head, iterator), { objectMode: false });
  body.once('close', () => source.destroy());
  return { head: head.subarray(0, bytes), body };
}

async function* resume(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
