import type { Copies } from '../../catalogue/media/copies.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { ChannelDirectory } from '../../providers/channel-directory.js';
import type { Mirror } from '../mirror.js';

export interface CopyJobsOptions {
  readonly mirror: Mirror;
  readonly copies: Copies;
  readonly channels: ChannelDirectory;
  /** `mirror.concurrency` */
  readonly concurrency: number;
}

/**
 * Kind `copy`. The key is the id of a media whose bytes the provider has. The media's row contains the result: READY,
 * FAILED or EXPIRED. There are no dead letters.
 */
export function copyJobs({ mirror, copies, channels, concurrency }: CopyJobsOptions): JobHandler {
  return {
    kind: 'copy',
    concurrency,
    channels: () => channels.all(),
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
