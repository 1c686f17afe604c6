import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range). */
const FIRST = 15_000;
const COUNT = 15_000;
const TRIES = 100;

/**
 * A port for a server that is away for a while and comes back on it. A free port of the system's choice may then be the
 * local port of someone's connection.
 */
export async function steadyPort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
  throw new Error(`expected a free port from ${FIRST} to ${FIRST + COUNT}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
