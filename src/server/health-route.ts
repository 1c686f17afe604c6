import type { FastifyInstance } from 'fastify';

export interface Health {
  /** false while the process starts or drains: no new traffic, please. */
  readonly isReady: () => boolean;
}

/** `/livez`: the process is up. `/readyz`: it takes requests. Both answer without credentials and tell nothing else. */
export function registerHealthRoutes(http: FastifyInstance, { isReady }: Health): void {
  http.get('/livez', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });
  http.get('/readyz', async (_request, reply) => {
    const ready = isReady();
    reply.code(ready ? 200 : 503).header('cache-control', 'no-store');
    return { status: ready ? 'ok' : 'unavailable' };
  });
}
