import { randomUUID } from 'node:crypto';
import type { CataloguedMedia } from './catalogue/media-catalogue.js';
import type { InboxEvent } from './catalogue/webhook-inbox.js';
import type { Config } from './config.js';
import { LEASE_MS, LeasedWorker } from './media/leased-worker.js';
import { Mirror } from './media/mirror.js';
import { WebhookReception } from './media/receive.js';
import { sweep } from './media/sweep.js';
import type { ChannelDirectory } from './providers/channel-directory.js';
import type { Stores } from './stores.js';
import type { Logger } from './telemetry/logger.js';

/** Webhook events are small and wait for nothing but the database. */
const INBOX_CONCURRENCY = 16;
/** As `mediagraph sweep` has it by default. */
const ORPHAN_GRACE_MS = 60 * 60 * 1000;

export interface Jobs {
  readonly reception: WebhookReception;
  start(): Promise<void>;
  /** Hands back what is under way. */
  stop(): Promise<void>;
}

/** The work that goes on behind the entrances: webhook events, copies, the sweep. */
export function createJobs(config: Config, channels: ChannelDirectory, stores: Stores, logger: Logger): Jobs {
  const { jobsCatalogue: catalogue, inbox, blobs, database } = stores;
  const owner = randomUUID();
  const mirror = new Mirror({ channels, catalogue, blobs, maxBytes: config.upload.maxBytes, logger });
  const mirrorWorker = new LeasedWorker<CataloguedMedia>({
    name: 'mirror',
    concurrency: config.mirror.concurrency,
    work: (media, signal) => mirror.copy(media, owner, signal),
    source: {
      claim: (limit) => catalogue.claimMirrors({ owner, now: new Date(), limit, leaseMs: LEASE_MS }),
      renewLeases: (media) => catalogue.renewLeases(owner, media, new Date(), LEASE_MS),
      release: () => catalogue.releaseMirrors(owner, new Date()),
    },
    logger,
  });
  const reception = new WebhookReception({
    channels,
    inbox,
    catalogue,
    mirrors: config.mirror.mode === 'eager',
    retentionMs: config.retention.defaultMs,
    onRecorded: () => inboxWorker.wake(),
    onAnnounced: () => mirrorWorker.wake(),
    logger,
  });
  const inboxWorker = new LeasedWorker<InboxEvent>({
    name: 'inbox',
    concurrency: INBOX_CONCURRENCY,
    work: (event) => reception.process(event, owner),
    source: {
      claim: (limit) => inbox.claim({ owner, now: new Date(), limit, leaseMs: LEASE_MS }),
      renewLeases: (events) => inbox.renewLeases(owner, events, new Date(), LEASE_MS),
      release: () => inbox.release(owner),
    },
    logger,
  });
  const sweeper = new Sweeper(
    config.retention.sweepIntervalMs,
    async (signal) => {
      const report = await sweep({ catalogue, inbox, blobs, graceMs: ORPHAN_GRACE_MS, dryRun: false, signal });
      await database.maintain();
      logger.debug({ ...report }, 'swept');
    },
    logger,
  );
  return {
    reception,
    start: async () => {
      // Alone on its database, this process knows that whoever held a lease is dead.
      if (database.engine === 'embedded') await Promise.all([catalogue.abandonLeases(), inbox.abandonLeases()]);
      inboxWorker.start();
      mirrorWorker.start();
      sweeper.start();
    },
    stop: async () => {
      await Promise.all([inboxWorker.stop(), mirrorWorker.stop(), sweeper.stop()]);
    },
  };
}

class Sweeper {
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;

  constructor(
    private readonly intervalMs: number,
    private readonly run: (signal: AbortSignal) => Promise<void>,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.run(this.#stopping.signal)
        .catch((err: unknown) => {
          if (!this.#stopping.signal.aborted) this.logger.warn({ err }, 'the sweep failed; the next one goes on');
        })
        .finally(() => {
          this.#running = null;
        });
    }, this.intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort(new Error('the server stops'));
    await this.#running;
  }
}
