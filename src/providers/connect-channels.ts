import { isDeepStrictEqual } from 'node:util';
import type { ChannelId, ProviderName } from '../model/channel.js';
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
import { ChannelDirectory, type ConnectedChannel } from './channel-directory.js';
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

/** The ids of channels that a reload changed. */
export interface ChannelChanges {
  readonly added: readonly ChannelId[];
  readonly changed: readonly ChannelId[];
  readonly removed: readonly ChannelId[];
}

export interface ConnectedProviders {
  readonly directory: ChannelDirectory;
  /** The settings of the channels that are in force. */
  settings(): readonly ChannelSettings[];
  /**
   * Connects other channels. Channels with equal settings stay as they are. Work in progress continues with the channels
   * that it has found. It changes nothing if it throws.
   */
  replace(channels: readonly ChannelSettings[]): ChannelChanges;
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

/** How long work in progress may begin calls of a channel that was replaced or removed. */
const RETIREMENT_MS = 10 * 60 * 1000;

interface Connection {
  readonly settings: ChannelSettings;
  readonly channel: ConnectedChannel;
  readonly safeFetch: SafeFetch;
}

/**
 * Creates an adapter for every channel, each with its own credentials, limits and address policy. It opens no
 * connection.
 */
export function connectChannels(options: ConnectOptions, shared: SharedResources): ConnectedProviders {
  const agent = userAgent(options.server?.publicUrl);
  const connect = (settings: ChannelSettings): Connection => {
    const { context, safeFetch } = contextFor(settings, options, shared, agent);
    const { id, tenant, provider, retention } = settings;
    const channel = {
      id,
      tenant,
      provider,
      retention,
      adapter: createAdapter(settings, context),
      webhook: createWebhook(settings),
    };
    return { settings, channel, safeFetch };
  };
  let current = options.channels.map(connect);
  const directory = new ChannelDirectory(current.map(({ channel }) => channel));
  /** The fetches of earlier channels, and the timers that close them. */
  const retired = new Map<SafeFetch, NodeJS.Timeout>();
  const retire = ({ safeFetch }: Connection): void => {
    const end = async () => {
      await safeFetch.closeWhenIdle();
      retired.delete(safeFetch);
    };
    retired.set(safeFetch, setTimeout(() => void end(), RETIREMENT_MS).unref());
  };
  return {
    directory,
    settings: () => current.map(({ settings }) => settings),
    replace: (channels) => {
      const before = new Map(current.map((connection) => [connection.settings.id, connection]));
      const next = channels.map((settings) => {
        const known = before.get(settings.id);
        return known && isDeepStrictEqual(known.settings, settings) ? known : connect(settings);
      });
      const kept = new Set(next);
      for (const connection of current) if (!kept.has(connection)) retire(connection);
      const changes = changesBetween(current, next);
      current = next;
      directory.replace(next.map(({ channel }) => channel));
      return changes;
    },
    close: async () => {
      for (const timer of retired.values()) clearTimeout(timer);
      const fetches = [...current.map(({ safeFetch }) => safeFetch), ...retired.keys()];
      await Promise.all(fetches.map((safeFetch) => safeFetch.close()));
    },
  };
}

function changesBetween(before: readonly Connection[], after: readonly Connection[]): ChannelChanges {
  const known = new Map(before.map((connection) => [connection.channel.id, connection]));
  const ids = after.map(({ channel }) => channel.id);
  const kept = new Set(ids);
  return {
    added: ids.filter((id) => !known.has(id)),
    changed: after.filter((next) => (known.get(next.channel.id) ?? next) !== next).map(({ channel }) => channel.id),
    removed: [...known.keys()].filter((id) => !kept.has(id)),
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
