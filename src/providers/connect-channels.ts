import type { ProviderName } from '../model/channel.js';
import type { OriginPools } from '../net/client/origin-pools.js';
import { type CallPolicy, ProviderHttpClient } from '../net/client/provider-http-client.js';
import { AddressPolicy } from '../net/guarded/public-address.js';
import { SafeFetch } from '../net/guarded/safe-fetch.js';
import { judgeRedirect } from '../net/guarded/url-policy.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { ProviderTrace } from '../telemetry/tracing.js';
import { packageVersion } from '../telemetry/version.js';
import type { AdapterContext } from './adapter-context.js';
import { ChannelDirectory } from './channel-directory.js';
import { type ChannelFacts, NO_FACTS } from './channel-facts.js';
import type { ChannelSettings } from './channel-schema.js';
import type { Quota } from './quota.js';
import { createAdapter, createWebhook } from './registry.js';
import { RefusalLog } from './toolkit/refusal-log.js';

export interface ConnectOptions {
  readonly channels: readonly ChannelSettings[];
  readonly providers: Readonly<Record<ProviderName, CallPolicy>>;
  readonly network: { readonly allowPrivate: readonly string[]; readonly allowedPorts: readonly number[] };
  readonly upload: { readonly maxBytes: number };
  readonly server?: { readonly publicUrl: string | null };
  readonly tracing?: { readonly propagateToProviders: boolean };
}

export interface SharedResources {
  readonly pools: OriginPools;
  readonly quota: Quota;
  /** Default: each process learns the facts itself. */
  readonly facts?: ChannelFacts;
  /** Receives providers' refusals. Default: they are not logged. */
  readonly logger?: Pick<Logger, 'info'>;
  readonly metrics?: Pick<Metrics, 'ofProvider'>;
}

export interface ConnectedProviders {
  readonly directory: ChannelDirectory;
  /** Closes the connections of the guarded fetches. The owner of the pools closes those. */
  close(): Promise<void>;
}

/**
 * The User-Agent header (RFC 9110 section 10.1.5): the version and, if configured, the public URL, where a provider can
 * find the operator.
 */
export function userAgent(publicUrl: string | null = null): string {
  const product = `mediagraph/${packageVersion()}`;
  return publicUrl === null ? product : `${product} (+${publicUrl})`;
}

/**
 * Creates an adapter for every channel, each with its own credentials, limits and address policy. It opens no
 * connection.
 */
export function connectChannels(options: ConnectOptions, shared: SharedResources): ConnectedProviders {
  const fetches: SafeFetch[] = [];
  const agent = userAgent(options.server?.publicUrl);
  const connected = options.channels.map((channel) => {
    const { context, safeFetch } = contextFor(channel, options, shared, agent);
    fetches.push(safeFetch);
    const { id, tenant, provider } = channel;
    return { id, tenant, provider, adapter: createAdapter(channel, context), webhook: createWebhook(channel) };
  });
  return {
    directory: new ChannelDirectory(connected),
    close: async () => {
      await Promise.all(fetches.map((safeFetch) => safeFetch.close()));
    },
  };
}

function contextFor(
  channel: ChannelSettings,
  options: ConnectOptions,
  { pools, quota, facts = NO_FACTS, logger, metrics }: SharedResources,
  agent: string,
): { context: AdapterContext; safeFetch: SafeFetch } {
  const { baseUrl } = channel;
  const callPolicy = options.providers[channel.provider];
  const { timeoutMs } = callPolicy;
  const { allowPrivate, allowedPorts } = options.network;
  const policy = new AddressPolicy({ allowPrivate: [...allowPrivate, ...channel.options.allowPrivate], allowedPorts });
  const channelMetrics = metrics?.ofProvider(channel);
  const trace = new ProviderTrace({ channel, propagates: options.tracing?.propagateToProviders ?? false });
  const safeFetch = new SafeFetch({
    policy,
    headersTimeoutMs: timeoutMs,
    silenceTimeoutMs: timeoutMs,
    userAgent: agent,
  });
  const refusals = logger && new RefusalLog({ channel, secrets: secretsOf(channel), logger });
  const context: AdapterContext = {
    createHttpClient: (credentials, mediaOrigin) =>
      new ProviderHttpClient({
        baseUrl: mediaOrigin ?? baseUrl,
        policy: callPolicy,
        pools,
        metrics: channelMetrics,
        trace,
        headers: { 'user-agent': agent, ...credentials },
      }),
    safeFetch,
    judgeRedirect: (location, path) => judgeRedirect(location, new URL(path, baseUrl), policy),
    quota,
    facts,
    onRefusal: (refusal) => refusals?.record(refusal),
    maxDownloadBytes: options.upload.maxBytes,
    timeoutMs,
  };
  return { context, safeFetch };
}

/** Returns the channel's credentials, as configured and as sent. */
function secretsOf({ credentials }: ChannelSettings): readonly string[] {
  const values = Object.values(credentials);
  const basic = 'username' in credentials ? [`${credentials.username}:${credentials.password}`] : [];
  return [...values, ...basic.map((pair) => Buffer.from(pair).toString('base64'))];
}
