import type { FastifyInstance } from 'fastify';
import { MediaDelivery } from '../delivery/deliver.js';
import { registerDeliveryRoute } from '../delivery/http/delivery-route.js';
import type { HotAnswers } from '../delivery/http/hot-answers.js';
import { registerGraphQLRoute } from '../graphql/transport/graphql-route.js';
import { serveSubscriptionSockets } from '../graphql/transport/subscription-sockets.js';
import type { Admit } from '../http/admission.js';
import { registerHealthRoutes } from '../server/health-route.js';
import { registerWebhookRoutes } from '../server/webhook-route.js';
import { allowedOrigins, knownHosts } from './access.js';
import { contextCreator } from './operation-context.js';
import type { Parts } from './parts.js';

export interface RoutesOptions {
  readonly hot: HotAnswers;
  /** The public URL of this server. */
  readonly publicUrl: () => string;
  readonly isReady: () => boolean;
  readonly admit: Admit;
}

/** Connects the HTTP server with the parts: health, GraphQL, subscriptions, delivery, webhooks. */
export function registerRoutes(http: FastifyInstance, parts: Parts, routes: RoutesOptions): void {
  const { config, providers, stores, jobs, bytes, lookup, lazyMirror, logger, urls, servers } = parts;
  const { publicUrl, isReady } = routes;
  const { directory } = providers;
  const { database, blobs } = stores;
  registerHealthRoutes(http, {
    isReady,
    dependencies: [
      { name: 'database', ping: () => database.ping() },
      { name: 'blob store', ping: () => blobs.ping() },
    ],
    authenticationFault: () => parts.authentication.fault(),
  });
  const graphql = {
    operations: servers.streamed,
    admit: routes.admit,
    rates: parts.rates,
    overload: parts.overload,
    createContext: contextCreator(parts),
    metrics: parts.metrics,
    clock: stores.database.clock,
  };
  const { allowedOrigins: pages } = config.server;
  const { bodyBytes } = config.limits;
  registerGraphQLRoute(http, { ...graphql, servers, bodyBytes, allowedOrigins: pages });
  serveSubscriptionSockets(http, {
    ...graphql,
    schema: parts.schema,
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
      offloadPrefix: config.delivery.offload === null ? null : config.delivery.offloadPrefix,
      lookup,
      clock: stores.database.clock,
      lazyMirror,
      logger,
    }),
    metrics: parts.metrics.work,
    visibility: config.delivery.visibility,
    hot: routes.hot,
    overload: parts.overload,
    allowedOrigins: allowedOrigins(config, directory),
  });
  registerWebhookRoutes(http, { reception: jobs.reception, publicUrl, metrics: parts.metrics });
}
