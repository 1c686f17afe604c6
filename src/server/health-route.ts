import type { FastifyInstance } from 'fastify';

export interface Health {
  /** false while the process starts or drains and should get no new traffic. */
  readonly isReady: () => boolean;
  /** What else keeps the process from serving its callers, in words for everybody; null: nothing. */
  readonly fault: () => string | null;
  /** Resolves when all dependencies of the process answer. */
  readonly ping: () => Promise<void>;
}

/**
 * `/livez`: the process runs. `/readyz`: it accepts requests, or why it does not. Neither needs credentials or reveals
 * anything else.
 */
export function registerHealthRoutes(http: FastifyInstance, { isReady, fault, ping }: Health): void {
  http.get('/livez', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });
  http.get('/readyz', async (request, reply) => {
    const pinged = ping().then(
      () => null,
      (err: unknown) => {
        request.log.warn({ err }, 'a dependency is unavailable');
        return 'the database or the blob store is unavailable';
      },
    );
    const unready = isReady() ? null : 'the server is starting or stopping';
    const reason = unready ?? (await pinged) ?? fault();
    reply.code(reason === null ? 200 : 503).header('cache-control', 'no-store');
    return reason === null ? { status: 'ok' } : { status: 'unavailable', reason };
  });
}
