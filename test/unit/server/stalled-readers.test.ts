import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { OpenAnswers } from '../../../src/server/open-answers.js';
import { StalledReaders } from '../../../src/server/stalled-readers.js';
import { until } from '../../support/eventually.js';

const PATIENCE_MS = 3_000;
/** More than the operating system buffers for a reader that reads nothing. */
const LARGE_BYTES = 64_000_000;

describe('a reader', () => {
  let http: FastifyInstance;
  let url: URL;
  /** The server's ends of all connections. */
  const served: Socket[] = [];
  /** All readers wait at the same time, since most of the time passes in waiting. */
  let readers: Readonly<Record<string, Promise<Outcome>>>;

  beforeAll(async () => {
    const answers = new OpenAnswers();
    http = fastify({
      serverFactory: (router) =>
        createServer((request, response) => {
          answers.add(request.socket, response);
          router(request, response);
        }),
    });
    new StalledReaders(answers, PATIENCE_MS).watch(http);
    http.server.on('connection', (socket) => served.push(socket));
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
    readers = {
      'nothing of /media/whole': outcomeOf(readNothing('/media/whole')),
      'nothing of /media/parts': outcomeOf(readNothing('/media/parts')),
      'slowly /media/whole': outcomeOf(readSlowly('/media/whole')),
      'slowly /media/parts': outcomeOf(readSlowly('/media/parts')),
      'late bytes': outcomeOf(open('/media/late').then(readAll)),
    };
  });
  afterAll(async () => {
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

  /** @returns the number of bytes that arrived before the server closed the connection */
  async function readNothing(path: string): Promise<number> {
    const socket = await open(path);
    socket.pause();
    const serverEnd = await servedTo(socket);
    if (!serverEnd.closed) await once(serverEnd, 'close');
    return readAll(socket);
  }

  /** @returns the number of bytes that arrived */
  async function readSlowly(path: string): Promise<number> {
    const socket = await open(path);
    socket.pause();
    let bytes = 0;
    for (let step = 0; step < 40; step += 1) {
      await sleep(PATIENCE_MS / 10);
      const chunk: unknown = socket.read();
      if (Buffer.isBuffer(chunk)) bytes += chunk.length;
      expect([step, socket.destroyed]).toEqual([step, false]);
    }
    return bytes + (await readAll(socket));
  }

  /** The server's end of a connection. */
  async function servedTo({ localPort }: Socket): Promise<Socket> {
    const find = () => served.find(({ remotePort }) => remotePort === localPort);
    await until('the connection to be accepted', () => find() !== undefined);
    return find() ?? new Socket();
  }

  async function bytesOf(reader: string): Promise<number> {
    const outcome = await readers[reader];
    if (typeof outcome !== 'number') throw outcome ?? new Error(`expected a reader of ${reader}`);
    return outcome;
  }

  it.each(['/media/whole', '/media/parts'])(
    'that reads nothing is disconnected: %s',
    async (path) => {
      expect(await bytesOf(`nothing of ${path}`)).toBeLessThan(LARGE_BYTES);
    },
    60_000,
  );

  it.each(['/media/whole', '/media/parts'])(
    'that reads slowly is never disconnected: %s',
    async (path) => {
      expect(await bytesOf(`slowly ${path}`)).toBeGreaterThan(LARGE_BYTES);
    },
    60_000,
  );

  it('that waits for bytes that have not arrived is not disconnected', async () => {
    expect(await bytesOf('late bytes')).toBeGreaterThan(0);
  }, 60_000);
});

/** The number of bytes that a reader got, or the error. */
type Outcome = number | Error;

function outcomeOf(reading: Promise<number>): Promise<Outcome> {
  return reading.catch((thrown: unknown) =>
    thrown instanceof Error ? thrown : new Error('failed', { cause: thrown }),
  );
}
