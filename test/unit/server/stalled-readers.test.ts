import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { OpenAnswers } from '../../../src/server/open-answers.js';
import { StalledReaders } from '../../../src/server/stalled-readers.js';

const PATIENCE_MS = 3_000;
/** More than the operating system buffers for a reader that takes nothing. */
const LARGE_BYTES = 64_000_000;

describe('a reader', () => {
  let http: FastifyInstance;
  let url: URL;

  beforeEach(async () => {
    const answers = new OpenAnswers();
    http = fastify({
      serverFactory: (router) =>
        createServer((request, response) => {
          answers.add(request.socket, response);
          router(request, response);
        }),
    });
    new StalledReaders(answers, PATIENCE_MS).watch(http);
    http.get('/media/whole', (_request, reply) => reply.send(Buffer.alloc(LARGE_BYTES)));
    http.get('/media/parts', (_request, reply) => {
      let left = LARGE_BYTES / 65_536;
      return reply.send(
        new Readable({
          read() {
            this.push(left-- > 0 ? Buffer.alloc(65_536) : null);
          },
        }),
      );
    });
    http.get('/media/late', async (_request, reply) => {
      await sleep(4 * PATIENCE_MS);
      return reply.send('at last');
    });
    url = new URL(await http.listen({ host: '127.0.0.1', port: 0 }));
  });
  afterEach(async () => {
    http.server.closeAllConnections();
    await http.close();
  });

  async function open(path: string): Promise<Socket> {
    const socket = connect(Number(url.port), url.hostname);
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    return socket;
  }

  /** Reads until the connection closes. @returns the number of bytes */
  async function readAll(socket: Socket): Promise<number> {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    socket.resume();
    if (!socket.closed) await once(socket, 'close');
    return bytes;
  }

  it.each(['/media/whole', '/media/parts'])(
    'that takes nothing is cut: %s',
    async (path) => {
      const accepted = once(http.server, 'connection');
      const socket = await open(path);
      socket.pause();
      const [served]: Socket[] = await accepted;
      if (served && !served.closed) await once(served, 'close');
      expect(await readAll(socket)).toBeLessThan(LARGE_BYTES);
    },
    60_000,
  );

  it.each(['/media/whole', '/media/parts'])(
    'that takes little at a time is never cut: %s',
    async (path) => {
      const socket = await open(path);
      socket.pause();
      let bytes = 0;
      for (let step = 0; step < 40; step += 1) {
        await sleep(PATIENCE_MS / 10);
        const chunk: unknown = socket.read();
        if (Buffer.isBuffer(chunk)) bytes += chunk.length;
        expect([step, socket.destroyed]).toEqual([step, false]);
      }
      bytes += await readAll(socket);
      expect(bytes).toBeGreaterThan(LARGE_BYTES);
    },
    60_000,
  );

  it('that waits for bytes that are not there yet is not cut', async () => {
    expect(await readAll(await open('/media/late'))).toBeGreaterThan(0);
  }, 60_000);
});
