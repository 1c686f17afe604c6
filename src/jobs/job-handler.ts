import type { Channel } from '../model/channel.js';
import type { JobKind } from '../model/job-kind.js';
import type { ClaimedJob } from './job.js';

/** A channel whose jobs a process can perform. */
export type JobChannel = Pick<Channel, 'tenant' | 'id'>;

/** What a process does with the jobs of one kind. */
export interface JobHandler {
  readonly kind: JobKind;
  /** How many jobs of the kind a process performs at once. */
  readonly concurrency: number;
  /** How many of them may be one tenant's; absent: all. */
  readonly perTenant?: number;
  /**
   * The work reads no bytes from outside, and so is not blamed when a process dies: it never runs alone, and is begun again
   * however often that happens.
   */
  readonly isTrusted?: boolean;
  /** Callers wait for these jobs: they go on while a server that was told to stop finishes its requests. */
  readonly isAwaited?: boolean;
  /** A job whose lease was lost goes on, since its work takes back what it has done outside. */
  readonly outlivesLease?: boolean;
  /**
   * The channels that this process has, for a kind that needs the job's channel: the same list until they change. Jobs of
   * other channels stay for processes that have them. Absent: the kind needs no channel.
   */
  readonly channels?: () => readonly JobChannel[];
  /** Reads what the jobs are about, for all of them at once. A job that is absent from the answer is moot, and ends. */
  prepare(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, PreparedJob>>;
}

/** Both methods end, postpone or bury the job in the store, whatever happens; a rejection leaves the job to its lease. */
export interface PreparedJob {
  /** The signal aborts when the server stops, or when the lease is another process's. */
  perform(signal: AbortSignal): Promise<void>;
  /** Gives up a job that has ended its process too often. */
  condemn(): Promise<void>;
}

/** Gives every job that has a subject its work. */
export function preparedJobs<Subject>(
  subjects: ReadonlyMap<ClaimedJob, Subject>,
  prepare: (job: ClaimedJob, subject: Subject) => PreparedJob,
): ReadonlyMap<ClaimedJob, PreparedJob> {
  return new Map([...subjects].map(([job, subject]) => [job, prepare(job, subject)]));
}
