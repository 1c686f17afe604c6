import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { ClaimedJob, JobLease } from '../jobs/job.js';
import { addedLeased, droppedJobs, endedJob } from '../jobs/job-statements.js';
import type { TenantId } from '../model/channel.js';
import type { DeletionScope, MediaId } from '../model/media.js';
import type { CataloguedMedia } from './media/catalogued-media.js';
import { catalogued, withoutBytes } from './media/column-lists.js';
import { findMediaOfJobs } from './media/copies.js';
import type { CataloguedRow } from './media/media-columns.js';
import { toCataloguedMedia } from './media/media-rows.js';

/** How a deletion ended. */
export interface Completion {
  readonly scope: DeletionScope;
  readonly now: Date;
}

/** The lease of a caller who deletes a media himself, without the worker. */
export interface DeletionClaim {
  readonly owner: string;
  readonly now: Date;
  /** After so long without an end, a worker takes the deletion for interrupted and finishes it. */
  readonly leaseMs: number;
}

/** A deletion that was begun: its media, and the job that the caller has leased. */
export interface BegunDeletion {
  readonly media: CataloguedMedia;
  readonly job: JobLease;
}

/** A media that is DELETED, and the leased job of kind `removal` for its bytes and the CDN. */
export interface CompletedDeletion {
  readonly media: CataloguedMedia;
  readonly removal: JobLease;
}

/**
 * Deletions: the intent, then the end, then the bytes. The intent is a job of kind `deletion`, which a worker finishes when
 * its caller dies; the bytes are a job of kind `removal`. Every method is one statement, so all or nothing, and may be
 * called from any number of processes at once; each rejects when the database does not answer.
 */
export interface Deletions {
  /** Notes the intent; the status stays. null where there is no row, or it is DELETED, or another deletion is under way. */
  intend(tenant: TenantId, id: MediaId, claim: DeletionClaim): Promise<BegunDeletion | null>;
  /** The provider refused, and nothing has changed. Without effect where the lease is another's, as {@link complete}. */
  withdraw(job: JobLease): Promise<void>;
  /** DELETED, and every other job of the media ends. The removal is leased to the same owner for `leaseMs`. */
  complete(job: JobLease, completion: Completion, leaseMs: number): Promise<CompletedDeletion | null>;
  /** The media of these jobs; a job whose media has no row is absent. */
  findMedia(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, CataloguedMedia>>;
  /**
   * Removes tombstones from before that time whose bytes are gone. Where the provider still lists the media, a mark stays
   * that keeps a listing from showing it again. @returns how many
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
      with deletion as (${endedJob(job)}), ended as (
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

  async bury(deletedBefore: Date): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      with settled as (
        select tenant, id, deletion_scope = 'PROVIDER' or uploaded as is_gone from media
        where status = 'DELETED' and not buried and updated_at <= ${deletedBefore}
          and not exists (
            select from jobs where jobs.tenant = media.tenant and jobs.kind = 'removal' and jobs.key = media.id
          )
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
