import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/config.js';
import type { Database } from '../database/database.js';
import { createSubgraphSchema } from '../graphql/build-schema.js';
import { admission } from '../server/authenticate.js';
import { assertPortIsFree } from '../server/free-port.js';
import { createHttpServer } from '../server/http-server.js';
import { listen } from '../server/listen.js';
import { openMetricsPort, registerMetricsRoute } from '../server/metrics-route.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import type { MeasuredStore } from '../telemetry/store-metrics.js';
import { knownHosts } from './access.js';
import { createParts, type Parts, type PartsOptions } from './parts.js';
import { reload } from './reload.js';
import { registerRoutes } from './routes.js';
import { openStores, type Stores } from './stores.js';

const DRAIN_MS = 25_000;

/** A running server. One process can run several, which share nothing. */
export interface App {
  /** The URL that the server listens on, e.g. `http://127.0.0.1:4000`. */
  readonly url: string;
  /** Applies the settings that can change at run time; see {@link reload}. Two calls must not overlap. */
  reload(config: Config): Promise<void>;
  /** Resolves when all listings and deliveries so far are recorded and stored. */
  settled(): Promise<void>;
  /** Drains: accepts no new connections, gives open requests 25 s to complete, and then closes everything. */
  close(): Promise<void>;
}

export interface AppOptions {
  readonly config: Config;
  /** Default: JSON lines on standard output. */
  readonly logger?: Logger;
  /** Variables of the explorer's example operations. */
  readonly exampleVariables?: Readonly<Record<string, unknown>>;
  /** An open database to use instead of the configured one. Its owner closes it. */
  readonly database?: Database;
}

/** The composition root: the only place that constructs drivers and connects rooms. */
export async function startApp(options: AppOptions): Promise<App> {
  const { config, logger = createLogger(config.log), database, exampleVariables } = options;
  for (const path of config.withoutEffect) logger.warn({ path }, 'this key has no effect in this version');
  // An occupied port is found before the stores are touched.
  await assertPortIsFree(config.server);
  const opening = openStores(config, logger, database);
  // The embedded engine starts in a thread of its own; meanwhile this one makes what does not depend on it.
  buildSchemaAhead(config.federation);
  const stores = await opening;
  const metrics = new Metrics({
    ...{ channels: config.channels, logger, enabled: config.metrics.enabled, operations: config.metrics.operations },
    store: measuredStore(stores),
    resources: { connections: () => stores.database.connections(), space: stores.blobs.space?.bind(stores.blobs) },
  });
  try {
    return await startOver({ config, stores, metrics, logger, exampleVariables });
  } catch (thrown) {
    metrics.close();
    await stores.close();
    throw thrown;
  }
}

async function startOver(options: Omit<PartsOptions, 'ownUrl'>): Promise<App> {
  const { config, logger } = options;
  const state = { ready: false, url: '' };
  const parts = await createParts({ ...options, ownUrl: () => state.url });
  const { http, hot } = createHttpServer({
    logger,
    trustProxy: config.server.trustProxy,
    requestTimeoutMs: config.server.requestTimeoutMs,
    knownHosts: knownHosts(config),
    metrics: parts.metrics,
    clock: parts.stores.database.clock,
  });
  registerRoutes(http, parts, {
    hot,
    publicUrl: () => config.server.publicUrl ?? state.url,
    isReady: () => state.ready,
    admit: admission(parts.authentication.authenticate, config.server.routerSecret),
  });
  const metricsHttp = await serveMetrics(http, parts);
  const { host, port } = config.server;
  try {
    state.url = await listen(http, { host, port });
    await parts.jobs.start();
  } catch (thrown) {
    await Promise.all([http.close(), metricsHttp?.close()]);
    throw thrown;
  }
  state.ready = true;
  logger.info({ url: state.url, channels: config.channels.length }, 'listening');
  return {
    url: state.url,
    reload: (next) => reload(parts, next),
    settled: async () => {
      await Promise.all([parts.lookup.settle(), parts.lazyMirror?.settle()]);
    },
    close: async () => {
      state.ready = false;
      await closeAll(parts, [http, ...(metricsHttp ? [metricsHttp] : [])]);
    },
  };
}

/** The schema is kept by its form. A fault in it is thrown where it is used, after the stores can be closed. */
function buildSchemaAhead(form: Config['federation']): void {
  try {
    createSubgraphSchema(form);
  } catch {}
}

/**
 * Serves the metrics on a separate port if one is configured. On the main port they require a token or `auth.mode:
 * none`.
 */
async function serveMetrics(
  http: FastifyInstance,
  { config, metrics, logger }: Parts,
): Promise<FastifyInstance | null> {
  const { port, token } = config.metrics;
  if (!metrics.isEnabled) return null;
  const own = port === null ? null : await openMetricsPort({ metrics, host: config.server.host, port, logger });
  const isOpen = config.auth.mode === 'none' && !own;
  if (isOpen || token !== null) registerMetricsRoute(http, { metrics, token: isOpen ? null : token });
  return own;
}

/** Closes the entrances first, then the background work, and then the resources of both. */
async function closeAll(parts: Parts, servers: readonly FastifyInstance[]): Promise<void> {
  const { jobs, lookup, lazyMirror, pools, providers, source, bytes, stores, metrics, logger } = parts;
  const handedBack = jobs.handBack();
  for (const http of servers) await drain(http, logger);
  metrics.close();
  parts.authentication.close();
  parts.overload.close();
  await Promise.all([parts.servers.compiled.stop(), parts.servers.traced.stop()]);
  await handedBack;
  await Promise.all([jobs.stop(), lookup.settle(), lazyMirror?.stop()]);
  await Promise.all([pools.close(), providers.close(), source.fetch.close(), bytes.close()]);
  await stores.close();
  logger.info('closed');
}

/** The values that the metrics read from the database. */
function measuredStore({ database, catalogue, jobsCatalogue, inbox, jobs }: Stores): MeasuredStore {
  return {
    clock: database.clock,
    ping: () => database.ping(),
    mediaCounts: () => catalogue.counts(),
    eventCounts: () => inbox.counts(),
    jobCounts: () => jobs.counts(),
    storedBytes: () => jobsCatalogue.storedBytes(),
  };
}

async function drain(http: FastifyInstance, logger: Logger): Promise<void> {
  const overdue = setTimeout(() => {
    logger.warn({ afterMs: DRAIN_MS }, 'open requests did not finish in time; their connections were closed');
    http.server.closeAllConnections();
  }, DRAIN_MS);
  await http.close();
  clearTimeout(overdue);
}
