import type { TenantId } from '../model/channel.js';
import type { Clock } from '../model/clock.js';
import type { CountsByKind } from '../model/job-kind.js';
import type { MediaStatus } from '../model/media.js';
import type { Gauging, Instruments } from './instruments/instruments.js';
import { JobMetrics } from './job-metrics.js';
import type { Logger } from './logger.js';
import { PacedQuery, succeedsInTime } from './paced-query.js';

/** Counts of media in the catalogue, over all tenants. */
export interface MediaCounts {
  readonly mediaByStatus: Readonly<Record<MediaStatus, number>>;
  readonly mirrorsDue: number;
}

/** Counts of unfinished webhook events, over all tenants. */
export interface EventCounts {
  readonly due: number;
  readonly dead: number;
  /** When the oldest due event arrived; null where none is due. */
  readonly oldestDueAt: Date | null;
}

/** Every query rejects when the database does not respond. */
export interface MeasuredStore {
  /** The clock of the times in the counts. */
  readonly clock: Clock;
  ping(): Promise<void>;
  /** Scans a whole index, which takes more than half a second for a million media on the embedded database. */
  mediaCounts(): Promise<MediaCounts>;
  /** Reads due and dead events. */
  eventCounts(): Promise<EventCounts>;
  /** Reads all jobs. */
  jobCounts(): Promise<CountsByKind>;
  /** The bytes of stored originals. Scans the whole table of media. */
  storedBytes(): Promise<ReadonlyMap<TenantId, number>>;
}

/** Prometheus's default scrape timeout is ten seconds. The database may use up this limit twice. */
const PATIENCE_MS = 2_000;
/** The shortest time between two counts of the stored bytes. */
const STORED_BYTES_EVERY_MS = 60_000;
/** The tenants with a time series of their own. */
const MAX_TENANTS = 100;
const OTHER_TENANTS = '(other)';

/**
 * Reads metrics from the database for scrapes. Concurrent scrapes share one query of each kind. A database that is down
 * or slow delays a scrape only briefly; unknown values are left out rather than reported as zero.
 */
export class StoreMetrics {
  readonly #up: Gauging;
  readonly #media: Gauging<'status'>;
  readonly #mirrorsDue: Gauging;
  readonly #events: Gauging<'state'>;
  readonly #oldestAge: Gauging;
  readonly #stored: Gauging<'tenant'>;
  readonly #mediaCounts: PacedQuery<MediaCounts>;
  readonly #eventCounts: PacedQuery<EventCounts>;
  readonly #jobs: JobMetrics;
  readonly #jobCounts: PacedQuery<CountsByKind>;
  readonly #storedBytes: PacedQuery<ReadonlyMap<TenantId, number>>;
  #pinging: Promise<void> | null = null;

  constructor(
    instruments: Instruments,
    private readonly store: MeasuredStore,
    logger: Logger,
  ) {
    this.#mediaCounts = new PacedQuery(() => store.mediaCounts(), logger);
    this.#eventCounts = new PacedQuery(() => store.eventCounts(), logger);
    this.#jobCounts = new PacedQuery(() => store.jobCounts(), logger);
    this.#storedBytes = new PacedQuery(() => store.storedBytes(), logger, STORED_BYTES_EVERY_MS);
    this.#up = instruments.gauge('mediagraph_database_up');
    this.#media = instruments.gauge('mediagraph_media');
    this.#mirrorsDue = instruments.gauge('mediagraph_mirrors_due');
    this.#events = instruments.gauge('mediagraph_webhook_events');
    this.#oldestAge = instruments.gauge('mediagraph_webhook_oldest_due_age_seconds');
    this.#stored = instruments.gauge('mediagraph_stored_bytes');
    this.#jobs = new JobMetrics(instruments);
  }

  /**
   * Resolves within four seconds and never rejects.
   * @param tenants the tenants that may become labels
   */
  async read(tenants: ReadonlySet<TenantId>): Promise<void> {
    const queries = [this.#mediaCounts, this.#eventCounts, this.#jobCounts, this.#storedBytes];
    this.#pinging ??= this.store.ping().finally(() => {
      this.#pinging = null;
    });
    const isUp = await succeedsInTime(this.#pinging, PATIENCE_MS);
    this.#up.set({}, isUp ? 1 : 0);
    if (isUp) await Promise.all(queries.map((query) => query.refresh(PATIENCE_MS)));
    else for (const query of queries) query.discard();
    this.#showMedia(this.#mediaCounts.result);
    this.#showEvents(this.#eventCounts.result);
    this.#jobs.show(this.#jobCounts.result, this.store.clock.now());
    this.#showStored(this.#storedBytes.result, tenants);
  }

  #showMedia(counts: MediaCounts | null): void {
    this.#media.reset();
    this.#mirrorsDue.remove({});
    if (!counts) return;
    for (const [status, count] of Object.entries(counts.mediaByStatus)) this.#media.set({ status }, count);
    this.#mirrorsDue.set({}, counts.mirrorsDue);
  }

  #showEvents(counts: EventCounts | null): void {
    this.#events.reset();
    this.#oldestAge.remove({});
    if (!counts) return;
    const { due, dead, oldestDueAt } = counts;
    this.#events.set({ state: 'due' }, due);
    this.#events.set({ state: 'dead' }, dead);
    this.#oldestAge.set({}, oldestDueAt ? Math.max(0, (this.store.clock.now() - oldestDueAt.getTime()) / 1000) : 0);
  }
  #showStored(byTenant: ReadonlyMap<TenantId, number> | null, tenants: ReadonlySet<TenantId>): void {
    this.#stored.reset();
    if (!byTenant) return;
    const known = [...byTenant].filter(([tenant]) => tenants.has(tenant)).sort(([, a], [, b]) => b - a);
    const shown = new Map(known.slice(0, MAX_TENANTS));
    let others = 0;
    for (const [tenant, bytes] of byTenant) {
      if (shown.has(tenant)) this.#stored.set({ tenant }, bytes);
      else others += bytes;
    }
    if (shown.size < byTenant.size) this.#stored.set({ tenant: OTHER_TENANTS }, others);
  }
}
