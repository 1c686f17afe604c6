import { adoptPreviousWork } from '../catalogue/previous-work.js';
import type { Config } from '../config/config.js';
import { JobNews } from '../jobs/job-news.js';
import { JobWorker } from '../jobs/job-worker.js';
import type { UrlSigner } from '../links/signed-url.js';
import { MediaDeletion } from '../media/delete.js';
import { copyJobs } from '../media/jobs/copy-job.js';
import { deletionJobs, removalJobs } from '../media/jobs/deletion-jobs.js';
import { inspectionJobs } from '../media/jobs/inspection-job.js';
import { SWEEP, sweepJobs } from '../media/jobs/sweep-job.js';
import { uploadJobs } from '../media/jobs/upload-job.js';
import { webhookJobs } from '../media/jobs/webhook-job.js';
import type { MediaLookup } from '../media/lookup/lookup.js';
import { Mirror } from '../media/mirror.js';
import { WebhookReception } from '../media/receive/receive.js';
import type { Retention } from '../media/retention.js';
import { MediaRetry } from '../media/retry.js';
import { type SweepReport, sweep } from '../media/sweep.js';
import { MediaUpload } from '../media/upload/upload.js';
import { addMilliseconds, dateOf } from '../model/clock.js';
import type { JobKind } from '../model/job-kind.js';
import type { MediaId } from '../model/media.js';
import { OriginPools } from '../net/client/origin-pools.js';
import type { AddressPolicy } from '../net/guarded/public-address.js';
import type { SafeFetch } from '../net/guarded/safe-fetch.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';
import { connectChannels } from '../providers/connect-channels.js';
import type { WorkMetrics } from '../telemetry/instruments/work-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import { type MediaBytes, openPurge } from './media-bytes.js';
import type { Stores } from './stores.js';

/** The default of `mediagraph sweep`. */
const ORPHAN_GRACE_MS = 60 * 60 * 1000;

export interface JobsOptions {
  readonly config: Config;
  readonly channels: ChannelDirectory;
  readonly stores: Stores;
  readonly lookup: Pick<MediaLookup, 'record' | 'recordListed'>;
  readonly retention: Retention;
  readonly urls: UrlSigner;
  /** Downloads the sources of uploads. */
  readonly source: UploadSource;
  readonly bytes: Pick<MediaBytes, 'inspector' | 'forget' | 'purge'>;
  readonly logger: Logger;
  readonly metrics?: Pick<WorkMetrics, 'copyEnded' | 'jobEnded'>;
}

/** A client that enforces the address policy. */
export interface UploadSource {
  readonly fetch: SafeFetch;
  readonly policy: AddressPolicy;
}

export interface Jobs {
  readonly reception: WebhookReception;
  readonly upload: MediaUpload;
  readonly deletion: MediaDeletion;
  readonly retry: MediaRetry;
  /** A job of this kind may have been added. */
  wake(kind: JobKind): void;
  /** The channels have changed, so that other jobs may be performed. */
  channelsChanged(): void;
  start(): Promise<void>;
  /**
   * Releases the jobs that no caller waits for, and claims no more of them. Call it before the process may be killed.
   */
  handBack(): Promise<void>;
  /** Releases the running jobs. */
  stop(): Promise<void>;
}

/** Creates the background work: webhook events, copies, uploads, deletions, the sweep. */
export function createJobs(options: JobsOptions): Jobs {
  const { config, channels, stores, bytes, logger, metrics } = options;
  const { inbox, uploads, copies, deletions, jobs, jobsCatalogue, database } = stores;
  const { clock } = database;
  const added = (kind: JobKind) => news.announce(kind);
  const verbs = createVerbs(options, added);
  const { reception, upload, deletion, retry, mirror } = verbs;
  const adopt = () => adoptPreviousWork(database, { now: dateOf(clock), leasesBefore: dateOf(clock) });
  const sweepOptions = { ...stores, adopt, deletion: null, clock, graceMs: ORPHAN_GRACE_MS, dryRun: false, logger };
  const worker = new JobWorker({
    store: jobs,
    handlers: [
      webhookJobs({ reception, inbox, channels }),
      copyJobs({ mirror, copies, channels, concurrency: config.mirror.concurrency }),
      uploadJobs({ upload, uploads, channels }),
      deletionJobs(deletion, deletions),
      removalJobs(deletion, deletions),
      inspectionJobs({ copies, catalogue: jobsCatalogue, inspector: bytes.inspector, jobs, clock, logger }),
      sweepJobs({
        jobs,
        intervalMs: config.retention.sweepIntervalMs,
        sweep: async (signal) => {
          const report = await sweep({ ...sweepOptions, signal });
          await database.maintain();
          logger.debug({ ...report }, 'swept');
        },
        clock,
        logger,
      }),
    ],
    ...{ clock, logger, metrics },
  });
  const news = new JobNews({ database, onNews: (kinds) => worker.wake(kinds), logger });
  return {
    ...{ reception, upload, deletion, retry },
    wake: added,
    channelsChanged: () => worker.wake(),
    start: async () => {
      await news.start();
      await jobs.add({ ...SWEEP, dueAt: addMilliseconds(dateOf(clock), config.retention.sweepIntervalMs) });
      worker.start();
    },
    handBack: () => worker.handBack(),
    stop: async () => {
      upload.stop();
      news.stop();
      await worker.stop();
    },
  };
}

/**
 * Creates the parts of `media/` that entrances and jobs share.
 * @param added reports that a job of a kind was added
 */
function createVerbs(
  { config, channels, stores, lookup, retention, urls, source, bytes, logger, metrics }: JobsOptions,
  added: (kind: JobKind) => void,
) {
  const { jobsCatalogue, inbox, uploads, copies, deletions, jobs, blobs, database } = stores;
  const { clock } = database;
  const mirrors = config.mirror.mode === 'eager';
  const { maxBytes, timeoutMs, respondWithinMs } = config.upload;
  const keeping = { blobs, inspector: bytes.inspector, clock };
  // A caller waits for the result, so these use the catalogue with priority.
  const answering = { channels, catalogue: stores.catalogue, clock, logger };
  const mirror = new Mirror({ channels, catalogue: jobsCatalogue, copies, ...keeping, maxBytes, logger, metrics });
  const reception = new WebhookReception({
    ...{ channels, inbox, jobs, catalogue: jobsCatalogue, lookup, mirrors, retention, clock, logger },
    onRecorded: () => added('webhook'),
    onAnnounced: () => added('copy'),
  });
  const upload = new MediaUpload({
    ...{ ...answering, ...keeping, uploads, urls, maxBytes, timeoutMs, respondWithinMs, retention },
    source: source.fetch,
    policy: source.policy,
    onReserved: () => added('upload'),
  });
  const deletion = new MediaDeletion({ ...answering, deletions, jobs, blobs, ...bytes });
  const retry = new MediaRetry({ ...answering, lookup, upload, mirrors, onDue: () => added('copy') });
  return { mirror, reception, upload, deletion, retry };
}

export interface SweepOnceOptions extends Pick<JobsOptions, 'config' | 'stores' | 'logger'> {
  readonly dryRun: boolean;
  readonly graceMs: number;
}

/** Runs one sweep without a server. It continues interrupted deletions at the provider. */
export async function sweepOnce({ config, stores, logger, ...how }: SweepOnceOptions): Promise<SweepReport> {
  const pools = new OriginPools();
  const providers = connectChannels(config, { pools, quota: stores.quota, facts: stores.facts, logger });
  const cdn = openPurge(config);
  try {
    const purge = cdn && ((tag: MediaId) => cdn.purge(tag));
    // Replicas drop a row within a quarter of a second, and no caller waits for that here.
    const forget = async () => {};
    const { clock } = stores.database;
    const deletion = new MediaDeletion({ channels: providers.directory, ...stores, forget, purge, clock, logger });
    return await sweep({ ...stores, deletion, clock, logger, ...how });
  } finally {
    await Promise.all([providers.close(), pools.close(), cdn?.close()]);
  }
}
