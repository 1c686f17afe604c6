/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { Readable } from 'node:stream';
import fastify from 'fastify';

class PipedStream extends Readable {
  readonly calls: unknown[][] = [];

  override _read(): void {
    this.push('bytes');
    this.push(null);
  }

  override pipe<Destination extends NodeJS.WritableStream>(
    destination: Destination,
    ...options: Array<{ end?: boolean }>
  ): Destination {
    this.calls.push([destination, ...options]);
    return super.pipe(destination, ...options);
  }
}

it('Fastify sends a stream by calling its pipe() with the raw response', async () => {
  const http = fastify();
  const stream = new PipedStream();
  const raw: unknown[] = [];
  http.get('/', (_request, reply) => {
    raw.push(reply.raw);
    return reply.send(stream);
  });
  const answer = await fetch(await http.listen({ port: 0, host: '127.0.0.1' }));
  expect(await answer.text()).toBe('bytes');
  await http.close();
  expect(stream.calls).toEqual([raw]);
});

it('Fastify lets what is written to reply.raw pass between the chunks of a stream that it sends', async () => {
  const http = fastify();
  http.get('/', (_request, reply) => {
    async function* chunks() {
      yield 'first ';
      reply.raw.write('between ');
      yield 'last';
    }
    return reply.send(Readable.from(chunks(), { objectMode: false, highWaterMark: 1 }));
  });
  const answer = await fetch(await http.listen({ port: 0, host: '127.0.0.1' }));
  expect(await answer.text()).toBe('first between last');
  await http.close();
});
