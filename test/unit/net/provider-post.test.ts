import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { multipartBody } from '../../../src/net/client/multipart.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { ProviderHttpClient } from '../../../src/net/client/provider-http-client.js';
import { RequestBodyError } from '../../../src/net/client/request-body.js';
import {
  cleanups,
  errorOf,
  fileOf,
  type Handler,
  LARGE,
  MB,
  post,
  readAll,
  sourceOf,
  startReceiver,
} from './provider-post-setup.js';

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

  test('accepts an answer that arrives before the body is sent, and destroys the body', async () => {
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
  test('waits for a slow receiver', async () => {
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
  ])('stops when a receiver %s, and ends body and connection', async (_name, handler, sizeBytes) => {
    const { client, requests, allClosed } = await startReceiver(handler, { timeoutMs: 300 });
    const source = sourceOf(sizeBytes);
    expect(await errorOf(post(client, fileOf(source, sizeBytes)))).toMatchObject({ code: 'TIMEOUT' });
    expect(source.destroyed).toBe(true);
    await allClosed();
    expect(requests).toHaveLength(1);
  });

  test('reads the source no further than the receiver has accepted it', async () => {
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

  test('waits longer when the call allows it', async () => {
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

  test('is sent once when the call requires it', async () => {
    const { client, requests } = await startReceiver((_request, response) => void response.writeHead(503).end());
    const answer = await client.request({ method: 'DELETE', path: '/media/1', retries: 0 });
    expect(answer.statusCode).toBe(503);
    expect(requests).toHaveLength(1);
  });
});

/** Polls until the condition holds, for five seconds at most. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}
