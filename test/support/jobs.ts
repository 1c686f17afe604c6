import { randomUUID } from 'node:crypto';
import { SqlCopies } from '../../src/catalogue/media/copies.js';
import type { CataloguedMedia } from '../../src/catalogue/media/media-catalogue.js';
import { SqlUploads, type UploadJob } from '../../src/catalogue/uploads.js';
import { type InboxEvent, SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import type { ClaimedJob } from '../../src/jobs/job.js';
import { SqlJobStore } from '../../src/jobs/job-store.js';
import type { JobKind } from '../../src/model/job-kind.js';

/** How long the leases of {@link jobStoreOf} last, unless it is given another time. */
export const LEASE_MS = 1_000;

/** A process at one moment, whose jobs a test claims. */
export interface JobProcess {
  readonly owner: string;
  readonly now: Date;
  /** Jobs of one claim at most; absent: a hundred. */
  readonly limit?: number;
}

/** The queue as a process has it: one that has no name unless given, and whose clock stands still at `now` where given. */
export function jobStoreOf(
  database: Pick<Database, 'jobs'>,
  {
    owner = randomUUID(),
    now,
    leaseMs = LEASE_MS,
  }: Partial<Pick<JobProcess, 'owner' | 'now'>> & { readonly leaseMs?: number } = {},
): SqlJobStore {
  return new SqlJobStore(database, { owner, clock: { now: () => now?.getTime() ?? Date.now() }, leaseMs });
}

/** What the process claims of one kind, in the order of the claim. */
export function claimJobs(database: Database, kind: JobKind, process: JobProcess): Promise<ClaimedJob[]> {
  return jobStoreOf(database, process).claim([{ kind, limit: process.limit ?? 100 }]);
}

/** A job of kind `copy`, and its media. */
export interface CopyJob {
  readonly job: ClaimedJob;
  readonly media: CataloguedMedia;
}

/** Claims jobs of kind `copy` and reads their media; every claimed job must have one. */
export async function claimCopies(database: Database, process: JobProcess): Promise<CopyJob[]> {
  const jobs = await claimJobs(database, 'copy', process);
  return withSubjects(jobs, await new SqlCopies(database).findMedia(jobs)).map(([job, media]) => ({ job, media }));
}

/** A job of kind `webhook`, and its event. */
export interface EventJob {
  readonly job: ClaimedJob;
  readonly event: InboxEvent;
}

/** Claims jobs of kind `webhook` and reads their events; every claimed job must have one. */
export async function claimEvents(database: Database, process: JobProcess): Promise<EventJob[]> {
  const jobs = await claimJobs(database, 'webhook', process);
  const events = await new SqlWebhookInbox(database).findEvents(jobs);
  return withSubjects(jobs, events).map(([job, event]) => ({ job, event }));
}

/** Claims jobs of kind `upload` and reads their uploads; every claimed job must have one. */
export async function claimUploads(database: Database, process: JobProcess): Promise<UploadJob[]> {
  const jobs = await claimJobs(database, 'upload', process);
  return withSubjects(jobs, await new SqlUploads(database).findUploads(jobs)).map(([, upload]) => upload);
}

/** The only claimed job. @throws Error where there is none, or another */
export function soleJob<Job>(jobs: readonly Job[]): Job {
  const [job] = jobs;
  if (job === undefined || jobs.length !== 1) throw new Error(`expected one job, got ${jobs.length}`);
  return job;
}

function withSubjects<Subject>(
  jobs: readonly ClaimedJob[],
  subjects: ReadonlyMap<ClaimedJob, Subject>,
): Array<readonly [ClaimedJob, Subject]> {
  return jobs.map((job) => {
    const subject = subjects.get(job);
    if (subject === undefined) throw new Error(`expected a row for the job of ${job.key}, got none`);
    return [job, subject] as const;
  });
}
