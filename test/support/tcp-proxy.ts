import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Stands before a server whose absence is tested; the server itself goes on. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #silent = false;

  private constructor(private readonly target: URL) {
    this.#server = createServer((socket) => this.#connect(socket));
  }

  /** @param target e.g. `postgres://user:password@127.0.0.1:5432/database` */
  static async start(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(target));
    await proxy.restore();
    return proxy;
  }

  /** The target's, by way of this. */
  get url(): string {
    const url = new URL(this.target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  /** Ends every connection and refuses new ones. */
  async cut(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#endAll();
    await closed;
  }

  /** Accepts connections and all bytes without an answer, as a machine behind a dead network does. */
  silence(): void {
    this.#silent = true;
  }

  /** Everything as at the start; connections that met the silence have lost their thread, and are ended. */
  async restore(): Promise<void> {
    if (this.#silent) this.#endAll();
    this.#silent = false;
    if (this.#server.listening) return;
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    this.#port = address.port;
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.cut();
  }

  #connect(socket: Socket): void {
    const upstream = createConnection({ host: this.target.hostname, port: Number(this.target.port || 5432) });
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes) => this.#silent || to.write(bytes));
      // A client that was cut off sees the end of the connection.
      from.on('error', () => {});
      from.once('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  #endAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
