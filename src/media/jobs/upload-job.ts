import type { Uploads } from '../../catalogue/uploads.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { ChannelDirectory } from '../../providers/channel-directory.js';
import type { MediaUpload } from '../upload/upload.js';

/** Further uploads wait and stay PENDING. */
const CONCURRENCY = 8;
const PER_TENANT = 4;

export interface UploadJobsOptions {
  readonly upload: MediaUpload;
  readonly uploads: Uploads;
  readonly channels: ChannelDirectory;
}

/**
 * Kind `upload`. The key is the id of an uploaded media, and the payload is its source. The media's row contains the
 * result.
 */
export function uploadJobs({ upload, uploads, channels }: UploadJobsOptions): JobHandler {
  return {
    kind: 'upload',
    concurrency: CONCURRENCY,
    perTenant: PER_TENANT,
    channels: () => channels.all(),
    isAwaited: true,
    // After a lost lease, the job still deletes what it uploaded to the provider.
    outlivesLease: true,
    prepare: async (jobs) =>
      preparedJobs(await uploads.findUploads(jobs), (_job, reserved) => ({
        perform: (signal) => upload.carryOut(reserved, signal),
        condemn: () => upload.condemn(reserved),
      })),
  };
}
