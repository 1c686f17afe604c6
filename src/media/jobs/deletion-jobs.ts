import type { Deletions } from '../../catalogue/deletions.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { MediaDeletion } from '../delete.js';

const CONCURRENCY = 4;

/** Kind `deletion`. The key is the id of a media whose deletion a crash interrupted. */
export function deletionJobs(deletion: MediaDeletion, deletions: Deletions): JobHandler {
  return {
    kind: 'deletion',
    concurrency: CONCURRENCY,
    channels: () => deletion.channels,
    isTrusted: true,
    prepare: async (jobs) =>
      preparedJobs(await deletions.findMedia(jobs), (job, media) => ({
        perform: (signal) => deletion.resume(job, media, { signal }),
        condemn: async () => {},
      })),
  };
}

/**
 * Kind `removal`. The key is the id of a deleted media whose bytes must be deleted and which must be purged from the
 * CDN.
 */
export function removalJobs(deletion: MediaDeletion, deletions: Deletions): JobHandler {
  return {
    kind: 'removal',
    concurrency: CONCURRENCY,
    isTrusted: true,
    prepare: async (jobs) =>
      preparedJobs(await deletions.findMedia(jobs), (job, media) => ({
        perform: async () => void (await deletion.remove(job, media)),
        condemn: async () => {},
      })),
  };
}
