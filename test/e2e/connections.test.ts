/** What the HTTP server writes to a connection that sends something else than requests. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { until } from '../support/eventually.js';
import { useBeds } from '../support/test-bed.js';

const beds = useBeds();

const SUBSCRIPTION = encodeURIComponent('subscription { mediaUpdated(messageIds: ["wa:m"]) { __typename } }');

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
    await until('an answer', () => received.includes('\r\n\r\n'));
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
    await until('an answer', () => received.startsWith('HTTP/1.1 200 '));
    socket.write('these bytes are no request\r\n\r\n');
    await once(socket, 'close');
    expect(received).toContain('HTTP/1.1 400 ');
  });
});
