import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MediagraphError } from '../../../src/model/errors.js';
import { type MultipartFile, multipartBody } from '../../../src/net/client/multipart.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { type CallPolicy, ProviderHttpClient } from '../../../src/net/client/provider-http-client.js';
import { RequestBodyError } from '../../../src/net/client/request-body.js';

const MB = 1_000_000;
/** More than the buffers of two sockets hold while the receiver does not read. */
const LARGE = 40 * MB;

const cleanups: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

type Handler = (request: IncomingMessage, response: ServerResponse, socket: Socket) => void;

interface Receiver {
  readonly client: ProviderHttpClient;
  /** `METHOD path` of every request. */
  readonly requests: string[];
  /**
   * Reads what is left, so that every close is noticed, and resolves when all connections with a request are closed.
   */
  allClosed(): Promise<void>;
}

/** Starts a server whose handler decides whether a body is read. */
async function startReceiver(handler: Handler, policy: Partial<CallPolicy> = {}): Promise<Receiver> {
  const server = createServer();
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const messages: IncomingMessage[] = [];
  server.on('request', (request, response) => {
    const { socket } = request;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    messages.push(request);
    requests.push(`${request.method} ${request.url}`);
    handler(request, response, socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  const pools = new OriginPools();
  const client = new ProviderHttpClient({
    baseUrl: `http://127.0.0.1:${address.port}`,
    headers: { authorization: 'Bearer t' },
    policy: { timeoutMs: 5_000, retries: 3, maxConcurrency: 4, ...policy },
    pools,
  });
  cleanups.push(
    async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    () => pools.close(),
  );
  const allClosed = async () => {
    for (const message of messages) message.resume();
    for (const socket of sockets) await new Promise((resolve) => socket.once('close', resolve));
  };
  return { client, requests, allClosed };
}

function sourceOf(sizeBytes: number, chunkBytes = 256 * 1024): Readable {
  let left = sizeBytes;
  return new Readable({
    read() {
      const chunk = Buffer.alloc(Math.min(left, chunkBytes), 7);
      left -= chunk.length;
      this.push(chunk.length > 0 ? chunk : null);
    },
  });
}

function fileOf(body: Readable, sizeBytes: number, keys: Partial<MultipartFile> = {}): MultipartFile {
  return { body, sizeBytes, filename: 'photo.jpg', mimeType: 'image/jpeg', ...keys };
}

const post = (client: ProviderHttpClient, file: MultipartFile, signal?: AbortSignal) =>
  client.post({ path: '/media', body: multipartBody({ type: 'x', file }), signal });

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
}

/** Reads the whole body, then answers 200. */
const readAll: Handler = (request, response) => {
  request.resume();
  request.once('end', () => response.end('{}'));
};

describe('a body', () => {
  test('arrives unchanged, with its exact length, for any chunk size', async () => {
    const content = Buffer.from(Array.from({ length: 700_000 }, (_, index) => index % 251));
    let received: Promise<Buffer> | null = null;
    const { client } = await startReceiver((request, response) => {
      expect(request.headers['transfer-encoding']).toBeUndefined();
      expect(request.headers.authorization).toBe('Bearer t');
      received = buffer(request);
      request.once('end', () => response.end(JSON.stringify(request.headers)));
    });
    // Views into the middle of a larger buffer, above and below the encoder's own chunk size.
    const around = Buffer.concat([Buffer.alloc(100, 1), content, Buffer.alloc(100, 2)]);
    const chunks = [
      around.subarray(100, 300_100),
      around.subarray(300_100, 300_101),
      around.subarray(300_101, 700_100),
    ];
    const answer = await post(client, fileOf(Readable.from(chunks, { objectMode: false }), content.length));
    const headers: Record<string, string> = JSON.parse(answer.body.toString());
    const body = (await received) ?? Buffer.alloc(0);
    expect(Number(headers['content-length'])).toBe(body.length);
    const form = await new Response(new Uint8Array(body), {
      headers: { 'content-type': headers['content-type'] ?? '' },
    }).formData();
    const file = form.get('file');
    if (!(file instanceof File)) throw new Error('expected a file');
    expect(form.get('type')).toBe('x');
    expect(file.name).toBe('photo.jpg');
    expect(Buffer.from(await file.arrayBuffer()).equals(content)).toBe(true);
  });

  test.each([
    ['quotes', 'a"; filename="b.exe', 'filename="a%22; filename=%22b.exe"'],
    ['line breaks', 'a\r\nContent-Type: text/html\r\n\r\nb', 'filename="a__Content-Type: text/html____b"'],
    ['a backslash at the end', 'a\\', 'filename="a_"'],
    ['other letters', 'Grüße 📷.jpg', 'filename="Grüße 📷.jpg"'],
    ['half a letter', 'a\ud83d.jpg', 'filename="a\ufffd.jpg"'],
  ])('has one header for a name with %s', async (_name, filename, written) => {
    const body = multipartBody({ file: fileOf(sourceOf(1), 1, { filename }) });
    const text = await textOf(body.chunks());
    expect(text).toContain(
      `Content-Disposition: form-data; name="file"; ${written}\r\nContent-Type: image/jpeg\r\n\r\n`,
    );
    expect(text.match(/content-type/gi)).toHaveLength(filename.includes('Content-Type') ? 2 : 1);
    expect(Buffer.byteLength(text)).toBe(body.sizeBytes);
  });

  test('has no header for an invalid media type', async () => {
    const body = multipartBody({ file: fileOf(sourceOf(1), 1, { mimeType: 'image/png\r\nX-Injected: 1' }) });
    expect(await textOf(body.chunks())).not.toContain('X-Injected');
  });

  test.each([
    ['shorter', LARGE, LARGE - 1],
    ['longer', LARGE, LARGE + 1],
    ['empty instead of long', 5, 0],
    ['a little longer', 5, 6],
  ])('that is %s than announced fails, and no whole request arrives', async (_name, announced, actual) => {
    let completeRequests = 0;
    const { client, requests, allClosed } = await startReceiver((request) => {
      request.resume();
      request.once('end', () => {
        completeRequests += 1;
      });
    });
    const source = sourceOf(actual);
    const error = await errorOf(post(client, fileOf(source, announced)));
    expect(error).toBeInstanceOf(RequestBodyError);
    expect(error).toMatchObject({
      cause: { message: expect.stringContaining(`expected a body of ${announced} bytes`) },
    });
    expect(source.destroyed).toBe(true);
    await allClosed();
    expect(completeRequests).toBe(0);
    expect(requests.length).toBeLessThanOrEqual(1);
  });

  test('whose source fails fails for that reason, and is no outage of the provider', async () => {
    const { client } = await startReceiver(readAll);
    for (let call = 0; call < 12; call += 1) {
      const source = sourceOf(MB);
      source.once('data', () =>
        source.destroy(Object.assign(new Error('the store broke off'), { code: 'ECONNRESET' })),
      );
      source.pause();
      expect(await errorOf(post(client, fileOf(source, MB)))).toMatchObject({
        name: 'RequestBodyError',
        cause: { message: 'the store broke off' },
      });
    }
    const source = sourceOf(MB);
    source.once('data', () => source.destroy(new MediagraphError('MEDIA_GONE', 'deleted meanwhile')));
    source.pause();
    expect(await errorOf(post(client, fileOf(source, MB)))).toMatchObject({ code: 'MEDIA_GONE' });
    expect(await post(client, fileOf(sourceOf(MB), MB))).toMatchObject({ statusCode: 200 });
  });

  test('whose source failed before the call fails the call', async () => {
    const { client } = await startReceiver(readAll);
    const source = sourceOf(MB);
    const body = multipartBody({ file: fileOf(source, MB) });
    source.destroy(new Error('early'));
    await new Promise((resolve) => source.once('close', resolve));
    expect(await errorOf(client.post({ path: '/media', body }))).toMatchObject({ cause: { message: 'early' } });
  });
});

describe('a POST', () => {
  test.each<[string, Handler, object]>([
    ['a lost connection', (_request, _response, socket) => void socket.resetAndDestroy(), { code: 'CONNECTION' }],
    ['a connection that is closed', (_request, _response, socket) => void socket.destroySoon(), { code: 'CONNECTION' }],
    [
      'a half answer',
      (_request, response, socket) => {
        response.writeHead(200, { 'content-length': 9 });
        response.write('x', () => socket.destroySoon());
      },
      { name: 'NetError' },
    ],
  ])('is never repeated after %s', async (_name, handler, expected) => {
    const { client, requests } = await startReceiver((request, response, socket) => {
      request.resume();
      request.once('end', () => handler(request, response, socket));
    });
    const source = sourceOf(1000);
    expect(await errorOf(post(client, fileOf(source, 1000)))).toMatchObject(expected);
    expect(requests).toEqual(['POST /media']);
    expect(source.destroyed).toBe(true);
  });

  test.each([429, 500, 502, 503, 504])('is never repeated after a status %i', async (status) => {
    const { client, requests } = await startReceiver((request, response) => {
      request.resume();
      request.once('end', () => response.writeHead(status, { 'retry-after': '0' }).end());
    });
    expect(await post(client, fileOf(sourceOf(10), 10))).toMatchObject({ statusCode: status });
    expect(requests).toEqual(['POST /media']);
  });

  test('to a closed port destroys its body', async () => {
    const { client } = await startReceiver(readAll);
    const pools = new OriginPools();
    cleanups.push(() => pools.close());
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const address = closed.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    closed.close();
    await once(closed, 'close');
    const policy = { timeoutMs: 5_000, retries: 3, maxConcurrency: 1 };
    const unreachable = new ProviderHttpClient({
      baseUrl: `http://127.0.0.1:${address.port}`,
      headers: {},
      policy,
      pools,
    });
    const source = sourceOf(LARGE);
    expect(await errorOf(post(unreachable, fileOf(source, LARGE)))).toMatchObject({ code: 'CONNECTION' });
    expect(source.destroyed).toBe(true);
    expect(await post(client, fileOf(sourceOf(10), 10))).toMatchObject({ statusCode: 200 });
  });

  test('is not sent, and its body is destroyed, once the provider has failed repeatedly', async () => {
    const { client, requests } = await startReceiver((request, response) => {
      request.resume();
      request.once('end', () => response.writeHead(503).end());
    });
    for (let call = 0; call < 10; call += 1) await post(client, fileOf(sourceOf(10), 10));
    const source = sourceOf(10);
    expect(await errorOf(post(client, fileOf(source, 10)))).toMatchObject({ code: 'CIRCUIT_OPEN' });
    expect(source.destroyed).toBe(true);
    expect(requests).toHaveLength(10);
  });

  test('ends with its caller, before, while and after it is sent', async () => {
    const { client, requests, allClosed } = await startReceiver(() => {}, { maxConcurrency: 2 });
    const caller = new AbortController();
    const [sending, content, waiting, late] = [sourceOf(LARGE), sourceOf(10), sourceOf(10), sourceOf(10)];
    const calls = [
      post(client, fileOf(sending, LARGE), caller.signal),
      post(client, fileOf(content, 10), caller.signal),
    ];
    calls.push(post(client, fileOf(waiting, 10), caller.signal));
    const outcomes = Promise.all(calls.map(errorOf));
    await until(() => requests.length === 2);
    caller.abort(new Error('the caller left'));
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ message: 'the caller left' });
    expect(await errorOf(post(client, fileOf(late, 10), caller.signal))).toMatchObject({ message: 'the caller left' });
    for (const source of [sending, content, waiting, late]) expect(source.destroyed).toBe(true);
    await allClosed();
    expect(requests).toHaveLength(2);
  });

  test('takes an answer that comes before the body is sent, and destroys the body', async () => {
    const { client } = await startReceiver((_request, response) => void response.writeHead(413).end('too large'));
    const source = sourceOf(LARGE);
    expect(await post(client, fileOf(source, LARGE))).toMatchObject({
      statusCode: 413,
      body: Buffer.from('too large'),
    });
    expect(source.destroyed).toBe(true);
  });
});

describe('the clock of a POST', () => {
  test('gives a receiver that reads slowly the time that it needs', async () => {
    const timeoutMs = 400;
    const { client } = await startReceiver(
      (request, response) => {
        let pauses = 0;
        const read = () => {
          // Reads a fifth of the body each time, so that the whole takes more than twice the timeout.
          let left = LARGE / 5;
          const onData = (chunk: Buffer) => {
            left -= chunk.length;
            if (left > 0) return;
            request.off('data', onData).pause();
            pauses += 1;
            setTimeout(read, 250);
          };
          request.on('data', onData).resume();
        };
        request.once('end', () => response.end(String(pauses)));
        read();
      },
      { timeoutMs },
    );
    const start = performance.now();
    const answer = await post(client, fileOf(sourceOf(LARGE), LARGE));
    expect(Number(answer.body.toString())).toBeGreaterThanOrEqual(4);
    // Not an assertion about speed: it proves that the call took longer than the timeout.
    expect(performance.now() - start).toBeGreaterThan(timeoutMs * 2);
  });

  test.each<[string, Handler, number]>([
    ['reads nothing', () => {}, LARGE],
    [
      'reads half',
      (request) => {
        let read = 0;
        const onData = (chunk: Buffer) => {
          read += chunk.length;
          if (read > LARGE / 2) request.off('data', onData).pause();
        };
        request.on('data', onData);
      },
      LARGE,
    ],
    ['reads all and does not answer', (request) => void request.resume(), MB],
    [
      'answers headers alone',
      (request, response) => {
        request.resume();
        request.once('end', () => {
          response.writeHead(200, { 'content-length': 9 });
          response.flushHeaders();
        });
      },
      MB,
    ],
  ])('gives up a receiver that %s, and ends body and connection', async (_name, handler, sizeBytes) => {
    const { client, requests, allClosed } = await startReceiver(handler, { timeoutMs: 300 });
    const source = sourceOf(sizeBytes);
    expect(await errorOf(post(client, fileOf(source, sizeBytes)))).toMatchObject({ code: 'TIMEOUT' });
    expect(source.destroyed).toBe(true);
    await allClosed();
    expect(requests).toHaveLength(1);
  });

  test('finds the source read no further than the receiver has taken it', async () => {
    const { client } = await startReceiver(() => {}, { timeoutMs: 300 });
    const source = sourceOf(LARGE);
    let read = 0;
    source.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    source.pause();
    expect(await errorOf(post(client, fileOf(source, LARGE)))).toMatchObject({ code: 'TIMEOUT' });
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(LARGE / 2);
  });

  test('blames a source that falls silent, and not the receiver', async () => {
    const { client } = await startReceiver(readAll, { timeoutMs: 300 });
    const source = new Readable({ read() {} });
    source.push(Buffer.alloc(10));
    const error = await errorOf(post(client, fileOf(source, MB)));
    expect(error).toBeInstanceOf(RequestBodyError);
    expect(source.destroyed).toBe(true);
  });

  test('waits longer where the call says so', async () => {
    const { client } = await startReceiver(
      (request, response) => {
        request.resume();
        request.once('end', () => setTimeout(() => response.end('late'), 400));
      },
      { timeoutMs: 100 },
    );
    const body = () => multipartBody({ file: 'https://example.com/x' });
    expect(await errorOf(client.post({ path: '/media', body: body() }))).toMatchObject({ code: 'TIMEOUT' });
    expect(await client.post({ path: '/media', body: body(), silenceMs: 5_000 })).toMatchObject({ statusCode: 200 });
  });
});

describe('a DELETE', () => {
  test('is repeated like a GET, and has no body', async () => {
    let left = 2;
    const { client, requests } = await startReceiver((request, response) => {
      expect(request.headers).not.toHaveProperty('transfer-encoding');
      left -= 1;
      response.writeHead(left >= 0 ? 503 : 204).end();
    });
    expect(await client.request({ method: 'DELETE', path: '/media/1' })).toMatchObject({ statusCode: 204 });
    expect(requests).toEqual(new Array(3).fill('DELETE /media/1'));
  });

  test('is sent once where the call says so', async () => {
    const { client, requests } = await startReceiver((_request, response) => void response.writeHead(503).end());
    const answer = await client.request({ method: 'DELETE', path: '/media/1', retries: 0 });
    expect(answer.statusCode).toBe(503);
    expect(requests).toHaveLength(1);
  });
});

async function textOf(chunks: AsyncIterator<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) parts.push(next.value);
  return Buffer.concat(parts).toString();
}

/** Polls, at most five seconds. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}
