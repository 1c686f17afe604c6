import type { WebhookInbox } from '../../catalogue/webhook-inbox.js';
import { type JobHandler, preparedJobs } from '../../jobs/job-handler.js';
import type { ChannelDirectory } from '../../providers/channel-directory.js';
import type { WebhookReception } from '../receive/receive.js';

/** Events are small and depend only on the database. */
const CONCURRENCY = 16;

export interface WebhookJobsOptions {
  readonly reception: WebhookReception;
  readonly inbox: WebhookInbox;
  readonly channels: ChannelDirectory;
}

/**
 * Kind `webhook`. The key is the id of a webhook event. A dead letter is an event that could not be parsed or recorded.
 */
export function webhookJobs({ reception, inbox, channels }: WebhookJobsOptions): JobHandler {
  return {
    kind: 'webhook',
    concurrency: CONCURRENCY,
    channels: () => channels.withWebhook(),
    prepare: async (jobs) =>
      preparedJobs(await inbox.findEvents(jobs), (job, event) => ({
        perform: () => reception.process(job, event),
        condemn: () => reception.condemn(job),
      })),
  };
}
