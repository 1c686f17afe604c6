/** Connections of the HTTP server: at which addresses it accepts them, and what it writes to them. */

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { until } from '../support/eventually.js';
import { useBeds } from '../support/test-bed.js';

const beds = useBeds();

describe('server.host localhost', () => {
  it('listens at each of its addresses, for requests and for sockets, until the server closes', async () => {
    const bed = await beds.own({ config: { server: { host: 'localhost', port: 0 } } });
    const { port } = new URL(bed.app.url);
    const addresses = await lookup('localhost', { all: true });
    const origins = addresses.map(({ address, family }) => `${family === 6 ? `[${address}]` : address}:${port}`);
    for (const origin of origins) {
      const answer = await fetch(`http://${origin}/livez`);
      expect([origin, answer.status]).toEqual([origin, 200]);
      const socket = new WebSocket(`ws://${origin}/graphql`, 'graphql-transport-ws');
      await once(socket, 'open');
      socket.terminate();
    }
    await bed.app.close();
    for (const origin of origins) await expect(fetch(`http://${origin}/livez`)).rejects.toThrow('fetch failed');
  });
});

const SUBSCRIPTION = encodeURIComponent('subscription { mediaUpdated(messageIds: ["kirim:m"]) { __typename } }');

describe('bytes that are no request', () => {
  it('end an answer that has begun, and put nothing into it', async () => {
    const bed = await beds.shared();
    const { hostname, port } = new URL(bed.app.url);
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    let received = '';
    socket.on('data', (text) => {
      received += String(text);
    });
    socket.on('error', () => {});
    const headers = `Host: ${hostname}\r\nAccept: text/event-stream\r\n`;
    socket.write(`GET /graphql?query=${SUBSCRIPTION} HTTP/1.1\r\n${headers}\r\n`);
    await until(() => received.includes('\r\n\r\n'));
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
    socket.write('these bytes are no request\r\n\r\n');
    if (!socket.closed) await once(socket, 'close');
    expect(received).not.toMatch(/400|expected a well-formed request/);
  });

  it('are answered after an answer that has ended', async () => {
    const bed = await beds.shared();
    const { hostname, port } = new URL(bed.app.url);
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    let received = '';
    socket.on('data', (text) => {
      received += String(text);
    });
    socket.write(`GET /livez HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    await until(() => received.startsWith('HTTP/1.1 200 '));
    socket.write('these bytes are no request\r\n\r\n');
    await once(socket, 'close');
    expect(received).toContain('HTTP/1.1 400 ');
  });
});
