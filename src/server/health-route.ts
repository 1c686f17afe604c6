import type { FastifyInstance } from 'fastify';

export interface Health {
  /** false while the process starts or drains and should get no new traffic. */
  readonly isReady: () => boolean;
  /** Resolves when all dependencies of the process answer. */
  readonly ping: () => Promise<void>;
}

/** `/livez`: the process runs. `/readyz`: it accepts requests. Neither needs credentials or reveals anything else. */
export function registerHealthRoutes(http: FastifyInstance, { isReady, ping }: Health): void {
  http.get('/livez', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });
  http.get('/readyz', async (request, reply) => {
    const isReachable = ping().then(
      () => true,
      (err: unknown) => {
        request.log.warn({ err }, 'a dependency is unavailable');
        return false;
      },
    );
    const ready = isReady() && (await isReachable);
    reply.code(ready ? 200 : 503).header('cache-control', 'no-store');
    return { status: ready ? 'ok' : 'unavailable' };
  });
}
