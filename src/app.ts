import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Config } from './config.js';
import type { GraphQLContext } from './graphql/context.js';
import { createGraphQLServers, type GraphQLServers } from './graphql/graphql-server.js';
import { createLoaders } from './graphql/loaders.js';
import { createSubgraphSchema } from './graphql/schema.js';
import { MediaDelivery } from './media/deliver.js';
import { MediaLookup } from './media/lookup.js';
import { UrlSigner } from './media/signed-url.js';
import { decodeMediaId } from './model/ids.js';
import { OriginPools } from './net/origin-pools.js';
import { type ConnectedProviders, connectChannels } from './providers/connect-channels.js';
import { ApiKeys, type Authenticate, openToAll } from './server/authenticate.js';
import { registerDeliveryRoute } from './server/delivery-route.js';
import { type OperationStart, registerGraphQLRoute } from './server/graphql-route.js';
import { registerHealthRoutes } from './server/health-route.js';
import { createHttpServer } from './server/http-server.js';
import { createLogger, type Logger } from './telemetry/logger.js';

/** What HMAC-SHA-256 can make use of (RFC 2104 section 3). */
const RECOMMENDED_SECRET_BYTES = 32;
const DRAIN_MS = 25_000;

/** A running server. Several may live in one process; nothing of one is shared with another. */
export interface App {
  /** The address that it listens on, e.g. `http://127.0.0.1:4000`. */
  readonly url: string;
  /** Takes over what may change while it runs: the API keys. */
  reload(config: Config): void;
  /** Drains: no new connections, open requests finish within 25 s, then everything is closed. */
  close(): Promise<void>;
}

export interface AppOptions {
  readonly config: Config;
  /** Default: JSON lines on standard output. */
  readonly logger?: Logger;
}

/** The composition root: the only place where drivers are constructed and rooms meet. */
export async function startApp({ config, logger = createLogger(config.log) }: AppOptions): Promise<App> {
  for (const path of config.withoutEffect) logger.warn({ path }, 'this key has no effect in this version');
  const state = { ready: false, url: '' };
  const pools = new OriginPools();
  const providers = connectChannels(config, pools);
  const urls = createUrlSigner(config, logger, () => state.url);
  const apiKeys = new ApiKeys(config.auth.apiKeys);
  const servers = await createGraphQLServers({
    schema: createSubgraphSchema(config.federation.messageIds),
    limits: config.limits,
    explorer: config.server.explorer,
    production: config.production,
    logger,
  });
  const http = createHttpServer({ logger, trustProxy: config.server.trustProxy });
  registerRoutes(http, {
    config,
    providers,
    urls,
    servers,
    isReady: () => state.ready,
    authenticate: authenticator(config, apiKeys),
  });
  state.url = await http.listen({ host: config.server.host, port: config.server.port });
  state.ready = true;
  logger.info({ url: state.url, channels: config.channels.length }, 'listening');
  return {
    url: state.url,
    reload: (next) => apiKeys.replace(next.auth.apiKeys),
    close: async () => {
      state.ready = false;
      await drain(http, logger);
      await Promise.all([servers.compiled.stop(), servers.traced.stop()]);
      await Promise.all([pools.close(), providers.close()]);
      logger.info('closed');
    },
  };
}

interface Routed {
  readonly config: Config;
  readonly providers: ConnectedProviders;
  readonly urls: UrlSigner;
  readonly servers: GraphQLServers;
  readonly isReady: () => boolean;
  readonly authenticate: Authenticate;
}

function registerRoutes(
  http: FastifyInstance,
  { config, providers, urls, servers, isReady, authenticate }: Routed,
): void {
  const { directory } = providers;
  const lookup = new MediaLookup(directory);
  registerHealthRoutes(http, { isReady });
  registerGraphQLRoute<GraphQLContext>(http, {
    servers,
    authenticate,
    routerSecret: config.server.routerSecret,
    bodyBytes: config.limits.bodyBytes,
    createContext: ({ caller, requestId, signal }: OperationStart) => ({
      caller,
      requestId,
      loaders: createLoaders(lookup, caller.tenant, { signal }),
      channels: directory,
      urls,
      now: Date.now(),
      maxUploadBytes: config.upload.maxBytes,
      messageIds: config.federation.messageIds,
    }),
  });
  registerDeliveryRoute(http, {
    urls,
    delivery: new MediaDelivery(directory),
    visibility: config.delivery.visibility,
    allowedOrigins: (mediaId) =>
      allowedOrigins(config, directory.findForSignedLink(decodeMediaId(mediaId)?.channelId ?? '')?.tenant),
  });
}

function authenticator(config: Config, apiKeys: ApiKeys): Authenticate {
  switch (config.auth.mode) {
    case 'none':
      return openToAll;
    case 'apiKey':
      return apiKeys.authenticate;
  }
}

function allowedOrigins({ delivery }: Config, tenant: string | undefined): readonly string[] {
  const { allowedOrigins: origins } = delivery;
  return isList(origins) ? origins : (origins[tenant ?? ''] ?? []);
}

// Private: Array.isArray does not narrow readonly arrays.
function isList(value: object): value is readonly string[] {
  return Array.isArray(value);
}

function createUrlSigner({ delivery, server }: Config, logger: Logger, listeningAt: () => string): UrlSigner {
  let keys = delivery.signingKeys;
  if (keys.length === 0) {
    logger.warn('delivery.signingKeys is not set: links end with this process and no other replica knows them');
    keys = [{ id: 'ephemeral', secret: randomBytes(32).toString('base64url') }];
  }
  for (const { id, secret } of keys) {
    if (Buffer.byteLength(secret) < RECOMMENDED_SECRET_BYTES) {
      logger.warn(
        { id },
        `the secret of this signing key is short: ${RECOMMENDED_SECRET_BYTES} random bytes are advised`,
      );
    }
  }
  return new UrlSigner({
    keys,
    baseUrl: () => delivery.baseUrl ?? server.publicUrl ?? listeningAt(),
    ttlMs: delivery.urlTtlMs,
  });
}

async function drain(http: FastifyInstance, logger: Logger): Promise<void> {
  const overdue = setTimeout(() => {
    logger.warn({ afterMs: DRAIN_MS }, 'open requests did not finish in time and are cut');
    http.server.closeAllConnections();
  }, DRAIN_MS);
  await http.close();
  clearTimeout(overdue);
}
