import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Channel, ChannelId } from '../model/channel.js';
import type { Logger } from './logger.js';
import { ProcessMetrics } from './process-metrics.js';
import { RefusalMetrics, type RefusalReason, type RefusedWork } from './refusal-metrics.js';
import { type MeasuredStore, StoreMetrics } from './store-metrics.js';
import { packageVersion } from './version.js';

type MeasuredChannel = Pick<Channel, 'id' | 'provider'>;

export interface MetricsOptions {
  /** The channels of the process; see {@link Metrics.setChannels}. */
  readonly channels: readonly MeasuredChannel[];
  readonly store: MeasuredStore;
  readonly logger: Logger;
}

/** The metrics of one channel's calls. */
export interface ProviderMetrics {
  /** @param outcome a status class such as `2xx`, or an error code of a closed set */
  requestEnded(outcome: string, seconds: number): void;
  /** Registers the circuit breaker of one origin of the channel. Every scrape reads whether one of them is open. */
  watchCircuit(isOpen: () => boolean): void;
}

/** Deliveries take from 1 ms, out of the page cache, to half a minute for a video. */
const ANSWER_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const PROVIDER_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Replaces unknown channel ids in requests: a caller must not be able to create time series. */
const NO_CHANNEL = '(none)';
const TRANSPORTS = ['websocket', 'sse'] as const;
const OUTCOMES = ['accepted', 'rejected', 'failed'] as const;

/**
 * The metrics of one app, in its own registry. Labels are closed sets or names from the configuration: no label holds a
 * value from a tenant, a provider or a caller. Recording takes about a microsecond and does no I/O.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #process = new ProcessMetrics(this.#registry);
  readonly #store: StoreMetrics;
  readonly #answers: Histogram<'route' | 'method' | 'status'>;
  readonly #graphqlErrors: Counter<'code'>;
  readonly #refusals = new RefusalMetrics(this.#registry);
  readonly #webhookDeliveries: Counter<'channel' | 'outcome'>;
  readonly #providerRequests: Histogram<'provider' | 'channel' | 'outcome'>;
  readonly #subscriptions: Gauge;
  readonly #streams: Gauge<'transport'>;
  readonly #circuitOpen: Gauge<'provider' | 'channel'>;
  readonly #circuits = new Map<MeasuredChannel, Array<() => boolean>>();
  #channelIds: ReadonlySet<ChannelId> = new Set();

  constructor({ channels, store, logger }: MetricsOptions) {
    const registers = [this.#registry];
    this.#store = new StoreMetrics(this.#registry, store, logger);
    this.#answers = new Histogram({
      name: 'mediagraph_http_request_duration_seconds',
      help: 'Duration of requests until the response was sent or the client disconnected, by route pattern.',
      labelNames: ['route', 'method', 'status'],
      buckets: ANSWER_SECONDS,
      registers,
    });
    this.#graphqlErrors = new Counter({
      name: 'mediagraph_graphql_errors_total',
      help: 'Errors in GraphQL responses, by extensions.code.',
      labelNames: ['code'],
      registers,
    });
    this.#webhookDeliveries = new Counter({
      name: 'mediagraph_webhook_deliveries_total',
      help: 'Webhook deliveries: accepted (stored, or a duplicate), rejected (invalid) or failed (the provider will retry).',
      labelNames: ['channel', 'outcome'],
      registers,
    });
    this.#providerRequests = new Histogram({
      name: 'mediagraph_provider_request_duration_seconds',
      help: "Duration of requests to a provider's API, each retry separately; of downloads until their headers.",
      labelNames: ['provider', 'channel', 'outcome'],
      buckets: PROVIDER_SECONDS,
      registers,
    });
    this.#streams = new Gauge({
      name: 'mediagraph_graphql_streams',
      help: 'Open subscription connections: WebSockets, and event streams, each of which carries one operation.',
      labelNames: ['transport'],
      registers,
    });
    this.#subscriptions = new Gauge({
      name: 'mediagraph_subscriptions',
      help: 'Open subscriptions; several may share a WebSocket.',
      registers,
    });
    for (const transport of TRANSPORTS) this.#streams.set({ transport }, 0);
    this.#circuitOpen = new Gauge({
      name: 'mediagraph_provider_circuit_open',
      help: 'Whether a circuit breaker of the channel is open after repeated failures: 1 or 0.',
      labelNames: ['provider', 'channel'],
      registers,
    });
    new Gauge({
      name: 'mediagraph_build_info',
      help: 'The running version; always 1.',
      labelNames: ['version'],
      registers,
    })
      .labels(packageVersion())
      .set(1);
    this.setChannels(channels);
  }

  /**
   * Sets the channels of the process. Ids of other channels never become labels.
   * @param channels the objects that {@link ofProvider} was called with
   */
  setChannels(channels: readonly MeasuredChannel[]): void {
    this.#channelIds = new Set(channels.map(({ id }) => id));
    // Starts every counter at 0, so that a scrape sees the first increase.
    for (const { id: channel } of channels)
      for (const outcome of OUTCOMES) this.#webhookDeliveries.inc({ channel, outcome }, 0);
    const current = new Set(channels);
    for (const channel of this.#circuits.keys()) {
      if (current.has(channel)) continue;
      this.#circuits.delete(channel);
      this.#circuitOpen.remove({ provider: channel.provider, channel: channel.id });
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Renders the metrics for a scrape. Never rejects. */
  async text(): Promise<string> {
    await this.#store.read();
    this.#process.read();
    for (const [{ id: channel, provider }, circuits] of this.#circuits) {
      this.#circuitOpen.set({ provider, channel }, circuits.some((isOpen) => isOpen()) ? 1 : 0);
    }
    return this.#registry.metrics();
  }

  /** @param route the pattern of the route, never the requested path */
  requestAnswered(route: string, method: string, status: number, seconds: number): void {
    this.#answers.observe({ route, method, status }, seconds);
  }

  /** @param code an error code of this API or of Apollo's protocol */
  graphqlError(code: string): void {
    this.#graphqlErrors.inc({ code });
  }

  requestRefused(work: RefusedWork, reason: RefusalReason): void {
    this.#refusals.refused(work, reason);
  }

  /** @returns a function to call when the stream closes */
  streamOpened(transport: (typeof TRANSPORTS)[number]): () => void {
    this.#streams.inc({ transport });
    return () => this.#streams.dec({ transport });
  }

  /** @returns a function to call when the subscription ends; repeated calls have no effect */
  subscriptionOpened(): () => void {
    this.#subscriptions.inc();
    let isOpen = true;
    return () => {
      if (isOpen) this.#subscriptions.dec();
      isOpen = false;
    };
  }

  /** @param channelId as the caller wrote it, so it may be unknown */
  webhookAnswered(channelId: string, status: number): void {
    const channel = this.#channelIds.has(channelId) ? channelId : NO_CHANNEL;
    this.#webhookDeliveries.inc({ channel, outcome: deliveryOutcome(status) });
  }

  ofProvider(channel: MeasuredChannel): ProviderMetrics {
    const { id, provider } = channel;
    const circuits: Array<() => boolean> = [];
    this.#circuits.set(channel, circuits);
    return {
      requestEnded: (outcome, seconds) => this.#providerRequests.observe({ provider, channel: id, outcome }, seconds),
      watchCircuit: (isOpen) => void circuits.push(isOpen),
    };
  }

  /** Stops the measurements that run continuously. */
  close(): void {
    this.#process.close();
  }
}

function deliveryOutcome(status: number): (typeof OUTCOMES)[number] {
  if (status >= 500) return 'failed';
  return status >= 400 ? 'rejected' : 'accepted';
}
