import type { GraphQLSchema } from 'graphql';
import type { Listing } from '../catalogue/media/media-catalogue.js';
import { ensureSigningKey } from '../catalogue/signing-keys.js';
import type { Config } from '../config/config.js';
import { LazyMirror } from '../delivery/first-copy.js';
import { RequestRates } from '../graphql/admission/request-rates.js';
import { createSubgraphSchema, createTracedSchema } from '../graphql/build-schema.js';
import { createGraphQLServers, type GraphQLServers } from '../graphql/graphql-server.js';
import { Overload } from '../http/overload.js';
import { RECOMMENDED_SECRET_BYTES } from '../links/settings.js';
import { type SigningKey, UrlSigner } from '../links/signed-url.js';
import { MediaLookup } from '../media/lookup/lookup.js';
import { Retention } from '../media/retention.js';
import { dateOf } from '../model/clock.js';
import { OriginPools } from '../net/client/origin-pools.js';
import { AddressPolicy } from '../net/guarded/public-address.js';
import { SafeFetch } from '../net/guarded/safe-fetch.js';
import { type ConnectedProviders, connectChannels, userAgent } from '../providers/connect-channels.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { type Authentication, openAuthentication } from './authentication.js';
import { createJobs, type Jobs, type UploadSource } from './background.js';
import { type MediaBytes, openMediaBytes } from './media-bytes.js';
import type { Stores } from './stores.js';
import { retentionTimes, TenantLimits } from './tenant-limits.js';

/** The maximum time between two parts of an upload's source, in milliseconds. */
const SOURCE_SILENCE_MS = 15_000;

export interface PartsOptions {
  readonly config: Config;
  readonly stores: Stores;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Variables of the explorer's example operations. */
  readonly exampleVariables?: Readonly<Record<string, unknown>>;
  /** The URL that this server listens on, available after it listens. */
  readonly ownUrl: () => string;
}

/** All parts of an app except its HTTP server. */
export interface Parts {
  readonly config: Config;
  readonly stores: Stores;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly pools: OriginPools;
  readonly providers: ConnectedProviders;
  readonly source: UploadSource;
  readonly authentication: Authentication;
  readonly schema: GraphQLSchema;
  readonly servers: GraphQLServers;
  readonly urls: UrlSigner;
  readonly bytes: MediaBytes;
  readonly jobs: Jobs;
  readonly lookup: MediaLookup;
  readonly retention: Retention;
  readonly rates: RequestRates;
  readonly limits: TenantLimits;
  readonly overload: Overload;
  /** Null if `mirror.mode` is off, so that delivered bytes are not stored. */
  readonly lazyMirror: LazyMirror | null;
}

/** Constructs and connects the parts. None of them starts to work. */
export async function createParts(options: PartsOptions): Promise<Parts> {
  const { config, stores, metrics, logger } = options;
  const pools = new OriginPools();
  const providers = connectChannels(config, { pools, quota: stores.quota, facts: stores.facts, logger, metrics });
  const { directory: channels } = providers;
  const source = uploadSource(config);
  const { schema, servers } = await graphQLServers(options);
  const urls = new UrlSigner({
    keys: await signingKeys(config, stores, logger),
    baseUrl: () => config.delivery.baseUrl ?? config.server.publicUrl ?? options.ownUrl(),
    ttlMs: config.delivery.urlTtlMs,
  });
  const bytes = await openMediaBytes(config, stores, { logger, metrics: metrics.work });
  const { clock } = stores.database;
  const { catalogue, blobs } = stores;
  const { publicUrl } = config.server;
  const authentication = await openAuthentication({ auth: config.auth, pools, publicUrl, clock, logger });
  const retention = new Retention(retentionTimes(config));
  const lookup = new MediaLookup({
    ...{ channels, catalogue, backgroundCatalogue: stores.jobsCatalogue, retention, clock, logger },
    copies: listedCopies(config.mirror),
    onToCopy: () => jobs.wake('copy'),
    metrics: metrics.work,
  });
  const jobs = createJobs({
    ...{ config, channels, stores, lookup, retention, urls, source, bytes, logger },
    metrics: metrics.work,
  });
  const { maxBytes } = config.upload;
  const { inspector } = bytes;
  const lazyMirror =
    config.mirror.mode === 'off' ? null : new LazyMirror({ catalogue, blobs, inspector, maxBytes, clock, logger });
  const limits = new TenantLimits(config);
  const { requestCounts: counts } = stores;
  const rates = new RequestRates({ counts, limitOf: (tenant) => limits.requestsPerMinute(tenant), metrics, logger });
  return {
    ...{ config, stores, metrics, logger, pools, providers, source, authentication },
    ...{ schema, servers, urls, bytes, jobs, lookup, retention, rates, limits, lazyMirror },
    overload: new Overload(config.limits.eventLoopDelay, metrics),
  };
}

/** PENDING media gets a job, because its message may not be read again. */
function listedCopies({ mode, listed }: Config['mirror']): Listing['copies'] {
  if (listed) return ['PENDING', 'READY'];
  return mode === 'eager' ? ['PENDING'] : [];
}

async function graphQLServers({
  config,
  exampleVariables,
  logger,
  metrics,
}: PartsOptions): Promise<Pick<Parts, 'schema' | 'servers'>> {
  const schema = createSubgraphSchema(config.federation);
  const servers = await createGraphQLServers({
    schema,
    tracedSchema: () => createTracedSchema(config.federation),
    limits: config.limits,
    explorer: config.server.explorer,
    exampleVariables,
    production: config.production,
    logger,
    metrics,
  });
  return { schema, servers };
}

function uploadSource({ network, upload: { timeoutMs } }: Config): UploadSource {
  const policy = new AddressPolicy(network);
  const silenceTimeoutMs = Math.min(SOURCE_SILENCE_MS, timeoutMs);
  // External hosts must not learn this server's name.
  const fetch = new SafeFetch({ policy, headersTimeoutMs: timeoutMs, silenceTimeoutMs, userAgent: userAgent() });
  return { fetch, policy };
}

/** The configured keys, or one that is generated once and stored in the database. */
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
