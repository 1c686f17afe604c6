import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Channel, ChannelId } from '../model/channel.js';
import type { Logger } from './logger.js';
import { ProcessMetrics } from './process-metrics.js';
import { type MeasuredStore, StoreMetrics } from './store-metrics.js';
import { packageVersion } from './version.js';

type MeasuredChannel = Pick<Channel, 'id' | 'provider'>;

export interface MetricsOptions {
  /** All of the process: no other channel's id becomes a label. */
  readonly channels: readonly MeasuredChannel[];
  readonly store: MeasuredStore;
  readonly logger: Logger;
}

/** What a channel's calls tell. */
export interface ProviderMetrics {
  /** @param outcome `2xx` and so on, or a code of a closed set for what kept an answer away */
  requestEnded(outcome: string, seconds: number): void;
  /** A channel has a circuit for each origin; whether one of them is open is asked at every scrape. */
  watchCircuit(isOpen: () => boolean): void;
}

/** A delivery from 1 ms, when all is in the page cache, to half a minute of video. */
const ANSWER_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const PROVIDER_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Stands for a channel id of a request that is no channel's: whoever calls must not name time series. */
const NO_CHANNEL = '(none)';
const TRANSPORTS = ['websocket', 'sse'] as const;
const OUTCOMES = ['accepted', 'rejected', 'failed'] as const;

/**
 * What operators watch, in a registry of this app's own. Labels are of closed sets, or the configuration's words: nothing
 * that a tenant, a provider or a caller said gets into one. To count costs about a microsecond and waits for nothing.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #process = new ProcessMetrics(this.#registry);
  readonly #store: StoreMetrics;
  readonly #answers: Histogram<'route' | 'method' | 'status'>;
  readonly #graphqlErrors: Counter<'code'>;
  readonly #webhookDeliveries: Counter<'channel' | 'outcome'>;
  readonly #providerRequests: Histogram<'provider' | 'channel' | 'outcome'>;
  readonly #subscriptions: Gauge;
  readonly #streams: Gauge<'transport'>;
  readonly #circuitOpen: Gauge<'provider' | 'channel'>;
  readonly #circuits = new Map<MeasuredChannel, Array<() => boolean>>();
  readonly #channelIds: ReadonlySet<ChannelId>;

  constructor({ channels, store, logger }: MetricsOptions) {
    const registers = [this.#registry];
    this.#channelIds = new Set(channels.map(({ id }) => id));
    this.#store = new StoreMetrics(this.#registry, store, logger);
    this.#answers = new Histogram({
      name: 'mediagraph_http_request_duration_seconds',
      help: 'From a request until its answer was sent or its client was gone, by the pattern of its route.',
      labelNames: ['route', 'method', 'status'],
      buckets: ANSWER_SECONDS,
      registers,
    });
    this.#graphqlErrors = new Counter({
      name: 'mediagraph_graphql_errors_total',
      help: 'Errors in GraphQL answers, by extensions.code.',
      labelNames: ['code'],
      registers,
    });
    this.#webhookDeliveries = new Counter({
      name: 'mediagraph_webhook_deliveries_total',
      help: 'Webhook deliveries: accepted (durable, or here already), rejected (not as agreed) or failed (to be repeated).',
      labelNames: ['channel', 'outcome'],
      registers,
    });
    // From the first on, so that what grows to one is seen to have grown.
    for (const { id: channel } of channels)
      for (const outcome of OUTCOMES) this.#webhookDeliveries.inc({ channel, outcome }, 0);
    this.#providerRequests = new Histogram({
      name: 'mediagraph_provider_request_duration_seconds',
      help: "Requests to a provider's API until the answer was there, repetitions each by itself; bytes until their headers.",
      labelNames: ['provider', 'channel', 'outcome'],
      buckets: PROVIDER_SECONDS,
      registers,
    });
    this.#streams = new Gauge({
      name: 'mediagraph_graphql_streams',
      help: 'Open connections that subscribe: WebSockets, and event streams, each of which is one operation.',
      labelNames: ['transport'],
      registers,
    });
    this.#subscriptions = new Gauge({
      name: 'mediagraph_subscriptions',
      help: 'Subscriptions that are open; several may share a WebSocket.',
      registers,
    });
    for (const transport of TRANSPORTS) this.#streams.set({ transport }, 0);
    this.#circuitOpen = new Gauge({
      name: 'mediagraph_provider_circuit_open',
      help: 'Whether a provider is not asked for the moment because it failed repeatedly: 1 or 0.',
      labelNames: ['provider', 'channel'],
      registers,
    });
    new Gauge({
      name: 'mediagraph_build_info',
      help: 'The version that runs; always 1.',
      labelNames: ['version'],
      registers,
    })
      .labels(packageVersion())
      .set(1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of a scrape. Resolves whatever state the process is in. */
  async text(): Promise<string> {
    await this.#store.read();
    this.#process.read();
    for (const [{ id: channel, provider }, circuits] of this.#circuits) {
      this.#circuitOpen.set({ provider, channel }, circuits.some((isOpen) => isOpen()) ? 1 : 0);
    }
    return this.#registry.metrics();
  }

  /** @param route a route's pattern, never an address */
  requestAnswered(route: string, method: string, status: number, seconds: number): void {
    this.#answers.observe({ route, method, status }, seconds);
  }

  /** @param code of the contract or of Apollo's protocol codes */
  graphqlError(code: string): void {
    this.#graphqlErrors.inc({ code });
  }

  /** @returns to be called when it is closed */
  streamOpened(transport: (typeof TRANSPORTS)[number]): () => void {
    this.#streams.inc({ transport });
    return () => this.#streams.dec({ transport });
  }

  /** @returns to be called when it is over; harmless when repeated */
  subscriptionOpened(): () => void {
    this.#subscriptions.inc();
    let isOpen = true;
    return () => {
      if (isOpen) this.#subscriptions.dec();
      isOpen = false;
    };
  }

  /** @param channelId as the caller wrote it */
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

  /** Ends what measures by itself. */
  close(): void {
    this.#process.close();
  }
}

function deliveryOutcome(status: number): (typeof OUTCOMES)[number] {
  if (status >= 500) return 'failed';
  return status >= 400 ? 'rejected' : 'accepted';
}
