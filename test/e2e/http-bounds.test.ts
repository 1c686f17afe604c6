/** What reaches `/graphql` and the routes beside it: bodies, their codings and their time; whose pages, whose names. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { until } from '../support/eventually.js';
import { receive } from '../support/sample-messages.js';
import {
  errorOf,
  type GetOptions,
  type Got,
  headerOf,
  kirimChannel,
  sole,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';
import { watchUnhandled } from '../support/unhandled.js';

const KEY = 'a-key-of-these-tests-0123456789';
const sha256 = createHash('sha256').update(KEY).digest('hex');
const auth = { mode: 'apiKey', apiKeys: [{ sha256, tenant: 'default', scopes: ['media:read', 'media:write'] }] };
const authorization = `Bearer ${KEY}`;
const JSON_TYPE = { 'content-type': 'application/json' };
const JSON_LINE = 'Content-Type: application/json';
const TYPENAME = JSON.stringify({ query: '{ __typename }' });

/** A connection on which the test writes every byte. */
class RawClient {
  received = '';
  isClosed = false;

  private constructor(readonly socket: Socket) {
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.received += text;
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.isClosed = true;
    });
  }

  static async open(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.received)?.[1] ?? 0);
  }

  closed(): Promise<void> {
    return until('the connection to be closed', async () => this.isClosed, 30_000);
  }

  end(): void {
    this.socket.destroy();
  }
}

/** One request as it is written, and the answer to it. */
async function sendRaw(url: string, head: readonly string[], body = ''): Promise<RawClient> {
  const client = await RawClient.open(url);
  client.send(`${head.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`);
  await client.closed();
  return client;
}

type Headers = NonNullable<GetOptions['headers']>;

const beds = useBeds();

describe('a body without valid credentials in its headers', () => {
  const keyed = useBeds({ config: { auth } });
  let bed: TestBed;
  beforeEach(async () => {
    bed = await keyed.shared();
  });

  it.each<[string, readonly string[]]>([
    ['none', []],
    ['an unknown key', ['Authorization: Bearer unknown']],
    ['another scheme', ['Authorization: Basic YTpi']],
  ])('is refused before it is read, and its connection closed: %s', async (_name, headers) => {
    for (const length of ['Content-Length: 3000000', 'Transfer-Encoding: chunked']) {
      for (const method of ['POST', 'GET']) {
        const client = await RawClient.open(bed.app.url);
        client.send(
          [`${method} /graphql HTTP/1.1`, 'Host: localhost', 'Content-Type: application/json', length, ...headers].join(
            '\r\n',
          ),
        );
        client.send('\r\n\r\n{"query":');
        // The answer arrives although the body never does.
        await client.closed();
        expect([client.status, client.received]).toEqual([401, expect.stringContaining('UNAUTHENTICATED')]);
        expect(client.received).toMatch(/\r\nconnection: close\r\n/i);
      }
    }
  });

  it('is refused for a wrong secret of the router with the same message', async () => {
    const own = await beds.own({ config: { auth, server: { port: 0, routerSecret: 'the secret of a router' } } });
    const messages = new Set<string>();
    const refused: readonly Headers[] = [
      {},
      { authorization: 'Bearer nobody' },
      { authorization },
      { authorization, 'x-router-secret': 'another' },
      { 'x-router-secret': 'the secret of a router' },
    ];
    for (const headers of refused) {
      const { status, errors } = await own.post(TYPENAME, { headers });
      expect(status).toBe(401);
      messages.add(sole(errors).message);
    }
    expect(messages.size).toBe(1);
    const headers = { authorization, 'x-router-secret': 'the secret of a router' };
    expect((await own.post(TYPENAME, { headers })).status).toBe(200);
  });

  it('holds no memory, however many there are', async () => {
    const clients = await Promise.all(Array.from({ length: 200 }, () => RawClient.open(bed.app.url)));
    for (const client of clients) {
      client.send('POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n');
      client.send(' '.repeat(100_000));
    }
    await Promise.all(clients.map((client) => client.closed()));
    // A connection that is closed while the client sends may lose the answer, but must not stay open.
    for (const { status } of clients) expect([0, 401]).toContain(status);
  });

  it('is not awaited from a socket without credentials', async () => {
    const socket = new WebSocket(`${bed.app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.on('error', () => {});
    socket.send(JSON.stringify({ type: 'connection_init', payload: { more: 'x'.repeat(1_000_000) } }));
    expect((await closed)[0]).toBe(1006);
    const known = new WebSocket(`${bed.app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await once(known, 'open');
    known.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
    expect(String((await once(known, 'message'))[0])).toContain('connection_ack');
    const query = `# ${'x'.repeat(100_000)}\n{ __typename }`;
    known.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    expect(String((await once(known, 'message'))[0])).toContain('"__typename":"Query"');
    known.close();
  });
});

describe('compressed bodies', () => {
  const encoded: ReadonlyArray<[string, Buffer]> = [
    ['gzip', gzipSync(TYPENAME)],
    ['x-gzip', gzipSync(TYPENAME)],
    ['deflate', deflateSync(TYPENAME)],
    ['br', brotliCompressSync(TYPENAME)],
    ['BR', brotliCompressSync(TYPENAME)],
    ['identity', Buffer.from(TYPENAME)],
    ['gzip, br', brotliCompressSync(gzipSync(TYPENAME))],
    ['deflate,gzip , identity, br', brotliCompressSync(gzipSync(deflateSync(TYPENAME)))],
  ];

  async function send(bed: TestBed, encoding: string, body: Buffer | string): Promise<Got> {
    const answer = await fetch(`${bed.app.url}/graphql`, {
      method: 'POST',
      headers: { ...JSON_TYPE, 'content-encoding': encoding },
      body: typeof body === 'string' ? body : Uint8Array.from(body),
    });
    return { status: answer.status, headers: {}, bytes: Buffer.from(await answer.arrayBuffer()) };
  }

  it.each(encoded)('are decoded: %s', async (encoding, body) => {
    const { status, bytes } = await send(await beds.shared(), encoding, body);
    expect([status, JSON.parse(bytes.toString())]).toEqual([200, { data: { __typename: 'Query' } }]);
  });

  it.each<[string, string, Buffer | string, number]>([
    ['an unknown coding', 'zstd', TYPENAME, 415],
    ['a known and an unknown one', 'gzip, aes128gcm', gzipSync(TYPENAME), 415],
    ['too many codings', 'gzip, gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(gzipSync(TYPENAME)))), 415],
    ['what is not in its coding', 'gzip', TYPENAME, 400],
    ['what ends early', 'gzip', gzipSync(TYPENAME).subarray(0, -9), 400],
    ['what was decoded already', 'br', gzipSync(TYPENAME), 400],
    ['no JSON', 'gzip', gzipSync('{"query'), 400],
    ['a bomb', 'gzip', gzipSync(Buffer.alloc(100_000_000, ' ')), 413],
    ['a bomb in brotli', 'br', brotliCompressSync(Buffer.alloc(100_000_000, ' ')), 413],
    ['a bomb in a bomb', 'gzip, gzip', gzipSync(gzipSync(Buffer.alloc(400_000_000, ' '))), 413],
    ['nothing, blown up', 'gzip, gzip', gzipSync(Buffer.concat(new Array<Buffer>(500_000).fill(gzipSync('')))), 413],
  ])('are refused as GraphQL responses: %s', async (_name, encoding, body, expected) => {
    const bed = await beds.shared();
    const { status, bytes } = await send(bed, encoding, body);
    const { errors }: { errors: Array<{ extensions: { code: string } }> } = JSON.parse(bytes.toString());
    expect([status, errors.length]).toEqual([expected, 1]);
    expect((await bed.post(TYPENAME)).status).toBe(200);
  });

  // Fastify attaches no listener to a body that it refuses by its headers.
  it.each<[string, readonly string[], string]>([
    ['a coding that is none', ['Content-Type: x/y', 'Content-Encoding: gzip', 'Content-Length: 9'], 'not coded'],
    ['one that is too long', [JSON_LINE, 'Content-Encoding: gzip', 'Content-Length: 9999999999'], 'not coded'],
    ['one that ends early', ['Content-Type: x/y', 'Transfer-Encoding: chunked'], '5\r\nearly\r\n'],
    ['one that ends early, in a coding', ['Content-Type: x/y', 'Content-Encoding: br', 'Content-Length: 9'], ''],
  ])('that are never read end only their request: %s', async (_name, headers, body) => {
    const bed = await beds.shared();
    const unhandled = watchUnhandled();
    const client = await RawClient.open(bed.app.url);
    client.send(['POST /graphql HTTP/1.1', 'Host: localhost', ...headers, '', body].join('\r\n'));
    await until('an answer', async () => client.status > 0);
    client.socket.destroy();
    await client.closed();
    expect([413, 415]).toContain(client.status);
    expect((await bed.post(TYPENAME)).status).toBe(200);
    await sleep(50);
    unhandled.stop();
    expect(unhandled.seen).toEqual([]);
  });

  it('count with their decoded length', async () => {
    const bed = await beds.own({ config: { limits: { bodyBytes: 2_000 } } });
    const body = (length: number) => JSON.stringify({ query: `{ __typename } #${' '.repeat(length)}` });
    for (const encode of [(text: string) => gzipSync(text), (text: string) => brotliCompressSync(text)]) {
      const encoding = encode === undefined ? '' : encode('')[0] === 0x1f ? 'gzip' : 'br';
      expect((await send(bed, encoding, encode(body(1_900)))).status).toBe(200);
      expect((await send(bed, encoding, encode(body(2_000)))).status).toBe(413);
    }
    expect((await bed.post(body(2_000))).status).toBe(413);
  });
});

describe('the time of a request', () => {
  const hasty = useBeds({ config: { server: { port: 0, requestTimeout: '500ms' } } });

  it.each(['/graphql', '/webhooks/wa', '/media/x/y', '/livez', '/nowhere'])(
    'ends with the connection, for headers and for a body that come slowly: %s',
    async (path) => {
      const bed = await hasty.shared();
      const heads = await RawClient.open(bed.app.url);
      heads.send(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-Slow: `);
      const bodies = await RawClient.open(bed.app.url);
      bodies.send(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n`,
      );
      const silent = await RawClient.open(bed.app.url);
      const drip = setInterval(() => {
        for (const client of [heads, bodies]) if (!client.isClosed) client.send('x');
      }, 50);
      await Promise.all([heads.closed(), bodies.closed(), silent.closed()]);
      clearInterval(drip);
      expect(heads.received).not.toMatch(/ 200 /);
    },
    60_000,
  );

  it('is 30 seconds by default, and a longer answer is not cut', async () => {
    const bed = await beds.own({ config: { server: { port: 0, requestTimeout: '1s' } } });
    bed.signalwire.latencyMs = 2_500;
    const id = receive(bed, 'signalwire');
    const { errors } = await bed.query('query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id } } }', {
      ids: [id],
    });
    expect(errors).toEqual([]);
    expect((await beds.shared()).config.server.requestTimeoutMs).toBe(30_000);
  });

  it('is not counted for bytes that are not HTTP, which are not logged', async () => {
    const bed = await beds.own();
    const texts = [
      '\x16\x03\x01\x02\x00\x01\x00',
      'secret-word-of-a-stranger\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      '\0\0\0\0',
    ];
    for (const text of texts) {
      const client = await RawClient.open(bed.app.url);
      client.send(text);
      await client.closed();
      expect([text, client.status]).toEqual([text, 400]);
    }
    expect(bed.logLines.some((line) => line.includes('secret-word-of-a-stranger'))).toBe(false);
    expect((await bed.get('/livez')).status).toBe(200);
  });

  it('is 431 for headers above 16 kB', async () => {
    const bed = await beds.shared();
    const ask = (length: number) =>
      sendRaw(bed.app.url, ['GET /livez HTTP/1.1', 'Host: localhost', `X-Long: ${'x'.repeat(length)}`]);
    expect((await ask(15_000)).status).toBe(200);
    expect((await ask(17_000)).status).toBe(431);
  });
});

describe('pages of other origins', () => {
  const APP = 'https://app.example.com';
  const preflight = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,x-of-a-client',
  };

  it('are refused unless they are configured', async () => {
    const bed = await beds.shared();
    const got = await bed.get('/graphql', { method: 'OPTIONS', headers: { origin: APP, ...preflight } });
    expect(got.status).toBe(204);
    expect(Object.keys(got.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    const { headers } = await bed.post(TYPENAME, { headers: { origin: APP } });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('that are configured get CORS headers, also on errors', async () => {
    const bed = await beds.own({ config: { auth, server: { port: 0, allowedOrigins: [APP] } } });
    const got = await bed.get('/graphql', { method: 'OPTIONS', headers: { origin: APP, ...preflight } });
    expect([got.status, got.bytes.length]).toEqual([204, 0]);
    expect(got.headers).toMatchObject({ 'access-control-allow-origin': APP, vary: expect.stringMatching(/origin/i) });
    expect(headerOf(got, 'access-control-allow-methods')).toMatch(/GET.*POST/);
    expect(headerOf(got, 'access-control-allow-headers')).toContain('x-of-a-client');
    const headers = { ...JSON_TYPE, origin: APP };
    const answers = [
      await bed.get('/graphql', { method: 'POST', headers: { ...headers, authorization }, body: TYPENAME }),
      await bed.get('/graphql', { method: 'POST', headers, body: TYPENAME }),
      await bed.get('/graphql', { method: 'POST', headers: { ...headers, authorization }, body: '{' }),
      await bed.get('/graphql', {
        method: 'POST',
        headers: { ...headers, authorization, 'content-encoding': 'x' },
        body: '{}',
      }),
      await bed.get('/graphql', {
        method: 'POST',
        headers: { ...headers, authorization, accept: 'text/event-stream' },
        body: TYPENAME,
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 400, 415, 200]);
    for (const answer of answers) {
      expect(headerOf(answer, 'access-control-allow-origin')).toBe(APP);
      expect(headerOf(answer, 'access-control-expose-headers')).toContain('RateLimit, RateLimit-Policy');
    }
    expect(answers.at(-1)?.headers['content-type']).toMatch(/^text\/event-stream/);
  });

  it('that are not configured get no CORS headers', async () => {
    const bed = await beds.own({ config: { server: { port: 0, allowedOrigins: [APP] } } });
    for (const origin of [
      'https://evil.example',
      `${APP}.evil.example`,
      'http://app.example.com',
      'null',
      `${APP}:444`,
    ]) {
      const got = await bed.get('/graphql', { method: 'OPTIONS', headers: { origin, ...preflight } });
      expect([origin, got.headers['access-control-allow-origin']]).toEqual([origin, undefined]);
      const { headers } = await bed.post(TYPENAME, { headers: { origin } });
      expect([origin, headers['access-control-allow-origin']]).toEqual([origin, undefined]);
    }
  });
});

describe('without credentials, a Host', () => {
  const HOSTILE = [
    'evil.example',
    'evil.example:4000',
    'localhost.evil.example',
    'evil-localhost',
    '127.0.0.1.evil.example',
    '0.0.0.0',
    '10.0.0.1',
    '[::]',
    '[2001:db8::1]',
    '[::ffff:10.0.0.1]',
    'localhost@evil.example',
    'localhost, evil.example',
    '127.0.0.1:x',
    '[::1',
    '',
    'a'.repeat(5_000),
  ];
  const KNOWN = [
    'localhost',
    'LOCALHOST:1234',
    'localhost.',
    '127.0.0.1',
    '127.8.9.1:80',
    '[::1]',
    '[0:0:0:0:0:0:0:1]:4000',
    '[::ffff:127.0.0.1]',
    'app.localhost',
  ];
  const status = async (
    bed: TestBed,
    host: string,
    target = '/graphql?query=%7B__typename%7D',
    more: readonly string[] = [],
  ) =>
    (await sendRaw(bed.app.url, [`GET ${target} HTTP/1.1`, `Host: ${host}`, 'Apollo-Require-Preflight: 1', ...more]))
      .status;

  it('that is not this machine is 403 on routes with data', async () => {
    const bed = await beds.shared();
    for (const host of HOSTILE) {
      for (const target of ['/graphql?query=%7B__typename%7D', '/metrics', '/nowhere'])
        expect([host, target, await status(bed, host, target)]).toEqual([host, target, 403]);
    }
    for (const host of KNOWN) expect([host, await status(bed, host)]).toEqual([host, 200]);
  });

  it('can have any value on the routes that links, providers and orchestrators use', async () => {
    const bed = await beds.shared();
    for (const [target, expected] of [
      ['/livez', 200],
      ['/readyz', 200],
      ['/webhooks/wa', 404],
      ['/media/x/y', 403],
    ] as const) {
      const client = await sendRaw(bed.app.url, [`GET ${target} HTTP/1.1`, 'Host: evil.example']);
      expect([target, client.status]).toEqual([target, expected]);
      if (target.startsWith('/media')) expect(client.received).toContain('SIGNATURE_INVALID');
    }
  });

  it('can be the public one, in any spelling', async () => {
    const bed = await beds.own({ config: { server: { port: 0, publicUrl: 'https://media.example.com:8443' } } });
    for (const host of ['media.example.com', 'MEDIA.example.COM:8443', 'media.example.com.', 'localhost'])
      expect([host, await status(bed, host)]).toEqual([host, 200]);
    for (const host of ['example.com', 'evil-media.example.com', 'media.example.com.evil.example'])
      expect([host, await status(bed, host)]).toEqual([host, 403]);
  });

  it('must be a single one, and agree with the target and a trusted proxy', async () => {
    const bed = await beds.shared();
    expect(await status(bed, 'localhost', '/graphql?query=%7B__typename%7D', ['Host: evil.example'])).toBe(403);
    expect(await status(bed, 'localhost', 'http://evil.example/graphql?query=%7B__typename%7D')).not.toBe(200);
    expect(await status(bed, 'evil.example', 'http://localhost/graphql?query=%7B__typename%7D')).not.toBe(200);
    expect(await status(bed, 'localhost', undefined, ['X-Forwarded-Host: evil.example'])).toBe(200);
    expect((await sendRaw(bed.app.url, ['GET /graphql?query=%7B__typename%7D HTTP/1.0'])).received).toMatch(/ 403 /);
    const behind = await beds.own({
      config: { server: { port: 0, trustProxy: true, publicUrl: 'https://media.example.com' } },
    });
    expect(await status(behind, 'localhost', undefined, ['X-Forwarded-Host: evil.example'])).toBe(403);
    expect(await status(behind, 'localhost', undefined, ['X-Forwarded-Host: media.example.com, evil.example'])).toBe(
      403,
    );
    expect(await status(behind, 'localhost', undefined, ['X-Forwarded-Host: media.example.com'])).toBe(200);
    expect(await status(behind, 'evil.example', undefined, ['X-Forwarded-Host: media.example.com'])).toBe(403);
  });

  it('is checked before a body is read, and before a socket is opened', async () => {
    const bed = await beds.shared();
    const client = await RawClient.open(bed.app.url);
    client.send('POST /graphql HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n{');
    await client.closed();
    expect(client.status).toBe(403);
    const upgrade = (host: string) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(`${bed.app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
          headers: { host },
        });
        socket.once('open', () => {
          socket.close();
          resolve(101);
        });
        socket.once('unexpected-response', (_request, response) => {
          resolve(response.statusCode ?? 0);
          response.destroy();
        });
        socket.on('error', () => {});
      });
    expect([await upgrade('evil.example'), await upgrade('localhost')]).toEqual([403, 101]);
  });

  it('can have any value when access is open on purpose or requires credentials', async () => {
    const open = await beds.own({ config: { auth: { allowOpen: true } } });
    expect(await status(open, 'media.internal')).toBe(200);
    const keyed = await beds.own({ config: { auth } });
    expect(await status(keyed, 'media.internal', undefined, [`Authorization: ${authorization}`])).toBe(200);
  });
});

describe('/metrics on the main port', () => {
  it('does not exist when callers need keys and it has no token', async () => {
    const bed = await beds.own({ config: { auth } });
    const callers: readonly Headers[] = [{}, { authorization }];
    for (const headers of callers) expect((await bed.get('/metrics', { headers })).status).toBe(404);
  });

  it('requires its token', async () => {
    const bed = await beds.own({ config: { auth, metrics: { token: 'the token of a scraper' } } });
    const wanted = { authorization: 'Bearer the-token' };
    const own = await beds.own({ config: { auth, metrics: { token: 'the-token' } } });
    const refused: readonly Headers[] = [
      {},
      { authorization },
      { authorization: 'Bearer the-tokem' },
      { authorization: 'the-token' },
    ];
    for (const headers of refused) {
      const got = await own.get('/metrics', { headers });
      expect([got.status, errorOf(got).code]).toEqual([401, 'UNAUTHENTICATED']);
      expect(got.bytes.toString()).not.toContain('mediagraph_');
    }
    const got = await own.get('/metrics', { headers: wanted });
    expect([got.status, got.bytes.toString().includes('mediagraph_')]).toEqual([200, true]);
    // It opens nothing else.
    expect((await own.post(TYPENAME, { headers: wanted })).status).toBe(401);
    expect((await bed.get('/metrics', { headers: wanted })).status).toBe(401);
  });

  it('is open when everything is', async () => {
    expect((await (await beds.shared()).get('/metrics')).status).toBe(200);
  });
});

describe('an unknown address below /media', () => {
  it('has the same answer for every channel, origin and method', async () => {
    const shared = await beds.shared();
    const bed = await beds.own({
      config: {
        delivery: {
          allowedOrigins: { default: ['https://app.example.com'], globex: ['https://globex.example'] },
          signingKeys: [{ id: 'k1', secret: 'a-secret-of-these-tests-0123456789' }],
        },
        channels: [kirimChannel(shared.kirim.baseUrl, { id: 'theirs', tenant: 'globex' })],
      },
    });
    const genuine = await bed.pathOf(receive(bed, 'signalwire'));
    const forged = [
      genuine.replace(/sig=./, (part) => `${part}x`),
      genuine.split('?')[0] ?? '',
      genuine.replace('exp=', 'exp=1'),
      '/media/AQJ3YQ/x.jpg',
      '/media/x/y?exp=1&kid=k1&sig=x',
      '/media/',
    ];
    const origins = [undefined, 'https://app.example.com', 'https://globex.example', 'https://evil.example', 'null'];
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST'] as const) {
      const answers = new Set<string>();
      for (const path of forged)
        for (const origin of origins) {
          const { status, headers, bytes } = await bed.get(path, {
            method,
            headers: origin === undefined ? {} : { origin, 'access-control-request-method': 'GET' },
          });
          const { date: _date, 'x-request-id': _id, ...rest } = headers;
          answers.add(JSON.stringify([status, rest, bytes.toString().replace(/"requestId":"[^"]*"/, '')]));
        }
      expect([method, [...answers]]).toEqual([method, [expect.any(String)]]);
    }
    const allowed = await bed.get(genuine, { method: 'OPTIONS', headers: { origin: 'https://app.example.com' } });
    expect([allowed.status, headerOf(allowed, 'access-control-allow-origin')]).toEqual([
      204,
      'https://app.example.com',
    ]);
    const other = await bed.get(genuine, { method: 'OPTIONS', headers: { origin: 'https://globex.example' } });
    expect(other.headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('a body with a key', () => {
  it('is refused when its tenant has too many under way', async () => {
    const bed = await beds.own({ config: { auth, limits: { bodyBytes: '8MB' } } });
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(bed.app.url)));
    for (const client of clients) {
      client.send(
        `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 7900000\r\n\r\n`,
      );
      client.send(' '.repeat(7_500_000));
    }
    await until('one to be refused', async () => clients.some(({ status }) => status === 429), 30_000);
    const refused = clients.filter(({ status }) => status === 429);
    expect(refused[0]?.received).toMatch(/retry-after: \d/i);
    for (const client of clients) client.end();
    await sleep(50);
    await until(
      'room for another',
      async () => (await bed.post(TYPENAME, { headers: { authorization } })).status === 200,
      30_000,
    );
  }, 90_000);
});
