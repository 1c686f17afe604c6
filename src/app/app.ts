import type { FastifyInstance } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import { ensureSigningKey } from '../catalogue/signing-keys.js';
import type { Config } from '../config/config.js';
import type { Database } from '../database/database.js';
import { MediaDelivery } from '../delivery/deliver.js';
import { LazyMirror } from '../delivery/first-copy.js';
import { registerDeliveryRoute } from '../delivery/http/delivery-route.js';
import type { HotAnswers } from '../delivery/http/hot-answers.js';
import { createSubgraphSchema, createTracedSchema } from '../graphql/build-schema.js';
import { ExecutionBudget } from '../graphql/execution/execution-budget.js';
import { createGraphQLServers, type GraphQLServers } from '../graphql/graphql-server.js';
import type { GraphQLContext } from '../graphql/resolvers/context.js';
import { createLoaders } from '../graphql/resolvers/loaders.js';
import { CachePolicy } from '../graphql/transport/cache-policy.js';
import type { OperationStart } from '../graphql/transport/entrance.js';
import { registerGraphQLRoute } from '../graphql/transport/graphql-route.js';
import { serveSubscriptionSockets } from '../graphql/transport/subscription-sockets.js';
import type { Admit, Authenticate } from '../http/admission.js';
import type { KnownHosts } from '../http/known-host.js';
import { type SigningKey, UrlSigner } from '../links/signed-url.js';
import { MediaLookup } from '../media/lookup/lookup.js';
import { MediaWatch } from '../media/watch.js';
import { dateOf } from '../model/clock.js';
import { decodeMediaId } from '../model/ids.js';
import { OriginPools } from '../net/client/origin-pools.js';
import { AddressPolicy } from '../net/guarded/public-address.js';
import { SafeFetch } from '../net/guarded/safe-fetch.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import { type ConnectedProviders, connectChannels, userAgent } from '../providers/connect-channels.js';
import { ApiKeys, admission, openToAll } from '../server/authenticate.js';
import { registerHealthRoutes } from '../server/health-route.js';
import { createHttpServer } from '../server/http-server.js';
import { openMetricsPort, registerMetricsRoute } from '../server/metrics-route.js';
import { registerWebhookRoutes } from '../server/webhook-route.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import type { MeasuredStore } from '../telemetry/store-metrics.js';
import { createJobs, type Jobs, type UploadSource } from './background.js';
import { type MediaBytes, openMediaBytes } from './media-bytes.js';
import { openStores, type Stores } from './stores.js';

/** What HMAC-SHA-256 can make use of (RFC 2104 section 3). */
const RECOMMENDED_SECRET_BYTES = 32;
const DRAIN_MS = 25_000;

/** A running server. Several may live in one process; nothing of one is shared with another. */
export interface App {
  /** The address that it listens on, e.g. `http://127.0.0.1:4000`. */
  readonly url: string;
  /** Takes over what may change while it runs, the API keys, and drops what it remembers of the database. */
  reload(config: Config): void;
  /** Resolves when everything that was listed or delivered so far is recorded and kept. */
  settled(): Promise<void>;
  /** Drains: no new connections, open requests finish within 25 s, then everything is closed. */
  close(): Promise<void>;
}

export interface AppOptions {
  readonly config: Config;
  /** Default: JSON lines on standard output. */
  readonly logger?: Logger;
  /** Variables of the explorer's example operations. */
  readonly exampleVariables?: Readonly<Record<string, unknown>>;
  /** An open database to use in place of the configuration's; its owner closes it. */
  readonly database?: Database;
}

/** The composition root: the only place where drivers are constructed and rooms meet. */
export async function startApp(options: AppOptions): Promise<App> {
  const { config, logger = createLogger(config.log), database, exampleVariables } = options;
  for (const path of config.withoutEffect) logger.warn({ path }, 'this key has no effect in this version');
  const stores = await openStores(config, logger, database);
  const metrics = new Metrics({ channels: config.channels, store: measuredStore(stores), logger });
  try {
    return await startOver(stores, metrics, { config, logger, exampleVariables });
  } catch (thrown) {
    metrics.close();
    await stores.close();
    throw thrown;
  }
}

type Started = Pick<AppOptions, 'config' | 'exampleVariables'> & { readonly logger: Logger };

async function startOver(
  stores: Stores,
  metrics: Metrics,
  { config, logger, exampleVariables }: Started,
): Promise<App> {
  const state = { ready: false, url: '' };
  const pools = new OriginPools();
  const providers = connectChannels(config, { pools, quota: stores.quota, facts: stores.facts, logger, metrics });
  const source = uploadSource(config);
  const { directory } = providers;
  const apiKeys = new ApiKeys(config.auth.apiKeys);
  const schema = createSubgraphSchema(config.federation);
  const servers = await createGraphQLServers({
    schema,
    tracedSchema: createTracedSchema(config.federation),
    limits: config.limits,
    explorer: config.server.explorer,
    exampleVariables,
    production: config.production,
    logger,
    metrics,
  });
  const urls = new UrlSigner({
    keys: await signingKeys(config, stores, logger),
    baseUrl: () => config.delivery.baseUrl ?? config.server.publicUrl ?? state.url,
    ttlMs: config.delivery.urlTtlMs,
  });
  const bytes = await openMediaBytes(config, stores, logger);
  const jobs = createJobs({ config, channels: directory, stores, urls, source, bytes, logger });
  const { catalogue } = stores;
  const { defaultMs: retentionMs } = config.retention;
  const { clock } = stores.database;
  const lookup = new MediaLookup({ channels: directory, catalogue, retentionMs, clock, logger });
  const lazyMirror =
    config.mirror.mode === 'off'
      ? null
      : new LazyMirror({
          catalogue,
          blobs: stores.blobs,
          inspector: bytes.inspector,
          maxBytes: config.upload.maxBytes,
          clock,
          logger,
        });
  const { http, hot } = createHttpServer({
    logger,
    trustProxy: config.server.trustProxy,
    requestTimeoutMs: config.server.requestTimeoutMs,
    knownHosts: knownHosts(config),
    metrics,
    clock,
  });
  registerRoutes(http, {
    config,
    hot,
    providers,
    stores,
    jobs,
    bytes,
    lookup,
    lazyMirror,
    metrics,
    logger,
    servers,
    schema,
    urls,
    publicUrl: () => config.server.publicUrl ?? state.url,
    isReady: () => state.ready,
    admit: admission(authenticator(config, apiKeys), config.server.routerSecret),
  });
  const { host, port } = config.server;
  const metricsHttp =
    config.metrics.port === null ? null : await openMetricsPort({ metrics, host, port: config.metrics.port, logger });
  const isOpen = config.auth.mode === 'none' && !metricsHttp;
  const { token } = config.metrics;
  if (isOpen || token !== null) registerMetricsRoute(http, { metrics, token: isOpen ? null : token });
  try {
    state.url = await http.listen({ host, port });
    await jobs.start();
  } catch (thrown) {
    await Promise.all([http.close(), metricsHttp?.close()]);
    throw thrown;
  }
  state.ready = true;
  logger.info({ url: state.url, channels: config.channels.length }, 'listening');
  return {
    url: state.url,
    reload: (next) => {
      apiKeys.replace(next.auth.apiKeys);
      bytes.rows.clear();
    },
    settled: async () => {
      await Promise.all([lookup.settle(), lazyMirror?.settle()]);
    },
    close: async () => {
      state.ready = false;
      const handedBack = jobs.handBack();
      await drain(http, logger);
      if (metricsHttp) await drain(metricsHttp, logger);
      metrics.close();
      await Promise.all([servers.compiled.stop(), servers.traced.stop()]);
      await handedBack;
      await Promise.all([jobs.stop(), lookup.settle(), lazyMirror?.stop()]);
      await Promise.all([pools.close(), providers.close(), source.fetch.close(), bytes.close()]);
      await stores.close();
      logger.info('closed');
    },
  };
}

interface Routed {
  readonly config: Config;
  readonly hot: HotAnswers;
  readonly providers: ConnectedProviders;
  readonly stores: Stores;
  readonly jobs: Jobs;
  readonly bytes: MediaBytes;
  readonly lookup: MediaLookup;
  readonly lazyMirror: LazyMirror | null;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly urls: UrlSigner;
  readonly servers: GraphQLServers;
  readonly schema: GraphQLSchema;
  /** This server as others reach it. */
  readonly publicUrl: () => string;
  readonly isReady: () => boolean;
  readonly admit: Admit;
}

function registerRoutes(http: FastifyInstance, routed: Routed): void {
  const { config, providers, stores, jobs, bytes, lookup, lazyMirror, logger, urls, servers } = routed;
  const { publicUrl, isReady } = routed;
  const { directory } = providers;
  registerHealthRoutes(http, { isReady, ping: stores.ping });
  const graphql = {
    operations: servers.streamed,
    admit: routed.admit,
    createContext: contextCreator(routed),
    metrics: routed.metrics,
  };
  const { allowedOrigins: pages } = config.server;
  const { bodyBytes } = config.limits;
  registerGraphQLRoute(http, { ...graphql, servers, bodyBytes, allowedOrigins: pages });
  serveSubscriptionSockets(http, {
    ...graphql,
    schema: routed.schema,
    maxBytes: bodyBytes,
    maxOperations: config.limits.subscriptionsPerConnection,
    refusesForeignPages: config.auth.mode === 'none',
    knownHosts: knownHosts(config),
    allowedOrigins: pages,
    logger,
  });
  registerDeliveryRoute(http, {
    urls,
    clock: stores.database.clock,
    delivery: new MediaDelivery({
      channels: directory,
      rows: bytes.rows,
      blobs: stores.blobs,
      hot: bytes.hot,
      renditions: bytes.renditions,
      redirects: config.storage.s3?.redirect ?? false,
      lookup,
      clock: stores.database.clock,
      lazyMirror,
      logger,
    }),
    visibility: config.delivery.visibility,
    hot: routed.hot,
    allowedOrigins: allowedOrigins(config, directory),
  });
  registerWebhookRoutes(http, { reception: jobs.reception, publicUrl, metrics: routed.metrics });
}

function contextCreator(routed: Routed): (start: OperationStart) => GraphQLContext {
  const { config, providers, stores, jobs, bytes, lookup, lazyMirror, urls } = routed;
  const { directory } = providers;
  const watch = new MediaWatch({
    channels: directory,
    catalogue: stores.catalogue,
    changes: stores.changes,
    clock: stores.database.clock,
  });
  return ({ caller, requestId, signal }) => {
    const now = stores.database.clock.now();
    const cache = new CachePolicy(now);
    const budget = new ExecutionBudget(config.limits);
    return {
      caller,
      requestId,
      loaders: createLoaders({ lookup, tenant: caller.tenant, call: { signal, calls: budget }, cache }),
      cache,
      budget,
      mutations: {
        upload: (request) => jobs.upload.upload(caller.tenant, request, signal),
        // A deletion goes on when its caller goes away, so that it is never left half-done.
        delete: (id) => jobs.deletion.delete(caller.tenant, id, lookup, {}),
        retry: (id) => jobs.retry.retry(caller.tenant, id, { signal }),
      },
      watch: (messages) => watch.watch(caller.tenant, messages),
      channels: directory,
      urls,
      renditions: {
        makes: (rendition, mimeType) => bytes.renditions.makes(rendition, mimeType),
        // What is kept nowhere is made into nothing else.
        fromProvider: lazyMirror !== null,
      },
      bindsToOrigins: config.delivery.bindToOrigins,
      now,
      maxUploadBytes: config.upload.maxBytes,
      messageIds: config.federation.messageIds,
    };
  };
}

/** What scrapes ask the database. */
function measuredStore({ database, catalogue, inbox }: Stores): MeasuredStore {
  return {
    ping: () => database.ping(),
    mediaCounts: () => catalogue.counts(),
    eventCounts: () => inbox.counts(),
  };
}

/** The longest pause of a source within its bytes. */
const SOURCE_SILENCE_MS = 15_000;

function uploadSource({ network, upload: { timeoutMs } }: Config): UploadSource {
  const policy = new AddressPolicy(network);
  const silenceTimeoutMs = Math.min(SOURCE_SILENCE_MS, timeoutMs);
  // To strangers nothing is said that names this server.
  const fetch = new SafeFetch({ policy, headersTimeoutMs: timeoutMs, silenceTimeoutMs, userAgent: userAgent() });
  return { fetch, policy };
}

/** Without credentials, a page of another site must not reach this server under a name of its own. */
function knownHosts({ auth, server: { publicUrl, trustProxy } }: Config): KnownHosts | null {
  return auth.mode === 'none' && !auth.allowOpen ? { publicUrl, trustProxy } : null;
}

function authenticator(config: Config, apiKeys: ApiKeys): Authenticate {
  switch (config.auth.mode) {
    case 'none':
      return openToAll;
    case 'apiKey':
      return apiKeys.authenticate;
  }
}

/** For the tenant of a media. */
function allowedOrigins({ delivery }: Config, channels: ChannelDirectory): (mediaId: string) => readonly string[] {
  const { allowedOrigins: origins } = delivery;
  if (isList(origins)) return () => origins;
  return (mediaId) => origins[channels.findForSignedLink(decodeMediaId(mediaId)?.channelId ?? '')?.tenant ?? ''] ?? [];
}

// Array.isArray does not narrow readonly arrays.
function isList(value: object): value is readonly string[] {
  return Array.isArray(value);
}

/** Those of the configuration, else one that was generated once and is kept in the database. */
async function signingKeys({ delivery }: Config, { database }: Stores, logger: Logger): Promise<readonly SigningKey[]> {
  if (delivery.signingKeys.length === 0) return [await ensureSigningKey(database, dateOf(database.clock))];
  for (const { id, secret } of delivery.signingKeys) {
    if (Buffer.byteLength(secret) < RECOMMENDED_SECRET_BYTES) {
      const advice = `the secret of this signing key is short: ${RECOMMENDED_SECRET_BYTES} random bytes are advised`;
      logger.warn({ id }, advice);
    }
  }
  return delivery.signingKeys;
}

async function drain(http: FastifyInstance, logger: Logger): Promise<void> {
  const overdue = setTimeout(() => {
    logger.warn({ afterMs: DRAIN_MS }, 'open requests did not finish in time and are cut');
    http.server.closeAllConnections();
  }, DRAIN_MS);
  await http.close();
  clearTimeout(overdue);
}
