import type { Deletions } from '../../catalogue/deletions.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { MediaDeletion } from '../delete.js';

const CONCURRENCY = 4;

/** Kind `deletion`: key is the id of a media whose deletion a crash interrupted. */
export function deletionJobs(deletion: MediaDeletion, deletions: Deletions): JobHandler {
  return {
    kind: 'deletion',
    concurrency: CONCURRENCY,
    isTrusted: true,
    prepare: async (jobs) =>
      preparedJobs(await deletions.findMedia(jobs), (job, media) => ({
        perform: (signal) => deletion.resume(job, media, { signal }),
        condemn: async () => {},
      })),
  };
}

/** Kind `removal`: key is the id of a deleted media whose bytes are to be removed, and of which the CDN is to be told. */
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
