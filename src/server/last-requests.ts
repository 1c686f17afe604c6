import { once } from 'node:events';
import { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

/** Longer than a request is on its way within a data centre. */
const LAST_REQUESTS_MS = 300;

/**
 * Accepts last requests over open connections for a moment when the server closes. A load balancer keeps connections open,
 * and uses one of them for a request before it can know that the server is closing. Such a request is answered, and the
 * answer closes the connection. Without this, the connection would be closed under the request, and a POST that was
 * already sent is lost, because it may not be sent twice. New connections are refused from the beginning.
 */
export function acceptLastRequests(http: FastifyInstance): void {
  http.addHook('preClose', async () => {
    if (!http.server.listening) return;
    const ended = once(http.server, 'close');
    // The HTTP server's own method also closes all connections without an open request.
    Server.prototype.close.call(http.server);
    await Promise.race([ended, sleep(LAST_REQUESTS_MS)]);
  });
}
