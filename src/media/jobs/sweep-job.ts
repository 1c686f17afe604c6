import type { ClaimedJob } from '../../jobs/job.js';
import type { JobHandler } from '../../jobs/job-handler.js';
import type { JobStore } from '../../jobs/job-store.js';
import { addMilliseconds, type Clock, dateOf } from '../../model/clock.js';
import type { Logger } from '../../telemetry/logger.js';

export interface SweepJobsOptions {
  readonly jobs: Pick<JobStore, 'reschedule'>;
  /** `retention.sweepInterval`, milliseconds */
  readonly intervalMs: number;
  readonly sweep: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The only job of kind `sweep`, so that one replica sweeps at a time. */
export const SWEEP = { kind: 'sweep', tenant: '', key: '', channelId: null } as const;

/** Kind `sweep`. There is one job, which is rescheduled when it ends. */
export function sweepJobs({ jobs, intervalMs, sweep, clock, logger }: SweepJobsOptions): JobHandler {
  const perform = async (job: ClaimedJob, signal: AbortSignal): Promise<void> => {
    try {
      await sweep(signal);
    } catch (err) {
      if (signal.aborted) return;
      logger.warn({ err }, 'the sweep failed; the next one continues');
    }
    await jobs.reschedule(job, addMilliseconds(dateOf(clock), intervalMs));
  };
  return {
    kind: 'sweep',
    concurrency: 1,
    isTrusted: true,
    prepare: async (claimed) =>
      new Map(claimed.map((job) => [job, { perform: (signal) => perform(job, signal), condemn: async () => {} }])),
  };
}
