import type { Uploads } from '../../catalogue/uploads.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { MediaUpload } from '../upload/upload.js';

/** Others wait their turn, PENDING. */
const CONCURRENCY = 8;
const PER_TENANT = 4;

/** Kind `upload`: key is the id of an uploaded media, payload what is to be fetched. Its end is in the media's row. */
export function uploadJobs(upload: MediaUpload, uploads: Uploads): JobHandler {
  return {
    kind: 'upload',
    concurrency: CONCURRENCY,
    perTenant: PER_TENANT,
    isAwaited: true,
    // It takes back what it has handed to the provider.
    outlivesLease: true,
    prepare: async (jobs) =>
      preparedJobs(await uploads.findUploads(jobs), (_job, reserved) => ({
        perform: (signal) => upload.carryOut(reserved, signal),
        condemn: () => upload.condemn(reserved),
      })),
  };
}
