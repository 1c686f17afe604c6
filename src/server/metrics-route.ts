import type { FastifyInstance } from 'fastify';
import { withDistinctCredentials } from '../http/distinct-credentials.js';
import { sendError } from '../http/error-response.js';
import { toError } from '../model/errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { requireToken } from './authenticate.js';
import { createHttpServer } from './http-server.js';
import { listen } from './listen.js';

type ScrapedMetrics = Pick<Metrics, 'contentType' | 'text'>;

export interface MetricsRouteOptions {
  readonly metrics: ScrapedMetrics;
  /** `metrics.token`, required as `Authorization: Bearer`; null: no credentials are required. */
  readonly token: string | null;
}

/** `/metrics`: the Prometheus exposition. Its labels include the ids of all tenants' channels. */
export function registerMetricsRoute(http: FastifyInstance, { metrics, token }: MetricsRouteOptions): void {
  http.get('/metrics', async (request, reply) => {
    if (token !== null) {
      try {
        requireToken(withDistinctCredentials(request.raw).authorization, token);
      } catch (thrown) {
        return sendError(reply, thrown);
      }
    }
    const text = await metrics.text();
    return reply.header('cache-control', 'no-store').type(metrics.contentType).send(text);
  });
}

export interface MetricsPort {
  readonly metrics: ScrapedMetrics;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly logger: Logger;
}

/** Opens a listener that serves only `/metrics`, for `metrics.port`. Rejects when the port cannot be opened. */
export async function openMetricsPort({ metrics, host, port, logger }: MetricsPort): Promise<FastifyInstance> {
  const { http } = createHttpServer({ logger, trustProxy: false });
  registerMetricsRoute(http, { metrics, token: null });
  try {
    const url = await listen(http, { host, port });
    logger.info({ url }, 'metrics listening');
    return http;
  } catch (cause) {
    throw new Error(`metrics.port cannot be opened: ${toError(cause).message}`, { cause });
  }
}
