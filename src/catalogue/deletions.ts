import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { ClaimedJob, JobLease } from '../jobs/job.js';
import { addedLeased, droppedJobs, endedJob } from '../jobs/job-statements.js';
import type { TenantId } from '../model/channel.js';
import type { DeletionScope, MediaId } from '../model/media.js';
import { inBatches } from './in-batches.js';
import type { CataloguedMedia } from './media/catalogued-media.js';
import { catalogued, withoutBytes } from './media/column-lists.js';
import { findMediaOfJobs } from './media/copies.js';
import type { CataloguedRow } from './media/media-columns.js';
import { toCataloguedMedia } from './media/media-rows.js';

/** The result of a deletion. */
export interface Completion {
  readonly scope: DeletionScope;
  readonly now: Date;
}

/** The lease of a caller that deletes a media itself, without the worker. */
export interface DeletionClaim {
  readonly owner: string;
  readonly now: Date;
  /** After this time without a result, a worker treats the deletion as interrupted and finishes it. */
  readonly leaseMs: number;
}

/** A deletion in progress: its media and the job that the caller has leased. */
export interface BegunDeletion {
  readonly media: CataloguedMedia;
  readonly job: JobLease;
}

/** A DELETED media and the leased job of kind `removal`, which deletes its bytes and purges the CDN. */
export interface CompletedDeletion {
  readonly media: CataloguedMedia;
  readonly removal: JobLease;
}

/**
 * Deletions in three steps: the intent, the result, the removal of the bytes. The intent is a job of kind `deletion`,
 * which a worker finishes when its caller dies. The removal is a job of kind `removal`. Every method is one statement
 * and therefore atomic. Any number of processes may call it concurrently. Each method rejects when the database is
 * unavailable.
 */
export interface Deletions {
  /**
   * Records the intent; the status stays. Returns null if there is no row, if the media is DELETED, or if another
   * deletion is in progress.
   */
  intend(tenant: TenantId, id: MediaId, claim: DeletionClaim): Promise<BegunDeletion | null>;
  /**
   * Ends a deletion that the provider refused, without any change. Like {@link complete}, it has no effect if another
   * process holds the lease.
   */
  withdraw(job: JobLease): Promise<void>;
  /** Sets the status DELETED and ends every other job of the media. The same owner leases the removal for `leaseMs`. */
  complete(job: JobLease, completion: Completion, leaseMs: number): Promise<CompletedDeletion | null>;
  /** The media of these jobs. A job whose media has no row is absent. */
  findMedia(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, CataloguedMedia>>;
  /**
   * Deletes tombstones from before that time whose bytes are deleted. If the provider still lists the media, a mark
   * remains that prevents a listing from showing it again.
   * @returns the number of deleted tombstones
   */
  bury(deletedBefore: Date): Promise<number>;
}

export class SqlDeletions implements Deletions {
  readonly #db: Database['kysely'];
  readonly #reads: Database['reads'];

  constructor({ kysely, reads }: Pick<Database, 'kysely' | 'reads'>) {
    this.#db = kysely;
    this.#reads = reads;
  }

  async intend(tenant: TenantId, id: MediaId, { owner, now, leaseMs }: DeletionClaim): Promise<BegunDeletion | null> {
    const { rows } = await sql<CataloguedRow & { readonly job_id: number }>`
      with target as (
        select ${catalogued()} from media
        where tenant = ${tenant} and id = ${id} and status <> 'DELETED'
          -- A replica of an earlier version notes its intent in the row.
          and (deletion_owner is null or deletion_until <= ${now})
        for update
      ), begun as (${addedLeased({ kind: 'deletion', owner, now, leaseMs, among: 'target' })})
      select target.*, begun.id as job_id from target, begun`.execute(this.#db);
    const [row] = rows;
    return row ? { media: toCataloguedMedia(row), job: { id: Number(row.job_id), owner } } : null;
  }

  async withdraw(job: JobLease): Promise<void> {
    await endedJob(job).execute(this.#db);
  }

  async complete(job: JobLease, { scope, now }: Completion, leaseMs: number): Promise<CompletedDeletion | null> {
    const { rows } = await sql<CataloguedRow & { readonly removal_id: number }>`
      with target as (
        select from media
        where (tenant, id) = (select tenant, key from jobs where id = ${job.id} and lease_owner = ${job.owner})
        for update
      ), deletion as (${endedJob(job, { after: 'target' })}), ended as (
        update media set status = 'DELETED', deletion_scope = ${scope}, updated_at = ${now}, ${withoutBytes()},
          mirror_state = case when mirror_state in ('open', 'due') then 'failed' else mirror_state end
        from deletion
        where media.tenant = deletion.tenant and media.id = deletion.key and media.status <> 'DELETED'
        returning ${catalogued()}
      ), dropped as (${droppedJobs(['copy', 'upload', 'inspection'], 'ended')}), failed_upload as (
        delete from failed_uploads using ended
        where failed_uploads.tenant = ended.tenant and failed_uploads.media_id = ended.id
      ), removal as (${addedLeased({ kind: 'removal', owner: job.owner, now, leaseMs, among: 'ended' })})
      select ended.*, removal.id as removal_id from ended, removal`.execute(this.#db);
    const [row] = rows;
    return row ? { media: toCataloguedMedia(row), removal: { id: Number(row.removal_id), owner: job.owner } } : null;
  }

  findMedia(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, CataloguedMedia>> {
    return findMediaOfJobs(this.#reads, jobs);
  }

  bury(deletedBefore: Date): Promise<number> {
    return inBatches((limit) => this.#bury(deletedBefore, limit));
  }

  async #bury(deletedBefore: Date, limit: number): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      with settled as (
        select tenant, id, deletion_scope = 'PROVIDER' or uploaded as is_gone from media
        where status = 'DELETED' and not buried and updated_at <= ${deletedBefore}
          and not exists (
            select from jobs where jobs.tenant = media.tenant and jobs.kind = 'removal' and jobs.key = media.id
          )
        order by updated_at limit ${limit} for update skip locked
      ), gone as (
        delete from media using settled
        where media.tenant = settled.tenant and media.id = settled.id and settled.is_gone
        returning 1
      ), kept as (
        update media set buried = true, download_url = null, filename = null, caption = null, failure_reason = null
        from settled
        where media.tenant = settled.tenant and media.id = settled.id and settled.is_gone is distinct from true
        returning 1
      )
      select (select count(*) from gone) + (select count(*) from kept) as count`.execute(this.#db);
    return rows[0]?.count ?? 0;
  }
}
