import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** Default: the system's resolver. */
  readonly addressesOf?: (host: string) => Promise<ReadonlyArray<{ readonly address: string }>>;
}

/**
 * Listens, with `localhost` at each of its addresses: Fastify does that only for servers that it has created itself.
 * @returns the URL of the first address
 */
export async function listen(
  http: FastifyInstance,
  { host, port, addressesOf = (name) => lookup(name, { all: true }) }: ListenAddress,
): Promise<string> {
  if (host !== 'localhost') return http.listen({ host, port });
  const others: Server[] = [];
  http.addHook('preClose', (done) => {
    for (const server of others) server.close();
    done();
  });
  http.addHook('onClose', async () => {
    await Promise.all(others.map((server) => new Promise((closed) => server.close(closed))));
  });
  const url = await http.listen({ host, port });
  const first = http.server.address();
  if (first === null || typeof first === 'string') return url;
  for (const { address } of await addressesOf(host)) {
    if (address === first.address) continue;
    const other = await acceptInto(http.server, { address, port: first.port });
    if (other) others.push(other);
  }
  return url;
}

/** @returns null where the address cannot be listened on: one of them is enough */
async function acceptInto(
  http: HttpServer,
  { address, port }: Pick<AddressInfo, 'address' | 'port'>,
): Promise<Server | null> {
  const server = createServer((socket: Socket) => {
    // The documented way to hand a connection to an HTTP server (Node.js, "http", Event: 'connection').
    http.emit('connection', socket);
  });
  server.listen(port, address);
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return null;
  }
}
