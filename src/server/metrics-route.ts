import type { FastifyInstance } from 'fastify';
import { toError } from '../model/errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { createHttpServer } from './http-server.js';

type Scraped = Pick<Metrics, 'contentType' | 'text'>;

/** `/metrics`: the text that Prometheus reads. Answers without credentials, and holds nobody's data. */
export function registerMetricsRoute(http: FastifyInstance, metrics: Scraped): void {
  http.get('/metrics', async (_request, reply) => {
    const text = await metrics.text();
    return reply.header('cache-control', 'no-store').type(metrics.contentType).send(text);
  });
}

export interface MetricsPort {
  readonly metrics: Scraped;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly logger: Logger;
}

/** A listener that has `/metrics` and nothing else, for `metrics.port`. Rejects when the port cannot be had. */
export async function openMetricsPort({ metrics, host, port, logger }: MetricsPort): Promise<FastifyInstance> {
  const { http } = createHttpServer({ logger, trustProxy: false });
  registerMetricsRoute(http, metrics);
  try {
    const url = await http.listen({ host, port });
    logger.info({ url }, 'metrics listening');
    return http;
  } catch (cause) {
    throw new Error(`metrics.port cannot be opened: ${toError(cause).message}`, { cause });
  }
}
