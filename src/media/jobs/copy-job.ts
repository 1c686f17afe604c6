import type { Copies } from '../../catalogue/media/copies.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { Mirror } from '../mirror.js';

/**
 * Kind `copy`. The key is the id of a media whose bytes the provider has. The media's row contains the result: READY,
 * FAILED or EXPIRED. There are no dead letters.
 */
export function copyJobs(mirror: Mirror, copies: Copies, concurrency: number): JobHandler {
  return {
    kind: 'copy',
    concurrency,
    prepare: async (jobs) => {
      const media = await copies.findMedia(jobs);
      const toCopy = [...media].filter(([, { mirrored, stored }]) => mirrored && !stored);
      return preparedJobs(new Map(toCopy), (job, subject) => ({
        perform: (signal) => mirror.copy(job, subject, signal),
        condemn: () => mirror.condemn(job),
      }));
    },
  };
}
