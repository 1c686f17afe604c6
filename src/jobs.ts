import { randomUUID } from 'node:crypto';
import type { CataloguedMedia } from './catalogue/media-catalogue.js';
import type { UploadJob } from './catalogue/uploads.js';
import type { InboxEvent } from './catalogue/webhook-inbox.js';
import type { Config } from './config.js';
import { MediaDeletion } from './media/delete.js';
import { LEASE_MS, LeasedWorker } from './media/leased-worker.js';
import { Mirror } from './media/mirror.js';
import { WebhookReception } from './media/receive.js';
import type { UrlSigner } from './media/signed-url.js';
import { type SweepReport, sweep } from './media/sweep.js';
import { MediaUpload } from './media/upload.js';
import { type MediaBytes, openPurge } from './media-bytes.js';
import type { MediaId } from './model/media.js';
import { OriginPools } from './net/origin-pools.js';
import type { AddressPolicy } from './net/public-address.js';
import type { SafeFetch } from './net/safe-fetch.js';
import type { ChannelDirectory } from './providers/channel-directory.js';
import { connectChannels } from './providers/connect-channels.js';
import type { Stores } from './stores.js';
import type { Logger } from './telemetry/logger.js';

/** Webhook events are small and wait for nothing but the database. */
const INBOX_CONCURRENCY = 16;
/** Of those that another process left; a mutation does its own at once. */
const UPLOAD_CONCURRENCY = 4;
/** As `mediagraph sweep` has it by default. */
const ORPHAN_GRACE_MS = 60 * 60 * 1000;

export interface JobsOptions {
  readonly config: Config;
  readonly channels: ChannelDirectory;
  readonly stores: Stores;
  readonly urls: UrlSigner;
  /** Fetches what callers want uploaded. */
  readonly source: UploadSource;
  readonly bytes: Pick<MediaBytes, 'inspector' | 'forget' | 'purge'>;
  readonly logger: Logger;
}

/** Guarded, by this policy. */
export interface UploadSource {
  readonly fetch: SafeFetch;
  readonly policy: AddressPolicy;
}

export interface Jobs {
  readonly reception: WebhookReception;
  readonly upload: MediaUpload;
  readonly deletion: MediaDeletion;
  start(): Promise<void>;
  /** Hands back what is under way. */
  stop(): Promise<void>;
}

/** The work that goes on behind the entrances: webhook events, copies, uploads, deletions, the sweep. */
export function createJobs({ config, channels, stores, urls, source, bytes, logger }: JobsOptions): Jobs {
  const { jobsCatalogue: catalogue, inbox, uploads, deletions, blobs, database } = stores;
  const owner = randomUUID();
  const { inspector } = bytes;
  const mirror = new Mirror({ channels, catalogue, blobs, inspector, maxBytes: config.upload.maxBytes, logger });
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
  const upload = new MediaUpload({
    channels,
    // Whoever uploads or deletes waits for the answer.
    catalogue: stores.catalogue,
    uploads,
    blobs,
    inspector,
    source: source.fetch,
    policy: source.policy,
    urls,
    maxBytes: config.upload.maxBytes,
    timeoutMs: config.upload.timeoutMs,
    respondWithinMs: config.upload.respondWithinMs,
    retentionMs: config.retention.defaultMs,
    owner,
    logger,
  });
  const uploadWorker = new LeasedWorker<UploadJob>({
    name: 'upload',
    concurrency: UPLOAD_CONCURRENCY,
    work: (job, signal) => upload.resume(job, signal),
    source: {
      claim: (limit) => uploads.claim({ owner, now: new Date(), limit, leaseMs: LEASE_MS }),
      // Each upload holds its own, a mutation's too.
      renewLeases: async () => {},
      release: () => uploads.release(owner),
    },
    logger,
  });
  const deletion = new MediaDeletion({ channels, catalogue: stores.catalogue, deletions, blobs, ...bytes, logger });
  const sweeper = new Sweeper(
    config.retention.sweepIntervalMs,
    async (signal) => {
      const report = await sweep({ ...stores, deletion, graceMs: ORPHAN_GRACE_MS, dryRun: false, signal });
      await database.maintain();
      logger.debug({ ...report }, 'swept');
    },
    logger,
  );
  return {
    reception,
    upload,
    deletion,
    start: async () => {
      // Alone on its database, this process knows that whoever held a lease is dead.
      if (database.engine === 'embedded') {
        const queues = [catalogue, inbox, uploads, deletions];
        await Promise.all(queues.map((queue) => queue.abandonLeases()));
      }
      inboxWorker.start();
      mirrorWorker.start();
      uploadWorker.start();
      sweeper.start();
    },
    stop: async () => {
      // Before their leases are handed back.
      await upload.stop();
      await Promise.all([inboxWorker.stop(), mirrorWorker.stop(), uploadWorker.stop(), sweeper.stop()]);
    },
  };
}

export interface SweepOnceOptions extends Pick<JobsOptions, 'config' | 'stores' | 'logger'> {
  readonly dryRun: boolean;
  readonly graceMs: number;
}

/** One sweep without a server. A deletion that a crash interrupted goes on at its provider. */
export async function sweepOnce({ config, stores, logger, ...how }: SweepOnceOptions): Promise<SweepReport> {
  const pools = new OriginPools();
  const providers = connectChannels(config, { pools, quota: stores.quota, facts: stores.facts, logger });
  const cdn = openPurge(config);
  try {
    const purge = cdn && ((tag: MediaId) => cdn.purge(tag));
    // Replicas that still remember a media forget it by themselves; nobody waits here to be told.
    const forget = async () => {};
    const deletion = new MediaDeletion({ channels: providers.directory, ...stores, forget, purge, logger });
    return await sweep({ ...stores, deletion, ...how });
  } finally {
    await Promise.all([providers.close(), pools.close(), cdn?.close()]);
  }
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
