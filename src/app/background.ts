import { randomUUID } from 'node:crypto';
import type { MediaName, MirrorJob } from '../catalogue/media-catalogue.js';
import type { UploadJob } from '../catalogue/uploads.js';
import type { InboxEvent } from '../catalogue/webhook-inbox.js';
import type { Config } from '../config/config.js';
import { JobLock } from '../jobs/job-lock.js';
import { LEASE_MS, LeasedWorker } from '../jobs/leased-worker.js';
import type { UrlSigner } from '../links/signed-url.js';
import { MediaDeletion } from '../media/delete.js';
import { Mirror } from '../media/mirror.js';
import { WebhookReception } from '../media/receive/receive.js';
import { MediaRetry } from '../media/retry.js';
import { type SweepReport, sweep } from '../media/sweep.js';
import { MediaUpload } from '../media/upload/upload.js';
import type { TenantId } from '../model/channel.js';
import { dateOf } from '../model/clock.js';
import type { MediaId } from '../model/media.js';
import { OriginPools } from '../net/client/origin-pools.js';
import type { AddressPolicy } from '../net/guarded/public-address.js';
import type { SafeFetch } from '../net/guarded/safe-fetch.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import { connectChannels } from '../providers/connect-channels.js';
import type { Logger } from '../telemetry/logger.js';
import { type MediaBytes, openPurge } from './media-bytes.js';
import type { Stores } from './stores.js';

/** Webhook events are small and wait for nothing but the database. */
const INBOX_CONCURRENCY = 16;
/** Others wait their turn. */
const UPLOAD_CONCURRENCY = 8;
const UPLOADS_OF_A_TENANT = 4;
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
  readonly retry: MediaRetry;
  start(): Promise<void>;
  /** Begins no more, and hands back what no caller waits for. Before a process that is told to stop can be killed. */
  handBack(): Promise<void>;
  /** Hands back what is under way. */
  stop(): Promise<void>;
}

/** The work that goes on behind the entrances: webhook events, copies, uploads, deletions, the sweep. */
export function createJobs({ config, channels, stores, urls, source, bytes, logger }: JobsOptions): Jobs {
  const { jobsCatalogue: catalogue, inbox, uploads, deletions, blobs, database } = stores;
  const { clock } = database;
  const owner = randomUUID();
  const lock = new JobLock();
  const { inspector } = bytes;
  const claimed = (limit: number) => ({ owner, now: dateOf(clock), limit, leaseMs: LEASE_MS });
  const keeping = { blobs, inspector, clock };
  const mirror = new Mirror({ channels, catalogue, ...keeping, maxBytes: config.upload.maxBytes, logger });
  const mirrorWorker = new LeasedWorker<MirrorJob>({
    name: 'mirror',
    concurrency: config.mirror.concurrency,
    work: (job, signal) => mirror.copy(job, owner, signal),
    source: {
      claim: (limit) => catalogue.claimMirrors(claimed(limit)),
      renewLeases: (jobs) =>
        renewed(
          jobs,
          ({ media }) => media,
          (media) => catalogue.renewLeases(owner, media, dateOf(clock), LEASE_MS),
        ),
      setAlone: ({ media }, isAlone) => catalogue.setAlone(owner, media, isAlone),
      release: () => catalogue.releaseMirrors(owner),
      condemn: (job) => mirror.condemn(job, owner),
      nameOf: ({ media }) => `${media.tenant}\n${media.id}`,
    },
    lock,
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
    clock,
    logger,
  });
  const inboxWorker = new LeasedWorker<InboxEvent>({
    name: 'inbox',
    concurrency: INBOX_CONCURRENCY,
    work: (event) => reception.process(event, owner),
    source: {
      claim: (limit) => inbox.claim(claimed(limit)),
      renewLeases: (events) => inbox.renewLeases(owner, events, dateOf(clock), LEASE_MS),
      setAlone: (event, isAlone) => inbox.setAlone(owner, event, isAlone),
      release: () => inbox.release(owner),
      condemn: (event) => reception.condemn(event, owner),
      nameOf: ({ id }) => String(id),
    },
    lock,
    logger,
  });
  const upload = new MediaUpload({
    channels,
    // A caller waits for the answer.
    catalogue: stores.catalogue,
    uploads,
    ...keeping,
    source: source.fetch,
    policy: source.policy,
    urls,
    maxBytes: config.upload.maxBytes,
    timeoutMs: config.upload.timeoutMs,
    respondWithinMs: config.upload.respondWithinMs,
    retentionMs: config.retention.defaultMs,
    owner,
    onReserved: () => uploadWorker.wake(),
    logger,
  });
  const turns = new TenantTurns(UPLOADS_OF_A_TENANT);
  const uploadWorker = new LeasedWorker<UploadJob>({
    name: 'upload',
    concurrency: UPLOAD_CONCURRENCY,
    work: (job, signal) => turns.during(job.media.tenant, () => upload.carryOut(job, signal)),
    source: {
      claim: async (limit) => {
        const jobs: UploadJob[] = [];
        while (jobs.length < limit) {
          const job = await uploads.claim(claimed(1), turns.without(jobs.map(({ media }) => media.tenant)));
          if (!job) break;
          jobs.push(job);
        }
        return jobs;
      },
      renewLeases: async (jobs) => {
        const media = jobs.map((job) => job.media);
        await uploads.renewLeases(owner, media, dateOf(clock), LEASE_MS);
        // One that was lost goes on nevertheless: it takes back what it has handed to the provider.
        return new Set(jobs);
      },
      setAlone: ({ media }, isAlone) => uploads.setAlone(owner, media, isAlone),
      release: () => uploads.release(owner),
      condemn: (job) => upload.condemn(job),
      nameOf: ({ media }) => `${media.tenant}\n${media.id}`,
    },
    lock,
    logger,
  });
  const deletion = new MediaDeletion({
    channels,
    catalogue: stores.catalogue,
    deletions,
    blobs,
    ...bytes,
    clock,
    logger,
  });
  const retry = new MediaRetry({
    channels,
    catalogue: stores.catalogue,
    upload,
    mirrors: config.mirror.mode === 'eager',
    onDue: () => mirrorWorker.wake(),
    clock,
    logger,
  });
  const sweeper = new Sweeper(
    config.retention.sweepIntervalMs,
    async (signal) => {
      const how = { inspector, clock, graceMs: ORPHAN_GRACE_MS, dryRun: false, logger, signal };
      const report = await sweep({ ...stores, deletion, ...how });
      await database.maintain();
      logger.debug({ ...report }, 'swept');
    },
    logger,
  );
  return {
    reception,
    upload,
    deletion,
    retry,
    start: async () => {
      // Alone on its database, this process knows that every other owner of a lease is dead.
      if (database.engine === 'embedded') {
        const queues = [catalogue, inbox, uploads, deletions];
        await Promise.all(queues.map((queue) => queue.abandonLeases()));
      }
      inboxWorker.start();
      mirrorWorker.start();
      uploadWorker.start();
      sweeper.start();
    },
    handBack: async () => {
      await Promise.all([inboxWorker.stop(), mirrorWorker.stop(), sweeper.stop()]);
    },
    stop: async () => {
      upload.stop();
      await Promise.all([inboxWorker.stop(), mirrorWorker.stop(), uploadWorker.stop(), sweeper.stop()]);
    },
  };
}

/** Renews the leases of jobs by the media that they are about. */
async function renewed<Job, Name extends MediaName>(
  jobs: readonly Job[],
  mediaOf: (job: Job) => Name,
  renew: (media: readonly Name[]) => Promise<ReadonlySet<Name>>,
): Promise<ReadonlySet<Job>> {
  const held = await renew(jobs.map(mediaOf));
  return new Set(jobs.filter((job) => held.has(mediaOf(job))));
}

/** Keeps one tenant's jobs from taking every turn. */
class TenantTurns {
  readonly #underWay = new Map<TenantId, number>();

  constructor(private readonly most: number) {}

  async during(tenant: TenantId, work: () => Promise<void>): Promise<void> {
    this.#count(tenant, 1);
    try {
      await work();
    } finally {
      this.#count(tenant, -1);
    }
  }

  /** Tenants that have all of their turns, those of `claimed` jobs included. */
  without(claimed: readonly TenantId[]): TenantId[] {
    const taken = new Map(this.#underWay);
    for (const tenant of claimed) taken.set(tenant, (taken.get(tenant) ?? 0) + 1);
    return [...taken].filter(([, count]) => count >= this.most).map(([tenant]) => tenant);
  }

  #count(tenant: TenantId, change: 1 | -1): void {
    const count = (this.#underWay.get(tenant) ?? 0) + change;
    if (count > 0) this.#underWay.set(tenant, count);
    else this.#underWay.delete(tenant);
  }
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
    const { clock } = stores.database;
    const deletion = new MediaDeletion({ channels: providers.directory, ...stores, forget, purge, clock, logger });
    return await sweep({ ...stores, deletion, inspector: null, clock, logger, ...how });
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
