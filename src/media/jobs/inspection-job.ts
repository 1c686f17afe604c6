import type { Copies } from '../../catalogue/media/copies.js';
import type { CataloguedMedia, MediaCatalogue } from '../../catalogue/media/media-catalogue.js';
import type { MediaInspector } from '../../inspection/inspect.js';
import { inspectStored, recordInspection, recordLateFacts } from '../../inspection/stored-bytes.js';
import type { ClaimedJob } from '../../jobs/job.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { JobStore } from '../../jobs/job-store.js';
import type { Clock } from '../../model/clock.js';
import type { Logger } from '../../telemetry/logger.js';

/** One job at a time is sufficient: until then, only the placeholder and the size in pixels are missing. */
const CONCURRENCY = 1;

export interface InspectionJobsOptions {
  readonly copies: Pick<Copies, 'findMedia'>;
  readonly catalogue: Pick<MediaCatalogue, 'recordMeasures'>;
  readonly inspector: MediaInspector;
  readonly jobs: Pick<JobStore, 'finish'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Kind `inspection`. The key is the id of a media whose bytes were stored during a delivery, if the process died before
 * it inspected them.
 */
export function inspectionJobs(options: InspectionJobsOptions): JobHandler {
  return {
    kind: 'inspection',
    concurrency: CONCURRENCY,
    prepare: async (jobs) =>
      preparedJobs(await options.copies.findMedia(jobs), (job, media) => ({
        perform: (signal) => inspect(options, job, media, signal),
        condemn: async () => void (await options.jobs.finish(job)),
      })),
  };
}

async function inspect(
  options: InspectionJobsOptions,
  job: ClaimedJob,
  media: CataloguedMedia,
  signal: AbortSignal,
): Promise<void> {
  const { stored } = media;
  if (stored && stored.measures === null) {
    const found = await inspectStored(options, stored, stored.mimeType ?? 'application/octet-stream', signal);
    await recordInspection(options, media, found);
    await recordLateFacts(options, media, found);
  }
  await options.jobs.finish(job);
}
