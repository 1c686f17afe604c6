import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Stands before a provider. While it is shut, the provider does what it is asked and its answers wait here. */
export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: Array<() => void> = [];
  #isShut = false;
  #port = 0;

  private constructor(private readonly target: URL) {
    this.#server = createServer((socket) => this.#connect(socket));
  }

  /** @param target an emulator's origin */
  static async start(target: string): Promise<Gate> {
    const gate = new Gate(new URL(target));
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    const address = gate.#server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    gate.#port = address.port;
    return gate;
  }

  /** The provider's origin, by way of this. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  shut(): void {
    this.#isShut = true;
  }

  /** Opens the gate: sends the waiting answers, and all later ones at once. */
  open(): void {
    this.#isShut = false;
    for (const pass of this.#held.splice(0)) pass();
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #connect(socket: Socket): void {
    const upstream = createConnection({ host: this.target.hostname, port: Number(this.target.port) });
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      this.#sockets.add(one);
      // A client that was cut off sees the end of the connection.
      one.on('error', () => {});
      one.once('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    socket.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => {
      if (this.#isShut) this.#held.push(() => socket.write(bytes));
      else socket.write(bytes);
    });
  }
}
