import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The answers that are being made or sent, by connection. A client that pipelines requests has several. */
export class OpenAnswers {
  readonly #bySocket = new Map<Socket, Set<ServerResponse>>();

  add(socket: Socket, response: ServerResponse): void {
    const open = this.#bySocket.get(socket) ?? new Set();
    open.add(response);
    this.#bySocket.set(socket, open);
    response.once('close', () => {
      open.delete(response);
      if (open.size === 0) this.#bySocket.delete(socket);
    });
  }

  /** Whether the headers of an answer have been sent whose end has not. */
  hasBegun(socket: Socket): boolean {
    for (const { headersSent } of this.#bySocket.get(socket) ?? []) if (headersSent) return true;
    return false;
  }

  /** The connections with an open answer. */
  get sockets(): Iterable<Socket> {
    return this.#bySocket.keys();
  }
}
