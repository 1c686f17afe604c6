import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Listens at an address that must not be reached, and counts the connections. */
export class Canary {
  /** Connections so far. */
  connectionCount = 0;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** @param host the default is every address of this host, of both families */
  static async start(host = '::', port = 0): Promise<Canary> {
    const server = createServer();
    server.listen(port, host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    const canary = new Canary(server, address.port);
    server.on('connection', (socket) => {
      canary.connectionCount += 1;
      socket.on('error', () => {}).destroy();
    });
    return canary;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    await closed;
  }
}
