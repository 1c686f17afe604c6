import type { Channel, ChannelId, TenantId } from '../model/channel.js';
import { type Counting, type Gauging, Instruments, type Observing } from './instruments/instruments.js';
import { type MeasuredResources, ResourceMetrics } from './instruments/resource-metrics.js';
import { WorkMetrics } from './instruments/work-metrics.js';
import type { Logger } from './logger.js';
import { ProcessMetrics } from './process-metrics.js';
import { RefusalMetrics, type RefusalReason, type RefusedWork } from './refusal-metrics.js';
import { type MeasuredStore, StoreMetrics } from './store-metrics.js';
import { packageVersion } from './version.js';

type MeasuredChannel = Pick<Channel, 'id' | 'tenant' | 'provider'>;

export interface MetricsOptions {
  /** The channels of the process; see {@link Metrics.setChannels}. */
  readonly channels: readonly MeasuredChannel[];
  readonly store: MeasuredStore;
  readonly resources: MeasuredResources;
  readonly logger: Logger;
  /** `metrics.enabled`. Default: true. */
  readonly enabled?: boolean;
  /** `metrics.operations`. Default: none. */
  readonly operations?: readonly string[];
}

/** The metrics of one channel's calls. */
export interface ProviderMetrics {
  /** @param outcome a status class such as `2xx`, or an error code of a closed set */
  requestEnded(outcome: string, seconds: number): void;
  /** Registers the circuit breaker of one origin of the channel. Every scrape reads whether one of them is open. */
  watchCircuit(isOpen: () => boolean): void;
}

/** Replaces unknown channel ids in requests: a caller must not be able to create time series. */
const NO_CHANNEL = '(none)';
const TRANSPORTS = ['websocket', 'sse'] as const;
const OUTCOMES = ['accepted', 'rejected', 'failed'] as const;

/**
 * The metrics of one app; `instruments/metric-list.ts` lists them. Labels are closed sets or names from the configuration:
 * no label holds a value from a provider or a caller. Recording takes about a microsecond and does no I/O. What a scrape
 * can read itself is read by the scrape.
 */
export class Metrics {
  readonly work: WorkMetrics;
  readonly #instruments: Instruments;
  readonly #process: ProcessMetrics;
  readonly #store: StoreMetrics;
  readonly #resources: ResourceMetrics;
  readonly #answers: Observing<'route' | 'method' | 'status'>;
  readonly #graphqlErrors: Counting<'code'>;
  readonly #webhookDeliveries: Counting<'channel' | 'outcome'>;
  readonly #providerRequests: Observing<'provider' | 'channel' | 'outcome'>;
  readonly #subscriptions: Gauging;
  readonly #streams: Gauging<'transport'>;
  readonly #circuitOpen: Gauging<'provider' | 'channel'>;
  readonly #refusals: RefusalMetrics;
  readonly #circuits = new Map<MeasuredChannel, Array<() => boolean>>();
  #channelIds: ReadonlySet<ChannelId> = new Set();
  #tenants: ReadonlySet<TenantId> = new Set();

  constructor({ channels, store, resources, logger, enabled = true, operations = [] }: MetricsOptions) {
    const instruments = new Instruments(enabled);
    this.#instruments = instruments;
    this.#process = new ProcessMetrics(instruments);
    this.#store = new StoreMetrics(instruments, store, logger);
    this.#resources = new ResourceMetrics(instruments, resources);
    this.work = new WorkMetrics(instruments, operations);
    this.#refusals = new RefusalMetrics(instruments);
    this.#answers = instruments.histogram('mediagraph_http_request_duration_seconds');
    this.#graphqlErrors = instruments.counter('mediagraph_graphql_errors_total');
    this.#webhookDeliveries = instruments.counter('mediagraph_webhook_deliveries_total');
    this.#providerRequests = instruments.histogram('mediagraph_provider_request_duration_seconds');
    this.#streams = instruments.gauge('mediagraph_graphql_streams');
    this.#subscriptions = instruments.gauge('mediagraph_subscriptions');
    this.#circuitOpen = instruments.gauge('mediagraph_provider_circuit_open');
    instruments.gauge('mediagraph_build_info').set({ version: packageVersion() }, 1);
    for (const transport of TRANSPORTS) this.#streams.set({ transport }, 0);
    this.setChannels(channels);
  }

  /**
   * Sets the channels of the process. Ids of other channels, and tenants without a channel, never become labels.
   * @param channels the objects that {@link ofProvider} was called with
   */
  setChannels(channels: readonly MeasuredChannel[]): void {
    this.#channelIds = new Set(channels.map(({ id }) => id));
    this.#tenants = new Set(channels.map(({ tenant }) => tenant));
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

  /** Whether there is anything to scrape. */
  get isEnabled(): boolean {
    return this.#instruments.isEnabled;
  }

  get contentType(): string {
    return this.#instruments.contentType;
  }

  /** Renders the metrics for a scrape. Never rejects. */
  async text(): Promise<string> {
    // The connections first: the other queries use them.
    await Promise.all([this.#resources.read(), this.#store.read(this.#tenants)]);
    this.#process.read();
    for (const [{ id: channel, provider }, circuits] of this.#circuits) {
      this.#circuitOpen.set({ provider, channel }, circuits.some((isOpen) => isOpen()) ? 1 : 0);
    }
    return this.#instruments.text();
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
    this.#subscriptions.inc({});
    let isOpen = true;
    return () => {
      if (isOpen) this.#subscriptions.dec({});
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
