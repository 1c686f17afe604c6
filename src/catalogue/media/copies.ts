import { sql } from 'kysely';
import type { Database } from '../../database/database.js';
import type { ClaimedJob, JobLease } from '../../jobs/job.js';
import { endedJob, endedWhere, heldJob, postponedJob } from '../../jobs/job-statements.js';
import type { TenantId } from '../../model/channel.js';
import type { MediaFailure, MediaId } from '../../model/media.js';
import type { CataloguedMedia, CopyRetry, FoundDetails, Kept, StoredBytes } from './catalogued-media.js';
import { assignments, catalogued } from './column-lists.js';
import type { CataloguedRow, MediaChanges } from './media-columns.js';
import { failureColumns, namedBytes, toCataloguedMedia } from './media-rows.js';

/**
 * Ends jobs of kind `copy`. One statement changes a media's row and its job. Every method except {@link findMedia} has
 * no effect if another process now holds the job's lease.
 */
export interface Copies {
  /** The media of these jobs. A job whose media has no row is absent. */
  findMedia(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, CataloguedMedia>>;
  /**
   * Sets READY and ends the job. The row does not reference the bytes if it already references others, or if it
   * contains another digest.
   */
  finish(
    job: JobLease,
    media: { readonly tenant: TenantId; readonly id: MediaId },
    bytes: { readonly stored: StoredBytes; readonly details: FoundDetails },
    now: Date,
  ): Promise<Kept>;
  /** Schedules the next attempt. The media is FAILED until then if `next` says so. */
  retry(job: JobLease, next: CopyRetry, now: Date): Promise<void>;
  /** Sets FAILED or EXPIRED and ends the job. */
  fail(job: JobLease, end: { readonly status: 'FAILED' | 'EXPIRED'; readonly failure: MediaFailure }): Promise<void>;
}

export class SqlCopies implements Copies {
  readonly #db: Database['background'];
  readonly #reads: Database['backgroundReads'];

  constructor({ background, backgroundReads }: Pick<Database, 'background' | 'backgroundReads'>) {
    this.#db = background;
    this.#reads = backgroundReads;
  }

  async findMedia(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, CataloguedMedia>> {
    return findMediaOfJobs(this.#reads, jobs);
  }

  async finish(
    job: JobLease,
    { tenant, id }: { readonly tenant: TenantId; readonly id: MediaId },
    { stored, details }: { readonly stored: StoredBytes; readonly details: FoundDetails },
    now: Date,
  ): Promise<Kept> {
    const { rows } = await sql`
      with held as (${heldJob(job)}), named as (
        update media set ${assignments(namedBytes(stored, details, now))}, mirror_state = 'done'
        from held
        where media.tenant = held.tenant and media.id = held.key and ${IS_OPEN}
          and media.stored_at is null and (media.sha256 is null or media.sha256 = ${stored.sha256})
        returning media.id
      ), ended as (${endedWhere('held', 'named')})
      select id from named`.execute(this.#db);
    if (rows.length > 0) return { isNamed: true };
    return { isNamed: false, media: await findLive(this.#reads, tenant, id) };
  }

  async retry(job: JobLease, { dueAt, failure, isFailed }: CopyRetry, now: Date): Promise<void> {
    const columns: MediaChanges = {
      ...failureColumns(failure),
      ...(isFailed ? { status: 'FAILED', updated_at: now } : {}),
    };
    await sql`
      with postponed as (${postponedJob(job, dueAt, failure.message)})
      update media set ${assignments(columns)} from postponed
      where media.tenant = postponed.tenant and media.id = postponed.key and ${IS_OPEN}`.execute(this.#db);
  }

  async fail(
    job: JobLease,
    { status, failure }: { readonly status: 'FAILED' | 'EXPIRED'; readonly failure: MediaFailure },
  ): Promise<void> {
    const columns = { ...failureColumns(failure), status, updated_at: failure.at, mirror_state: 'failed' } as const;
    await sql`
      with ended as (${endedJob(job)})
      update media set ${assignments(columns)} from ended
      where media.tenant = ended.tenant and media.id = ended.key and ${IS_OPEN}`.execute(this.#db);
  }
}

/** A replica of an earlier version that repeats an announcement writes 'due'. */
const IS_OPEN = sql`media.mirror_state in ('open', 'due') and media.status not in ('DELETED', 'EXPIRED')`;

/** The media of jobs, by the key of the job. Jobs whose media has no row are absent. */
export async function findMediaOfJobs(
  reads: Database['reads'],
  jobs: readonly ClaimedJob[],
): Promise<ReadonlyMap<ClaimedJob, CataloguedMedia>> {
  const media = new Map<ClaimedJob, CataloguedMedia>();
  if (jobs.length === 0) return media;
  const { rows } = await sql<CataloguedRow & { readonly place: number }>`
    select job.place, ${catalogued()}
    from unnest(${jobs.map(({ tenant }) => tenant)}::text[], ${jobs.map(({ key }) => key)}::text[])
      with ordinality as job (tenant, id, place)
    join media on media.tenant = job.tenant and media.id = job.id`.execute(reads);
  for (const row of rows) {
    const job = jobs[Number(row.place) - 1];
    if (job) media.set(job, toCataloguedMedia(row));
  }
  return media;
}

/** The row of a media that has not ended. */
export async function findLive(
  reads: Database['reads'],
  tenant: TenantId,
  id: MediaId,
): Promise<CataloguedMedia | null> {
  const { rows } = await sql<CataloguedRow>`
    select ${catalogued()} from media
    where tenant = ${tenant} and id = ${id} and status not in ('DELETED', 'EXPIRED')`.execute(reads);
  return rows[0] ? toCataloguedMedia(rows[0]) : null;
}
