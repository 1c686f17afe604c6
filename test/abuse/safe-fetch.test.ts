import type { LookupAddress } from 'node:dns';
import { getEventListeners } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type LookupFunction, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { errors } from 'undici';
import { MediagraphError } from '../../src/model/errors.js';
import { createGuardedAgent } from '../../src/net/guarded/guarded-agent.js';
import { AddressPolicy, type AddressRefusal } from '../../src/net/guarded/public-address.js';
import { SafeFetch, type SafeFetchOptions, type SafeFetchResponse } from '../../src/net/guarded/safe-fetch.js';
import { byteLimit, silenceLimit } from '../../src/streams/byte-limit.js';
import { NetError, toNetError } from '../../src/streams/net-error.js';

// 127.0.0.1 is "public" in most tests; everything else on loopback, where the canary listens too, is inside.
const loopback = new AddressPolicy({ allowPrivate: ['127.0.0.1/32'], allowedPorts: [80, 443] });
const strict = new AddressPolicy({ allowPrivate: [], allowedPorts: [80, 443] });

interface TestServer {
  readonly port: number;
  readonly origin: string;
  /** Connections ever accepted. */
  connections: number;
  readonly open: Set<Socket>;
  close(): Promise<void>;
}

const servers: TestServer[] = [];
const fetches: SafeFetch[] = [];
const unhandled: unknown[] = [];
const noteUnhandled = (thrown: unknown) => unhandled.push(thrown);

beforeAll(() => {
  process.on('unhandledRejection', noteUnhandled).on('uncaughtException', noteUnhandled);
});

afterAll(() => {
  process.off('unhandledRejection', noteUnhandled).off('uncaughtException', noteUnhandled);
});

afterEach(async () => {
  await Promise.all(fetches.splice(0).map((fetch) => fetch.close()));
  const stillOpen = await Promise.all(servers.map((server) => eventually(() => server.open.size === 0)));
  await Promise.all(servers.splice(0).map((server) => server.close()));
  expect(stillOpen.every(Boolean)).toBe(true);
  expect(unhandled.splice(0)).toEqual([]);
});

async function listen(server: Server, host = '127.0.0.1'): Promise<TestServer> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected the server to listen on TCP');
  const { port } = address;
  const started: TestServer = {
    port,
    origin: `http://127.0.0.1:${port}`,
    connections: 0,
    open: new Set(),
    close: async () => {
      for (const socket of started.open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on('connection', (socket: Socket) => {
    started.connections += 1;
    started.open.add(socket);
    socket.on('error', () => {}).on('close', () => started.open.delete(socket));
  });
  servers.push(started);
  return started;
}

const serve = (listener: RequestListener, host?: string) => listen(createServer(listener), host);

/** Answers every connection with these bytes and leaves it open, or does what the function does. */
const serveRaw = (answer: string | ((socket: Socket) => void)) =>
  listen(
    createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => (typeof answer === 'string' ? socket.write(answer) : answer(socket)));
    }),
  );

/** Listens on every address of this host, so that every stray connection arrives here. */
const serveCanary = () => serve((_request, response) => response.end('the inside'), '0.0.0.0');

function newFetch(options: Partial<SafeFetchOptions> = {}): SafeFetch {
  const fetch = new SafeFetch({
    policy: loopback,
    headersTimeoutMs: 2_000,
    silenceTimeoutMs: 2_000,
    userAgent: 'mediagraph-test',
    ...options,
  });
  fetches.push(fetch);
  return fetch;
}

async function eventually(condition: () => boolean, withinMs = 1_000): Promise<boolean> {
  for (const end = Date.now() + withinMs; !condition() && Date.now() < end; ) await sleep(5);
  return condition();
}

async function text(body: Readable): Promise<string> {
  let read = '';
  for await (const chunk of body) read += chunk;
  return read;
}

/** The error that the work ends with; fails the test if it does not. */
async function failure(work: Promise<unknown>): Promise<Error & { code?: unknown }> {
  return work.then(
    () => {
      throw new Error('expected a failure, got success');
    },
    (thrown) => thrown,
  );
}

const codeOf = async (work: Promise<unknown>) => (await failure(work)).code;
const bodyCodeOf = async ({ body }: SafeFetchResponse) => codeOf(text(body));

/** A resolver that answers the n-th look-up with the n-th list (the last one again), and counts look-ups. */
function resolver(...answers: string[][]): { lookup: LookupFunction; lookups: string[] } {
  const lookups: string[] = [];
  const lookup: LookupFunction = (hostname, _options, callback) => {
    const answer = answers[Math.min(lookups.length, answers.length - 1)] ?? [];
    lookups.push(hostname);
    const addresses: LookupAddress[] = answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    process.nextTick(callback, null, addresses);
  };
  return { lookup, lookups };
}

const neverResolves: LookupFunction = () => {};

describe('a plain fetch', () => {
  test('gives status, headers, bytes and the final address', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(203, { 'content-type': 'image/png', 'x-a': '1', 'content-length': 5 }).end('bytes');
    });
    const response = await newFetch().open(`${server.origin}/a?b=c#d`, { maxBytes: 100 });
    expect(response.statusCode).toBe(203);
    expect(response.headers).toMatchObject({ 'content-type': 'image/png', 'x-a': '1', 'content-length': '5' });
    expect(response.url.href).toBe(`${server.origin}/a?b=c#d`);
    expect(await text(response.body)).toBe('bytes');
  });

  test.each([304, 400, 404, 500])('resolves on status %i', async (status) => {
    const server = await serve((_request, response) => response.writeHead(status).end());
    const response = await newFetch().open(server.origin, { maxBytes: 100 });
    expect(response.statusCode).toBe(status);
    expect(await text(response.body)).toBe('');
  });

  test('sends only the given headers', async () => {
    const seen: unknown[] = [];
    const server = await serve((request, response) => {
      seen.push(request.headers, request.url, request.method);
      response.end();
    });
    const fetch = newFetch();
    (await fetch.open(`${server.origin}/p?q=1#f`, { maxBytes: 1, headers: { range: 'bytes=0-1' } })).body.resume();
    expect(seen).toEqual([
      {
        host: `127.0.0.1:${server.port}`,
        connection: 'keep-alive',
        accept: '*/*',
        'accept-encoding': 'identity',
        'user-agent': 'mediagraph-test',
        range: 'bytes=0-1',
      },
      '/p?q=1',
      'GET',
    ]);
  });

  test.each([
    'authorization',
    'Authorization',
    'cookie',
    'proxy-authorization',
    'token',
    'x-api-key',
    'host',
    'content-length',
  ])('refuses to send %s', async (name) => {
    const server = await serve((_request, response) => response.end());
    const headers: Record<string, string> = { accept: 'image/*', [name]: 'x' };
    expect(await failure(newFetch().open(server.origin, { maxBytes: 1, headers }))).toBeInstanceOf(TypeError);
    expect(server.connections).toBe(0);
  });

  test('HEAD gives the headers, also for a body that is too large, and frees the connection', async () => {
    const server = await serve((_request, response) => response.setHeader('content-length', '1000000').end());
    const fetch = newFetch();
    for (let call = 0; call < 3; call++) {
      const response = await fetch.open(server.origin, { method: 'HEAD', maxBytes: 10 });
      expect(response.headers['content-length']).toBe('1000000');
      expect(await text(response.body)).toBe('');
    }
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });
});

describe('addresses', () => {
  test.each([
    '127.0.0.1',
    '0.0.0.0',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::]',
  ])('never reaches this host as %s', async (host) => {
    const canary = await serveCanary();
    const policy = new AddressPolicy({ allowPrivate: [], allowedPorts: [canary.port] });
    const fetch = newFetch({ policy });
    expect(await codeOf(fetch.open(`http://${host}:${canary.port}/`, { maxBytes: 10 }))).toBe('URL_NOT_ALLOWED');
    expect(canary.connections).toBe(0);
  });

  test('the agent judges literal addresses itself, without help of its caller', async () => {
    const canary = await serveCanary();
    const agent = createGuardedAgent({ policy: strict, connectTimeoutMs: 500 });
    for (const host of ['127.0.0.1', '2130706433', '[::1]', '[::ffff:7f00:1]']) {
      const thrown = await failure(
        agent.request({ origin: `http://${host}:${canary.port}`, path: '/', method: 'GET' }),
      );
      expect(thrown).toBeInstanceOf(MediagraphError);
      expect(thrown.code).toBe('URL_NOT_ALLOWED');
    }
    await agent.destroy();
    expect(canary.connections).toBe(0);
  });

  test.each([
    ['loopback', ['127.0.0.2']],
    ['metadata', ['169.254.169.254']],
    ['an IPv6 loopback', ['::1']],
    ['an IPv4-mapped address', ['::ffff:127.0.0.1']],
    ['a NAT64 address', ['64:ff9b::7f00:1']],
    ['a zone', ['fe80::1%1']],
    ['no address at all', ['not-an-address']],
    ['good, then bad', ['127.0.0.1', '127.0.0.2']],
    ['bad, then good', ['10.0.0.1', '127.0.0.1']],
    ['good IPv4, bad IPv6', ['127.0.0.1', '::1']],
    ['a public address on a port that only private ones may use', ['8.8.8.8']],
  ])('refuses a name that resolves to %s', async (_case, addresses) => {
    const canary = await serveCanary();
    const { lookup, lookups } = resolver(addresses);
    const thrown = await failure(newFetch({ lookup }).open(`http://media.example:${canary.port}/`, { maxBytes: 10 }));
    expect(thrown).toBeInstanceOf(MediagraphError);
    expect(thrown.code).toBe('URL_NOT_ALLOWED');
    expect(thrown.message).not.toMatch(/media\.example|127|169|10\.0|::/);
    expect(lookups).toEqual(['media.example']);
    expect(canary.connections).toBe(0);
  });

  test('connects to a name all of whose addresses are allowed, resolving it once', async () => {
    const server = await serve((_request, response) => response.end('bytes'));
    const policy = new AddressPolicy({ allowPrivate: ['127.0.0.0/8'], allowedPorts: [] });
    const { lookup, lookups } = resolver(['127.0.0.1', '127.0.0.2'], ['10.0.0.1']);
    const response = await newFetch({ policy, lookup }).open(`http://media.example:${server.port}/`, { maxBytes: 10 });
    expect(await text(response.body)).toBe('bytes');
    expect(lookups).toHaveLength(1);
  });

  test('judges every new look-up of a name (DNS rebinding)', async () => {
    const server = await serve(
      (_request, response) => response.setHeader('connection', 'close').end('bytes'),
      '0.0.0.0',
    );
    const { lookup, lookups } = resolver(['127.0.0.1'], ['127.0.0.2']);
    const fetch = newFetch({ lookup });
    const url = `http://media.example:${server.port}/`;
    expect(await text((await fetch.open(url, { maxBytes: 10 })).body)).toBe('bytes');
    await eventually(() => server.open.size === 0);
    expect(await codeOf(fetch.open(url, { maxBytes: 10 }))).toBe('URL_NOT_ALLOWED');
    expect(lookups).toHaveLength(2);
    expect(server.connections).toBe(1);
  });

  test('judges a name again after a redirect to itself', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(302, { location: '/inside', connection: 'close' }).end();
    }, '0.0.0.0');
    const { lookup } = resolver(['127.0.0.1'], ['127.0.0.2']);
    const work = newFetch({ lookup }).open(`http://media.example:${server.port}/`, { maxBytes: 10 });
    expect(await codeOf(work)).toBe('URL_NOT_ALLOWED');
    expect(server.connections).toBe(1);
  });

  test('checks the address of the peer again once the connection is established', async () => {
    class ForgetfulPolicy extends AddressPolicy {
      #judged = 0;
      override refusal(): AddressRefusal | null {
        this.#judged += 1;
        return this.#judged === 1 ? null : 'not a public address';
      }
    }
    let requests = 0;
    const server = await serve((_request, response) => {
      requests += 1;
      response.end();
    });
    const policy = new ForgetfulPolicy({ allowPrivate: ['127.0.0.1/32'], allowedPorts: [] });
    const { lookup } = resolver(['127.0.0.1']);
    const fetch = newFetch({ policy, lookup });
    expect(await codeOf(fetch.open(`http://media.example:${server.port}/`, { maxBytes: 10 }))).toBe('URL_NOT_ALLOWED');
    expect(requests).toBe(0);
  });

  test('shares no connection between policies', async () => {
    const server = await serve((_request, response) => response.end('bytes'));
    expect(await text((await newFetch().open(server.origin, { maxBytes: 10 })).body)).toBe('bytes');
    expect(server.open.size).toBe(1);
    expect(await codeOf(newFetch({ policy: strict }).open(server.origin, { maxBytes: 10 }))).toBe('URL_NOT_ALLOWED');
  });

  test('reports a name that does not resolve as a failed connection', async () => {
    const notFound: LookupFunction = (_hostname, _options, callback) =>
      process.nextTick(callback, Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), []);
    for (const lookup of [notFound, resolver([]).lookup]) {
      const thrown = await failure(newFetch({ lookup }).open('http://media.example/', { maxBytes: 10 }));
      expect(thrown).toBeInstanceOf(NetError);
      expect(thrown.code).toBe('CONNECTION');
    }
  });
});

describe('TLS', () => {
  const serveTls = async (names: unknown[]) => {
    const server = await listen(
      createTlsServer({ key: TEST_KEY, cert: TEST_CERT }, (request, response) => {
        names.push(request.socket instanceof TLSSocket && request.socket.servername);
        response.end('bytes');
      }),
    );
    return { server, urlFor: (name: string) => `https://${name}:${server.port}` };
  };

  test('sends the host name by SNI and checks the certificate against it', async () => {
    const names: unknown[] = [];
    const { urlFor } = await serveTls(names);
    const { lookup } = resolver(['127.0.0.1']);
    const agent = createGuardedAgent({ policy: loopback, connectTimeoutMs: 1_000, lookup, ca: TEST_CERT });
    const request = (name: string) => agent.request({ origin: urlFor(name), path: '/', method: 'GET' });
    expect(await (await request('media.example.net')).body.text()).toBe('bytes');
    const thrown = await failure(request('other.example.net'));
    expect(thrown.code).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(toNetError(thrown)).toMatchObject({ code: 'CONNECTION', cause: thrown });
    expect(names).toEqual(['media.example.net']);
    await agent.destroy();
  });

  test('trusts no certificate of an unknown issuer', async () => {
    const names: unknown[] = [];
    const { urlFor } = await serveTls(names);
    const fetch = newFetch({ lookup: resolver(['127.0.0.1']).lookup });
    expect(await codeOf(fetch.open(urlFor('media.example.net'), { maxBytes: 10 }))).toBe('CONNECTION');
    expect(names).toEqual([]);
  });
});

describe('redirects', () => {
  /** `/5` leads to `/4` and so on to `/0`, which answers. */
  const serveChain = (paths: string[] = [], status = 302) =>
    serve((request, response) => {
      paths.push(request.url ?? '');
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('arrived');
      else response.writeHead(status, { location: `/${left - 1}`, 'set-cookie': 'canary=1' }).end('moved');
    });

  test.each([301, 302, 303, 307, 308])('follows five times status %i', async (status) => {
    const server = await serveChain([], status);
    const response = await newFetch().open(`${server.origin}/5`, { maxBytes: 100 });
    expect(await text(response.body)).toBe('arrived');
    expect(response.url.href).toBe(`${server.origin}/0`);
  });

  test('does not follow the sixth', async () => {
    const paths: string[] = [];
    const server = await serveChain(paths);
    expect(await codeOf(newFetch().open(`${server.origin}/6`, { maxBytes: 100 }))).toBe('TOO_MANY_REDIRECTS');
    expect(paths).toEqual(['/6', '/5', '/4', '/3', '/2', '/1']);
  });

  test('follows none when redirects are off', async () => {
    const server = await serveChain();
    expect(await codeOf(newFetch({ maxRedirects: 0 }).open(`${server.origin}/1`, { maxBytes: 100 }))).toBe(
      'TOO_MANY_REDIRECTS',
    );
  });

  test('keeps the method and sends neither cookies nor credentials on any hop', async () => {
    const seen: Array<{ method?: string; headers: object }> = [];
    const other = await serve((request, response) => {
      seen.push({ method: request.method, headers: request.headers });
      response.end();
    });
    const server = await serve((request, response) => {
      seen.push({ method: request.method, headers: request.headers });
      const location = request.url === '/' ? '/again' : `${other.origin}/`;
      response.writeHead(307, { location, 'set-cookie': 'canary=1', 'www-authenticate': 'Basic realm="x"' }).end();
    });
    await newFetch().open(server.origin, { method: 'HEAD', maxBytes: 1 });
    expect(seen).toHaveLength(3);
    for (const { method, headers } of seen) {
      expect(method).toBe('HEAD');
      expect(Object.keys(headers).sort()).toEqual(['accept', 'accept-encoding', 'connection', 'host', 'user-agent']);
    }
  });

  test.each([
    (port: number) => `http://127.0.0.2:${port}/`,
    (port: number) => `//127.0.0.2:${port}/`,
    (port: number) => `http://0177.0.0.1:${port}/`,
    (port: number) => `http://127.1:${port}/`,
    (port: number) => `http://0.0.0.0:${port}/`,
    (port: number) => `http://[::ffff:127.0.0.1]:${port}/`,
    (port: number) => `http://inside.example:${port}/`,
    (port: number) => `http://user:password@127.0.0.1:${port}/`,
    (port: number) => `http://user@127.0.0.1:${port}/`,
    (port: number) => `http:127.0.0.1:${port}`,
    (port: number) => `http://8.8.8.8:${port}/`,
    (port: number) => `ftp://127.0.0.1:${port}/`,
    (port: number) => `gopher://127.0.0.1:${port}/`,
    (port: number) => `/\\127.0.0.2:${port}/`,
    () => 'file:///etc/passwd',
    () => 'data:text/plain,x',
    () => 'http://169.254.169.254/latest/meta-data/',
    () => 'http://[::1',
  ])('refuses a chain that ends inside (%#)', async (locationFor) => {
    const canary = await serveCanary();
    const server = await serve((request, response) => {
      response.writeHead(302, { location: request.url === '/' ? '/2' : locationFor(canary.port) }).end();
    });
    const { lookup } = resolver(['127.0.0.2']);
    const thrown = await failure(newFetch({ lookup }).open(server.origin, { maxBytes: 10 }));
    expect(thrown).toBeInstanceOf(MediagraphError);
    expect(thrown.code).toBe('URL_NOT_ALLOWED');
    expect(canary.connections).toBe(0);
  });

  test.each([
    ['no Location', ''],
    ['an empty Location', 'Location: \r\n'],
    ['two Locations', 'Location: /a\r\nLocation: /b\r\n'],
  ])('rejects a redirect with %s', async (_case, header) => {
    const server = await serveRaw(`HTTP/1.1 302 Found\r\nContent-Length: 0\r\n${header}\r\n`);
    expect(await codeOf(newFetch().open(server.origin, { maxBytes: 10 }))).toBe('BAD_REDIRECT');
  });

  test('does not read the endless body of a redirect', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/end') response.end('arrived');
      else endless(response.writeHead(302, { location: '/end' }));
    });
    const response = await newFetch().open(server.origin, { maxBytes: 10 });
    expect(await text(response.body)).toBe('arrived');
    expect(await eventually(() => server.open.size <= 1)).toBe(true);
  });

  test('has one time limit for all hops', async () => {
    const server = await serve((_request, response) => {
      setTimeout(() => response.writeHead(302, { location: '/' }).end(), 60);
    });
    const started = performance.now();
    expect(await codeOf(newFetch({ headersTimeoutMs: 150 }).open(server.origin, { maxBytes: 10 }))).toBe('TIMEOUT');
    expect(performance.now() - started).toBeLessThan(900);
  });
});

/** Writes until the connection ends. */
function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024);
  const write = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', write);
  write();
}

describe('size', () => {
  test('passes exactly the limit and fails at one byte more, also without a Content-Length', async () => {
    const server = await serve((request, response) => {
      response.write('x'.repeat(50));
      response.end('x'.repeat(Number(request.url?.slice(1)) - 50));
    });
    const fetch = newFetch();
    expect(await text((await fetch.open(`${server.origin}/100`, { maxBytes: 100 })).body)).toHaveLength(100);
    expect(await bodyCodeOf(await fetch.open(`${server.origin}/101`, { maxBytes: 100 }))).toBe('RESPONSE_TOO_LARGE');
  });

  test('rejects an announced size at once and closes the connection', async () => {
    const server = await serve((_request, response) => endless(response.setHeader('content-length', 1_000_000_000)));
    expect(await codeOf(newFetch().open(server.origin, { maxBytes: 999_999_999 }))).toBe('RESPONSE_TOO_LARGE');
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test('reports the status of a long error page', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(404, { 'content-length': 200 }).end('x'.repeat(200)),
    );
    const response = await newFetch().open(server.origin, { maxBytes: 100 });
    expect(response.statusCode).toBe(404);
    expect(await bodyCodeOf(response)).toBe('RESPONSE_TOO_LARGE');
  });

  test('fails an endless body and closes the connection', async () => {
    const server = await serve((_request, response) => endless(response));
    const { body } = await newFetch().open(server.origin, { maxBytes: 1_000_000 });
    let read = 0;
    const thrown = await failure(
      (async () => {
        for await (const chunk of body) read += chunk.length;
      })(),
    );
    expect(thrown.code).toBe('RESPONSE_TOO_LARGE');
    expect(read).toBeLessThanOrEqual(1_000_000);
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d as a limit', async (maxBytes) => {
    const server = await serve((_request, response) => response.end('bytes'));
    expect(await failure(newFetch().open(server.origin, { maxBytes }))).toBeInstanceOf(RangeError);
    expect(server.connections).toBe(0);
  });

  test('byteLimit passes nothing of the chunk that crosses it, and fails with the error it was given', async () => {
    const own = new Error('own');
    const limit = byteLimit(3, () => own);
    limit.write('ab');
    limit.write('cde');
    let read = '';
    const thrown = await failure(
      (async () => {
        for await (const chunk of limit) read += chunk;
      })(),
    );
    expect(thrown).toBe(own);
    expect('ab'.startsWith(read)).toBe(true);
  });
});

describe('broken bodies', () => {
  test.each([
    [
      'the connection closes early',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345'),
    ],
    [
      'the connection is reset',
      (socket: Socket) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345', () =>
          setTimeout(() => socket.resetAndDestroy(), 20),
        ),
    ],
    [
      'chunks end early',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n'),
    ],
    [
      'a chunk ends early',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n12345'),
    ],
    [
      'a chunk has no size',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n12345'),
    ],
  ])('fail, never end, when %s', async (_case, answer) => {
    const server = await serveRaw(answer);
    const work = newFetch()
      .open(server.origin, { maxBytes: 1_000 })
      .then(({ body }) => text(body));
    const thrown = await failure(work);
    expect(thrown).toBeInstanceOf(NetError);
    expect(['CONNECTION', 'BAD_RESPONSE']).toContain(thrown.code);
  });

  test('are not continued by bytes beyond the Content-Length', async () => {
    const server = await serveRaw(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    );
    const fetch = newFetch();
    expect(await text((await fetch.open(server.origin, { maxBytes: 10 })).body)).toBe('12345');
    expect(await text((await fetch.open(server.origin, { maxBytes: 10 })).body)).toBe('12345');
    expect(server.connections).toBe(2);
  });
});

describe('broken responses', () => {
  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'BAD_RESPONSE'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 'BAD_RESPONSE'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'BAD_RESPONSE',
    ],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'BAD_RESPONSE'],
    ['headers without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`, 'BAD_RESPONSE'],
    ['a close before headers', (socket: Socket) => socket.end(), 'CONNECTION'],
    ['a reset before headers', (socket: Socket) => socket.resetAndDestroy(), 'CONNECTION'],
  ] satisfies Array<[string, string | ((socket: Socket) => void), string]>)('%s', async (_case, answer, code) => {
    const server = await serveRaw(answer);
    const thrown = await failure(newFetch().open(server.origin, { maxBytes: 1_000 }));
    expect(thrown).toBeInstanceOf(NetError);
    expect(thrown.code).toBe(code);
  });

  test.each([
    ['is closed', (socket: Socket) => socket.end()],
    ['is reset', (socket: Socket) => socket.resetAndDestroy()],
  ] satisfies Array<[string, (socket: Socket) => void]>)(
    'a kept connection that %s when it is reused is no failure: the request is sent once more',
    async (_case, end) => {
      const served = new WeakSet<Socket>();
      let ended = 0;
      const server = await serve((request, response) => {
        if (served.has(request.socket)) {
          ended += 1;
          return void end(request.socket);
        }
        served.add(request.socket);
        response.end('bytes');
      });
      const fetch = newFetch();
      // A connection is there to be used again a moment after its body was read.
      for (let call = 0; call < 100 && ended === 0; call++) {
        const { body } = await fetch.open(server.origin, { maxBytes: 1_000 });
        expect(await text(body)).toBe('bytes');
        await sleep(5);
      }
      expect(ended).toBe(1);
    },
  );

  test('a server that ends every connection gets two requests', async () => {
    const server = await serveRaw((socket) => socket.resetAndDestroy());
    expect(await codeOf(newFetch().open(server.origin, { maxBytes: 10 }))).toBe('CONNECTION');
    expect(server.connections).toBe(2);
  });

  test('a refused connection', async () => {
    const server = await serve((_request, response) => response.end());
    await server.close();
    expect(await codeOf(newFetch().open(server.origin, { maxBytes: 10 }))).toBe('CONNECTION');
  });
});

describe('time', () => {
  const timed = async (work: Promise<unknown>) => {
    const started = performance.now();
    const thrown = await failure(work);
    // undici's own clock would need a second.
    expect(performance.now() - started).toBeLessThan(900);
    expect(thrown).toBeInstanceOf(NetError);
    return thrown.code;
  };

  test('ends the wait for a silent server', async () => {
    const server = await serveRaw(() => {});
    expect(await timed(newFetch({ headersTimeoutMs: 100 }).open(server.origin, { maxBytes: 10 }))).toBe('TIMEOUT');
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test('ends the wait for a name that does not resolve', async () => {
    const fetch = newFetch({ headersTimeoutMs: 100, lookup: neverResolves });
    expect(await timed(fetch.open('http://media.example/', { maxBytes: 10 }))).toBe('TIMEOUT');
  });

  test('ends the wait for headers that trickle or are only ever interim (RFC 9110 section 15.2)', async () => {
    for (const piece of ['X: y\r\n', 'HTTP/1.1 103 Early Hints\r\n\r\n']) {
      const server = await serveRaw((socket) => {
        if (piece.startsWith('X')) socket.write('HTTP/1.1 200 OK\r\n');
        const timer = setInterval(() => socket.write(piece), 20);
        socket.on('close', () => clearInterval(timer));
      });
      expect(await timed(newFetch({ headersTimeoutMs: 100 }).open(server.origin, { maxBytes: 10 }))).toBe('TIMEOUT');
    }
  });

  test('fails a body that falls silent, and closes the connection', async () => {
    const server = await serve((_request, response) => response.write('some'));
    const { body } = await newFetch({ silenceTimeoutMs: 100 }).open(server.origin, { maxBytes: 10 });
    expect(await timed(text(body))).toBe('TIMEOUT');
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test('accepts a slow body that is never silent', async () => {
    const server = await serve(async (_request, response) => {
      for (let piece = 0; piece < 8; piece++) {
        response.write('x');
        await sleep(40);
      }
      response.end();
    });
    const { body } = await newFetch({ headersTimeoutMs: 200, silenceTimeoutMs: 200 }).open(server.origin, {
      maxBytes: 10,
    });
    expect(await text(body)).toBe('xxxxxxxx');
  });

  test('does not blame the server for a slow reader', async () => {
    const size = 8_000_000;
    const server = await serve((_request, response) => response.end(Buffer.alloc(size)));
    const { body } = await newFetch({ silenceTimeoutMs: 150 }).open(server.origin, { maxBytes: size });
    await sleep(250);
    let read = 0;
    let pauses = 1;
    for await (const chunk of body) {
      read += chunk.length;
      if (read > 1_000_000 && pauses-- > 0) await sleep(250);
    }
    expect(read).toBe(size);
  });

  test('restarts the silence timer when a slow reader reads again', async () => {
    const server = await serve((_request, response) => response.write(Buffer.alloc(2_000_000)));
    const { body } = await newFetch({ silenceTimeoutMs: 100 }).open(server.origin, { maxBytes: 10_000_000 });
    await sleep(150);
    expect(body.errored).toBeNull();
    expect(await timed(text(body))).toBe('TIMEOUT');
  });

  test('starts the silence timer once a slow reader has taken the last byte', async () => {
    const limit = silenceLimit(60);
    limit.write(Buffer.alloc(limit.readableHighWaterMark));
    await sleep(120);
    expect(limit.errored).toBeNull();
    expect(await timed(text(limit))).toBe('TIMEOUT');
  });

  test('has no limit after the last byte', async () => {
    const limit = silenceLimit(40);
    limit.end('bytes');
    await sleep(100);
    expect(await text(limit)).toBe('bytes');
  });

  test('has a deadline for the whole fetch, for bodies that trickle', async () => {
    const server = await serve((_request, response) => {
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    });
    const work = newFetch().open(server.origin, { maxBytes: 1_000, deadlineMs: 150 });
    expect(await timed(work.then(({ body }) => text(body)))).toBe('TIMEOUT');
  });
});

describe('abort', () => {
  const reason = new Error('the caller went away');
  const abortSoon = (afterMs = 40) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), afterMs);
    return controller.signal;
  };
  const listenersOf = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

  test('before the call: nothing is sent', async () => {
    const server = await serve((_request, response) => response.end());
    expect(await failure(newFetch().open(server.origin, { maxBytes: 10, signal: AbortSignal.abort(reason) }))).toBe(
      reason,
    );
    expect(server.connections).toBe(0);
  });

  test('while the name resolves', async () => {
    const signal = abortSoon();
    expect(
      await failure(newFetch({ lookup: neverResolves }).open('http://media.example/', { maxBytes: 10, signal })),
    ).toBe(reason);
    expect(listenersOf(signal)).toBe(0);
  });

  test('while headers are awaited', async () => {
    const server = await serveRaw(() => {});
    const signal = abortSoon();
    expect(await failure(newFetch().open(server.origin, { maxBytes: 10, signal }))).toBe(reason);
    expect(listenersOf(signal)).toBe(0);
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test('in the middle of a chain', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/silent' }).end();
    });
    const signal = abortSoon();
    expect(await failure(newFetch().open(server.origin, { maxBytes: 10, signal }))).toBe(reason);
    expect(listenersOf(signal)).toBe(0);
  });

  test('within the body', async () => {
    const server = await serve((_request, response) => response.write('some'));
    const controller = new AbortController();
    const { signal } = controller;
    const { body } = await newFetch().open(server.origin, { maxBytes: 10, signal });
    expect(listenersOf(signal)).toBe(1);
    setTimeout(() => controller.abort(reason), 40);
    expect(await failure(text(body))).toBe(reason);
    expect(listenersOf(signal)).toBe(0);
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test('when all bytes have arrived and are unread', async () => {
    const server = await serve((_request, response) => response.end('bytes'));
    const controller = new AbortController();
    const { signal } = controller;
    const { body } = await newFetch().open(server.origin, { maxBytes: 10, signal });
    await sleep(80);
    controller.abort(reason);
    expect(await failure(text(body))).toBe(reason);
    expect(listenersOf(signal)).toBe(0);
  });

  test('by a time limit is a timeout; any other reason is thrown unchanged', async () => {
    const server = await serveRaw(() => {});
    const timeout = AbortSignal.timeout(40);
    expect(await codeOf(newFetch().open(server.origin, { maxBytes: 10, signal: timeout }))).toBe('TIMEOUT');
    const thrown = await failure(newFetch().open(server.origin, { maxBytes: 10, signal: AbortSignal.abort() }));
    expect(thrown.name).toBe('AbortError');
  });

  test('leaves no listener on a long-lived signal, whatever the outcome of the calls', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/redirect') response.writeHead(302, { location: 'ftp://x/' });
      response.end('bytes');
    });
    const fetch = newFetch();
    const { signal } = new AbortController();
    await text((await fetch.open(server.origin, { maxBytes: 10, signal })).body);
    await fetch.open(server.origin, { method: 'HEAD', maxBytes: 10, signal });
    (await fetch.open(server.origin, { maxBytes: 10, signal })).body.destroy();
    await failure(fetch.open(server.origin, { maxBytes: 1, signal }));
    await failure(fetch.open(`${server.origin}/redirect`, { maxBytes: 10, signal }));
    await failure(fetch.open('http://127.0.0.2/', { maxBytes: 10, signal }));
    expect(await eventually(() => listenersOf(signal) === 0)).toBe(true);
  });
});

describe('an unread body', () => {
  test('frees its connection when it is destroyed', async () => {
    const server = await serve((_request, response) => endless(response));
    const { body } = await newFetch().open(server.origin, { maxBytes: 1_000_000_000 });
    body.destroy();
    expect(await eventually(() => server.open.size === 0)).toBe(true);
  });

  test('may fail without an error listener', async () => {
    const server = await serve((_request, response) => {
      response.write('some');
      setTimeout(() => response.destroy(), 20);
    });
    const { body } = await newFetch().open(server.origin, { maxBytes: 10 });
    expect(await eventually(() => body.destroyed)).toBe(true);
    expect(body.errored).toBeInstanceOf(NetError);
    expect(await failure(text(body))).toBeInstanceOf(NetError);
  });

  test('ends with close()', async () => {
    const server = await serve((_request, response) => endless(response));
    const fetch = newFetch();
    const { body } = await fetch.open(server.origin, { maxBytes: 1_000_000_000 });
    const read = failure(text(body));
    await fetch.close();
    expect((await read).code).toBe('CONNECTION');
    expect(await codeOf(fetch.open(server.origin, { maxBytes: 10 }))).toBe('CONNECTION');
  });
});

describe('toNetError', () => {
  const withCode = (code: string, name = 'Error') => Object.assign(new Error('10.0.0.1 said no'), { code, name });

  test.each([
    ['headers timeout', new errors.HeadersTimeoutError(), 'TIMEOUT'],
    ['body timeout', new errors.BodyTimeoutError(), 'TIMEOUT'],
    ['connect timeout', new errors.ConnectTimeoutError(), 'TIMEOUT'],
    ['ETIMEDOUT', withCode('ETIMEDOUT'), 'TIMEOUT'],
    ['timeout signal', new DOMException('too late', 'TimeoutError'), 'TIMEOUT'],
    ['closed socket', new errors.SocketError(), 'CONNECTION'],
    ['destroyed client', new errors.ClientDestroyedError(), 'CONNECTION'],
    ['ECONNREFUSED', withCode('ECONNREFUSED'), 'CONNECTION'],
    ['ECONNRESET', withCode('ECONNRESET'), 'CONNECTION'],
    ['ENOTFOUND', withCode('ENOTFOUND'), 'CONNECTION'],
    ['EAI_AGAIN', withCode('EAI_AGAIN'), 'CONNECTION'],
    ['EHOSTUNREACH', withCode('EHOSTUNREACH'), 'CONNECTION'],
    ['CERT_HAS_EXPIRED', withCode('CERT_HAS_EXPIRED'), 'CONNECTION'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', withCode('DEPTH_ZERO_SELF_SIGNED_CERT'), 'CONNECTION'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', withCode('ERR_SSL_WRONG_VERSION_NUMBER'), 'CONNECTION'],
    ['failure of every address', new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')]), 'CONNECTION'],
    ['length mismatch', new errors.ResponseContentLengthMismatchError(), 'BAD_RESPONSE'],
    ['header overflow', new errors.HeadersOverflowError(), 'BAD_RESPONSE'],
    ['parser error with a code', withCode('HPE_INVALID_CONSTANT'), 'BAD_RESPONSE'],
    ['parser error without one', new errors.HTTPParserError(), 'BAD_RESPONSE'],
    ['exceeded size', new errors.ResponseExceededMaxSizeError(), 'RESPONSE_TOO_LARGE'],
  ])('translates %s', (_case, thrown, code) => {
    const translated = toNetError(thrown);
    expect(translated).toBeInstanceOf(NetError);
    expect(translated).toMatchObject({ code, cause: thrown });
    expect(translated.message).not.toContain('10.0.0.1');
  });

  test.each([
    ['a NetError', new NetError('CIRCUIT_OPEN', 'open')],
    ['a MediagraphError', new MediagraphError('URL_NOT_ALLOWED', 'no')],
    ["undici's abort", new errors.RequestAbortedError()],
    ['an abort', new DOMException('stop', 'AbortError')],
    ['a bug', new TypeError('a bug')],
    ['a bug that undici noticed', new errors.InvalidArgumentError('a bug')],
    ["the file system's error", withCode('ENOENT')],
  ])('leaves %s alone', (_case, thrown) => {
    expect(toNetError(thrown)).toBe(thrown);
  });

  test('finds a MediagraphError in the causes, however they are nested', () => {
    const refusal = new MediagraphError('URL_NOT_ALLOWED', 'no');
    expect(toNetError(new Error('a', { cause: new Error('b', { cause: refusal }) }))).toBe(refusal);
    const circle = new Error('circle');
    circle.cause = circle;
    expect(toNetError(circle)).toBe(circle);
  });

  test.each(['text', undefined, null, 7])('makes an Error of %p', (thrown) => {
    expect(toNetError(thrown)).toMatchObject({ cause: thrown, message: expect.stringContaining('expected an Error') });
  });
});

// For media.example.net, signed by itself, of no use anywhere else.
const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2ifWvtz5vbVt911k
lFrGZRPlhpjP/AwJLJZ01JlCBEahRANCAAQ8glgpuc/G4vVikQGh4UyaQwz2nq6k
vhnF08cZ6+T+sO+oE1K2gfMJJSB9+OzF5cxb9k/VPA/CFof689w0CeKM
-----END PRIVATE KEY-----`;
const TEST_CERT = `-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIBATAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFtZWRpYS5l
eGFtcGxlLm5ldDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHDEa
MBgGA1UEAwwRbWVkaWEuZXhhbXBsZS5uZXQwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAQ8glgpuc/G4vVikQGh4UyaQwz2nq6kvhnF08cZ6+T+sO+oE1K2gfMJJSB9
+OzF5cxb9k/VPA/CFof689w0CeKMo1AwTjAcBgNVHREEFTATghFtZWRpYS5leGFt
cGxlLm5ldDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQjFFsf/rqnjv4oUzni
4yeqiFLM2DAKBggqhkjOPQQDAgNJADBGAiEAozFzvECrKPHvEu/jbQjYFu7xrdAl
XEeY6cvdZMzpUAgCIQDBjXt337+HZ3K5OxVwikJpGoobrEjTBUp3h6oRnuQW0Q==
-----END CERTIFICATE-----`;
