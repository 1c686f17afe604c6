import { Gauge, type Registry } from 'prom-client';
import type { MediaStatus } from '../model/media.js';
import type { Logger } from './logger.js';
import { PacedQuestion, succeedsInTime } from './paced-question.js';

/** Media in the catalogue, whatever the tenant. */
export interface MediaCounts {
  readonly mediaByStatus: Readonly<Record<MediaStatus, number>>;
  readonly mirrorsDue: number;
}

/** Webhook events that are not done, whatever the tenant. */
export interface EventCounts {
  readonly due: number;
  readonly dead: number;
  /** When the event came that waits longest; null where none waits. */
  readonly oldestDueAt: Date | null;
}

/** Each rejects when the database does not answer. */
export interface MeasuredStore {
  ping(): Promise<void>;
  /** Reads an index from end to end: a good half second for a million media on the embedded database. */
  mediaCounts(): Promise<MediaCounts>;
  /** Reads what waits and what is dead. */
  eventCounts(): Promise<EventCounts>;
}

/** Prometheus gives up a scrape after ten seconds unless told otherwise; the database has this twice. */
const PATIENCE_MS = 2_000;

/**
 * What is in the database, for scrapes. However many come at once, each question is asked once; a database that is away
 * or slow holds none of them up for long, and what is not known then is left out rather than shown as nothing.
 */
export class StoreMetrics {
  readonly #up: Gauge;
  readonly #media: Gauge<'status'>;
  readonly #mirrorsDue: Gauge;
  readonly #events: Gauge<'state'>;
  readonly #oldestAge: Gauge;
  readonly #mediaCounts: PacedQuestion<MediaCounts>;
  readonly #eventCounts: PacedQuestion<EventCounts>;
  #pinging: Promise<void> | null = null;

  constructor(
    registry: Registry,
    private readonly store: MeasuredStore,
    logger: Logger,
  ) {
    const registers = [registry];
    this.#mediaCounts = new PacedQuestion(() => store.mediaCounts(), logger);
    this.#eventCounts = new PacedQuestion(() => store.eventCounts(), logger);
    this.#up = new Gauge({
      name: 'mediagraph_database_up',
      help: 'Whether the database answered: 1 or 0. While it does not, what it would have told is left out.',
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
      help: 'Media whose bytes are to be copied here: those that wait and those under way.',
      registers,
    });
    this.#events = new Gauge({
      name: 'mediagraph_webhook_events',
      help: 'Webhook events that are not done: due (waiting or under way) and dead (given up, kept as they came).',
      labelNames: ['state'],
      registers,
    });
    this.#oldestAge = new Gauge({
      name: 'mediagraph_webhook_oldest_due_age_seconds',
      help: 'How long ago the webhook event came that is due the longest; 0 where none is.',
      registers,
    });
  }

  /** Resolves in four seconds at most, and never rejects. */
  async read(): Promise<void> {
    const questions = [this.#mediaCounts, this.#eventCounts];
    this.#pinging ??= this.store.ping().finally(() => {
      this.#pinging = null;
    });
    const isUp = await succeedsInTime(this.#pinging, PATIENCE_MS);
    this.#up.set(isUp ? 1 : 0);
    if (isUp) await Promise.all(questions.map((question) => question.refresh(PATIENCE_MS)));
    else for (const question of questions) question.forget();
    this.#showMedia(this.#mediaCounts.answer);
    this.#showEvents(this.#eventCounts.answer);
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
    this.#oldestAge.set(oldestDueAt ? Math.max(0, (Date.now() - oldestDueAt.getTime()) / 1000) : 0);
  }
}
