import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An HTTP server that does exactly what a test says, and tells which connections it has; closed with {@link close}. */
export class RawServer {
  /** Connections so far, requests or not. */
  connectionCount = 0;
  /** Open connections. */
  readonly sockets = new Set<Socket>();
  /** `METHOD path` of every request, in order. */
  readonly requests: string[] = [];
  /** Headers of every request, in order. */
  readonly headers: Array<IncomingMessage['headers']> = [];

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async start(handler: Handler = (_request, response) => void response.end()): Promise<RawServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    const raw = new RawServer(server, address.port);
    server.on('connection', (socket) => {
      raw.connectionCount += 1;
      raw.sockets.add(socket);
      socket.once('close', () => raw.sockets.delete(socket));
    });
    server.on('request', (request, response) => {
      raw.requests.push(`${request.method} ${request.url}`);
      raw.headers.push(request.headers);
      request.resume();
      handler(request, response);
    });
    return raw;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when no connection is open any more. */
  async allClosed(): Promise<void> {
    // Not `once` of node:events, which would take a reset for a failure.
    for (const socket of this.sockets) await new Promise((resolve) => socket.once('close', resolve));
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}
