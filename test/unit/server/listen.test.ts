import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { createHttpServer } from '../../../src/server/http-server.js';
import { listen } from '../../../src/server/listen.js';
import { createLogger } from '../../../src/telemetry/logger.js';

/** Loopback addresses of every Linux; `localhost` may have one only. */
const ADDRESSES = ['127.0.0.1', '127.0.0.2'];
const addressesOf = async () => ADDRESSES.map((address) => ({ address }));

it('localhost is listened on at each of its addresses, for requests and sockets, until the server closes', async () => {
  const { http } = createHttpServer({ logger: createLogger({ level: 'silent' }), trustProxy: false });
  const sockets = new WebSocketServer({ noServer: true });
  http.server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head, () => {}));
  http.get('/', async () => 'here');
  const { port } = new URL(await listen(http, { host: 'localhost', port: 0, addressesOf }));
  for (const address of ADDRESSES) {
    const answer = await fetch(`http://${address}:${port}/`);
    expect([address, await answer.text()]).toEqual([address, 'here']);
    const socket = new WebSocket(`ws://${address}:${port}/`);
    await once(socket, 'open');
    socket.terminate();
  }
  // A browser opens connections in advance, and the server does not wait for them.
  const unused = connect(Number(port), '127.0.0.2').on('error', () => {});
  await once(unused, 'connect');
  await http.close();
  for (const address of ADDRESSES) await expect(fetch(`http://${address}:${port}/`)).rejects.toThrow('fetch failed');
});

it('one address of localhost that is taken leaves the others', async () => {
  const taken = createServer().listen(0, '127.0.0.2');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const { http } = createHttpServer({ logger: createLogger({ level: 'silent' }), trustProxy: false });
  http.get('/', async () => 'here');
  const url = await listen(http, { host: 'localhost', port, addressesOf });
  expect(await (await fetch(url)).text()).toBe('here');
  await http.close();
  taken.close();
});
