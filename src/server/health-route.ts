import type { FastifyInstance } from 'fastify';

export interface Health {
  /** false while the process starts or drains: no new traffic, please. */
  readonly isReady: () => boolean;
  /** Resolves while everything that the process depends on answers. */
  readonly ping: () => Promise<void>;
}

/** `/livez`: the process is up. `/readyz`: it takes requests. Both answer without credentials and tell nothing else. */
export function registerHealthRoutes(http: FastifyInstance, { isReady, ping }: Health): void {
  http.get('/livez', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { status: 'ok' };
  });
  http.get('/readyz', async (request, reply) => {
    const answers = ping().then(
      () => true,
      (err: unknown) => {
        request.log.warn({ err }, 'a dependency does not answer');
        return false;
      },
    );
    const ready = isReady() && (await answers);
    reply.code(ready ? 200 : 503).header('cache-control', 'no-store');
    return { status: ready ? 'ok' : 'unavailable' };
  });
}
