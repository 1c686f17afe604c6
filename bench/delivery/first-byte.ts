import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { request } from 'undici';
import { startOurs } from '../support/ours.js';
import type { Engine } from '../support/scratch-database.js';
import { quantile } from '../support/statistics.js';

export interface FirstByteFigures {
  readonly mode: 'lazy' | 'off';
  /** From the provider's first byte of a body to the client's; milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const FIRST = Buffer.concat([Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'), Buffer.alloc(4_000, 1)]);
const PAUSE_MS = 20;

/** A provider that sends the headers, then after a pause the first bytes of a picture, then after another the rest. */
export async function measureFirstByte(
  engine: Engine,
  mode: 'lazy' | 'off',
  requests: number,
): Promise<FirstByteFigures> {
  let sentAt = 0;
  const provider = createServer((incoming, response) => {
    if (incoming.url?.endsWith('/media')) redirect(response, incoming.headers.host ?? '', incoming.url);
    else setTimeout(() => sendSlowly(response, () => (sentAt = performance.now())), PAUSE_MS);
  });
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const address = provider.address();
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  const server = await startOurs({
    engine,
    profileFolder: null,
    config: {
      network: { allowPrivate: ['127.0.0.0/8'] },
      mirror: { mode },
      channels: [
        { id: 'wa', provider: 'kirim', baseUrl: `http://127.0.0.1:${address.port}`, credentials: { token: 'none' } },
      ],
    },
  });
  const delays: number[] = [];
  try {
    for (let number = 0; number < requests; number++) {
      const url = await linkOf(server.said, `wa:m${number}`);
      const { body } = await request(url);
      const chunks = body[Symbol.asyncIterator]();
      await chunks.next();
      delays.push(performance.now() - sentAt);
      while (!(await chunks.next()).done);
    }
  } finally {
    await server.stop();
    provider.close();
    provider.closeAllConnections();
  }
  // The first ones compile the code.
  const measured = delays.slice(Math.min(20, Math.floor(delays.length / 4)));
  return { mode, p50: quantile(measured, 0.5), p99: quantile(measured, 0.99) };
}

function redirect(response: ServerResponse, host: string, path: string): void {
  response.writeHead(302, { location: `http://${host}/bytes${path}.jpg` }).end();
}

function sendSlowly(response: ServerResponse, onFirst: () => void): void {
  response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': 2 * FIRST.length });
  onFirst();
  response.write(FIRST);
  setTimeout(() => response.end(Buffer.alloc(FIRST.length, 2)), PAUSE_MS);
}

async function linkOf(origin: string, id: string): Promise<string> {
  const { body } = await request(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: `{ messagesWithMedia(ids: ["${id}"]) { media { url } } }` }),
  });
  const text = await body.text();
  const url = /"url":"([^"]+)"/.exec(text)?.[1];
  if (url === undefined) throw new Error(`expected a link, got ${text}`);
  return url;
}
