import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { type MultipartFile, multipartBody } from '../../../src/net/client/multipart.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { type CallPolicy, ProviderHttpClient } from '../../../src/net/client/provider-http-client.js';

export const MB = 1_000_000;
/** More than the buffers of two sockets hold while the receiver does not read. */
export const LARGE = 40 * MB;

export const cleanups: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

export type Handler = (request: IncomingMessage, response: ServerResponse, socket: Socket) => void;

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
export async function startReceiver(handler: Handler, policy: Partial<CallPolicy> = {}): Promise<Receiver> {
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

export function sourceOf(sizeBytes: number, chunkBytes = 256 * 1024): Readable {
  let left = sizeBytes;
  return new Readable({
    read() {
      const chunk = Buffer.alloc(Math.min(left, chunkBytes), 7);
      left -= chunk.length;
      this.push(chunk.length > 0 ? chunk : null);
    },
  });
}

export function fileOf(body: Readable, sizeBytes: number, keys: Partial<MultipartFile> = {}): MultipartFile {
  return { body, sizeBytes, filename: 'photo.jpg', mimeType: 'image/jpeg', ...keys };
}

export const post = (client: ProviderHttpClient, file: MultipartFile, signal?: AbortSignal) =>
  client.post({ path: '/media', body: multipartBody({ type: 'x', file }), signal });

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
}

/** Reads the whole body, then answers 200. */
export const readAll: Handler = (request, response) => {
  request.resume();
  request.once('end', () => response.end('{}'));
};
