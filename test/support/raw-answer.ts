import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Exactly these bytes over a request's connection, whatever HTTP says; left open, and of no use for another request, unless it is ended. */
export function rawAnswer({ socket }: ServerResponse, ...parts: ReadonlyArray<string | Buffer>): Socket {
  if (!socket) throw new Error('expected a connection');
  socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  return socket;
}
