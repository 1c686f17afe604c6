import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../model/clock.js';
import type { CountsByKind } from '../model/job-kind.js';
import type { MediaStatus } from '../model/media.js';
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
}

/** Prometheus's default scrape timeout is ten seconds. The database may use up this limit twice. */
const PATIENCE_MS = 2_000;

/**
 * Reads metrics from the database for scrapes. Concurrent scrapes share one query of each kind. A database that is down
 * or slow delays a scrape only briefly; unknown values are left out rather than reported as zero.
 */
export class StoreMetrics {
  readonly #up: Gauge;
  readonly #media: Gauge<'status'>;
  readonly #mirrorsDue: Gauge;
  readonly #events: Gauge<'state'>;
  readonly #oldestAge: Gauge;
  readonly #mediaCounts: PacedQuery<MediaCounts>;
  readonly #eventCounts: PacedQuery<EventCounts>;
  readonly #jobs: JobMetrics;
  readonly #jobCounts: PacedQuery<CountsByKind>;
  #pinging: Promise<void> | null = null;

  constructor(
    registry: Registry,
    private readonly store: MeasuredStore,
    logger: Logger,
  ) {
    const registers = [registry];
    this.#mediaCounts = new PacedQuery(() => store.mediaCounts(), logger);
    this.#eventCounts = new PacedQuery(() => store.eventCounts(), logger);
    this.#jobCounts = new PacedQuery(() => store.jobCounts(), logger);
    this.#up = new Gauge({
      name: 'mediagraph_database_up',
      help: 'Whether the database responds: 1 or 0. While it does not, the metrics from it are missing.',
      registers,
    });
    this.#media = new Gauge({
      name: 'mediagraph_media',
      help: 'Media in the catalogue.',
      labelNames: ['status'],
      registers,
    });
    this.#mirrorsDue = new Gauge({
      name: 'mediagraph_mirrors_due',
      help: 'Media whose bytes are to be copied here, waiting or in progress.',
      registers,
    });
    this.#events = new Gauge({
      name: 'mediagraph_webhook_events',
      help: 'Unfinished webhook events: due (waiting or in progress) and dead (given up, kept for inspection).',
      labelNames: ['state'],
      registers,
    });
    this.#oldestAge = new Gauge({
      name: 'mediagraph_webhook_oldest_due_age_seconds',
      help: 'Age of the oldest due webhook event; 0 if none is due.',
      registers,
    });
    this.#jobs = new JobMetrics(registry);
  }

  /** Resolves within four seconds and never rejects. */
  async read(): Promise<void> {
    const queries = [this.#mediaCounts, this.#eventCounts, this.#jobCounts];
    this.#pinging ??= this.store.ping().finally(() => {
      this.#pinging = null;
    });
    const isUp = await succeedsInTime(this.#pinging, PATIENCE_MS);
    this.#up.set(isUp ? 1 : 0);
    if (isUp) await Promise.all(queries.map((query) => query.refresh(PATIENCE_MS)));
    else for (const query of queries) query.discard();
    this.#showMedia(this.#mediaCounts.result);
    this.#showEvents(this.#eventCounts.result);
    this.#jobs.show(this.#jobCounts.result, this.store.clock.now());
  }

  #showMedia(counts: MediaCounts | null): void {
    this.#media.reset();
    this.#mirrorsDue.remove();
    if (!counts) return;
    for (const [status, count] of Object.entries(counts.mediaByStatus)) this.#media.set({ status }, count);
    this.#mirrorsDue.set(counts.mirrorsDue);
  }

  #showEvents(counts: EventCounts | null): void {
    this.#events.reset();
    this.#oldestAge.remove();
    if (!counts) return;
    const { due, dead, oldestDueAt } = counts;
    this.#events.set({ state: 'due' }, due);
    this.#events.set({ state: 'dead' }, dead);
    this.#oldestAge.set(oldestDueAt ? Math.max(0, (this.store.clock.now() - oldestDueAt.getTime()) / 1000) : 0);
  }
}
