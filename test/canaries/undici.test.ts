/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type LookupFunction, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, buildConnector, Pool, request } from 'undici';
import { eventually } from '../support/eventually.js';

const CHUNK_BYTES = 64 * 1024;
/** More than the operating system buffers. */
const CHUNKS = 1_000;

it('undici reads a body only as fast as its receiver takes it', async () => {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => void sockets.push(socket.pause().on('error', () => {}))).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let reads = 0;
  const body = new Readable({
    highWaterMark: 0,
    read() {
      reads += 1;
      this.push(reads > CHUNKS ? null : Buffer.alloc(CHUNK_BYTES));
    },
  }).on('error', () => {});
  const pool = new Pool(`http://127.0.0.1:${port}`);
  const answer = pool.request({
    path: '/',
    method: 'POST',
    body,
    headers: { 'content-length': `${CHUNKS * CHUNK_BYTES}` },
  });
  answer.catch(() => {});
  let seen = -1;
  while (seen !== reads || reads === 0) {
    seen = reads;
    await sleep(200);
  }
  expect(reads).toBeLessThan(CHUNKS);
  for (const socket of sockets) socket.resume();
  await eventually(
    () => reads,
    (now) => now > CHUNKS,
    { what: 'the whole body to be read' },
  );
  await pool.destroy();
  server.close();
});

it('undici passes a repeated header as a list', async () => {
  const server = createServer((_request, response) => {
    response.setHeader('content-encoding', ['gzip', 'br']).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { headers, body } = await request(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await body.dump();
  server.close();
  expect(headers['content-encoding']).toEqual(['gzip', 'br']);
});

it('undici connects through its connector, whose lookup sees every name and no literal address', async () => {
  const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const looked: string[] = [];
  const connected: string[] = [];
  const lookup: LookupFunction = (name, { all }, callback) => {
    looked.push(name);
    if (all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
    else callback(null, '127.0.0.1', 4);
  };
  const connect = buildConnector({ lookup });
  const agent = new Agent({
    connect: (target, callback) => {
      connected.push(target.hostname);
      connect(target, callback);
    },
  });
  for (const host of ['name.test', '127.0.0.1']) {
    const { body } = await request(`http://${host}:${port}/`, { dispatcher: agent });
    await body.dump();
  }
  await agent.destroy();
  server.close();
  expect([connected, looked]).toEqual([['name.test', '127.0.0.1'], ['name.test']]);
});
