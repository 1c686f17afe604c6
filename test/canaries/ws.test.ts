/** See ARCHITECTURE.md, "Where we bend a dependency". */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

it('ws reads a socket by its data events, which others may listen to as well', async () => {
  const http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  const sockets = new WebSocketServer({ noServer: true });
  let bytes = 0;
  const received = new Promise((resolve) => {
    http.on('upgrade', (request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        socket.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        webSocket.on('message', (data) => resolve(String(data)));
      });
    });
  });
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  await once(client, 'open');
  client.send('a message');
  expect(await received).toBe('a message');
  // The frame: two bytes, a mask of four, and the text.
  expect(bytes).toBe(15);
  client.terminate();
  sockets.close();
  http.close();
});
