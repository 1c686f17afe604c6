import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Sends exactly these bytes on a request's connection, valid HTTP or not. The connection stays open, unusable for another
 * request, until it is ended.
 */
export function rawAnswer({ socket }: ServerResponse, ...parts: ReadonlyArray<string | Buffer>): Socket {
  if (!socket) throw new Error('expected a connection');
  socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  return socket;
}
