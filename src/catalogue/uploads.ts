import { sql } from 'kysely';
import { z } from 'zod';
import type { Database } from '../database/database.js';
import type { ClaimedJob, JobLease } from '../jobs/job.js';
import { addedJobs, endedJob, heldJob } from '../jobs/job-statements.js';
import type { ChannelId, ProviderName, TenantId } from '../model/channel.js';
import { addMilliseconds } from '../model/clock.js';
import type { MediaFailure, MediaId, MediaKind } from '../model/media.js';
import { storable, storableJson } from '../model/text/storable.js';
import { deleteInBatches } from './in-batches.js';
import type { CataloguedMedia, StoredBytes } from './media/catalogued-media.js';
import { assignments, catalogued, withoutBytes } from './media/column-lists.js';
import { findMediaOfJobs } from './media/copies.js';
import type { CataloguedRow } from './media/media-columns.js';
import { failureColumns, storedColumns, toCataloguedMedia } from './media/media-rows.js';

/** An upload that a caller requests. */
export interface UploadReservation {
  readonly tenant: TenantId;
  readonly id: MediaId;
  readonly channelId: ChannelId;
  readonly provider: ProviderName;
  /** Null if the upload belongs to no message. */
  readonly providerMessageId: string | null;
  /** The caller's input, unchanged, as are the next two values. */
  readonly sourceUrl: string;
  readonly filename: string | null;
  readonly mimeType: string | null;
  /** Null if every call is a new upload. */
  readonly idempotency: { readonly key: string; readonly inputSha256: string } | null;
  readonly now: Date;
  readonly retainedUntil: Date | null;
}

/** The source of an upload in the caller's words: the payload of a job of kind `upload`. */
const uploadSource = z.object({
  sourceUrl: z.string(),
  filename: z.string().nullable(),
  mimeType: z.string().nullable(),
});
export type UploadSource = z.infer<typeof uploadSource>;

/** The upload of a job of kind `upload`. */
export interface UploadJob extends UploadSource {
  readonly job: ClaimedJob;
  /** The media, which is PENDING. */
  readonly media: CataloguedMedia;
}

export interface Reserved {
  /** `repeated` and `conflict` mean that the key was used before, for the same or for another input. */
  readonly outcome: 'created' | 'repeated' | 'conflict';
  readonly media: CataloguedMedia;
}

/** Facts about the uploaded bytes, and the name and kind of the media. */
export interface UploadedBytes {
  readonly stored: StoredBytes;
  readonly mimeType: string;
  readonly kind: MediaKind | null;
  readonly filename: string;
}

/** An upload that failed now. */
export interface FailedUpload {
  readonly media: CataloguedMedia;
  /** The key of the bytes that the row referenced before, which the caller deletes; null if there were none. */
  readonly key: string | null;
}

/**
 * Uploads. A reservation precedes the transfer of bytes, and jobs of kind `upload` perform it. Every method is one
 * statement and therefore atomic. Any number of processes may call it concurrently. Each method rejects when the
 * database is unavailable. A method that changes an upload has no effect and returns null or false if another process
 * now holds the job's lease, or if the media is no longer PENDING.
 */
export interface Uploads {
  /**
   * Creates the media, its job, which is due immediately, and its idempotency key. A key that is older than 24 hours,
   * or that belongs to a failed upload, can be used again.
   */
  reserve(reservation: UploadReservation): Promise<Reserved>;
  /** The uploads of these jobs. A job whose media has no row is absent. */
  findUploads(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, UploadJob>>;
  /** Makes the row reference the stored bytes. The media stays PENDING. */
  markStored(job: JobLease, bytes: UploadedBytes, now: Date): Promise<boolean>;
  /** Sets READY and ends the job. */
  finish(job: JobLease, providerMediaId: string | null, now: Date): Promise<CataloguedMedia | null>;
  /** Sets FAILED and ends the job. The row references no bytes. The source is kept for {@link retryFailed}. */
  fail(job: JobLease, failure: MediaFailure): Promise<FailedUpload | null>;
  /**
   * Sets PENDING and adds a job that is due immediately. Returns null if the media is not a FAILED upload, or if its
   * source was deleted.
   */
  retryFailed(tenant: TenantId, id: MediaId, now: Date): Promise<CataloguedMedia | null>;
  /**
   * Deletes idempotency keys from before this time.
   * @returns the number of keys
   */
  forgetKeys(createdBefore: Date): Promise<number>;
  /**
   * Deletes the sources of uploads that failed before this time.
   * @returns the number of sources
   */
  forgetFailed(failedBefore: Date): Promise<number>;
}

/** The position after all media that the provider lists. */
const LAST_POSITION = 1_000_000;
const KEY_LIFETIME_MS = 24 * 60 * 60 * 1000;
/** How long a failed upload can be retried. */
const SOURCE_LIFETIME_MS = 24 * 60 * 60 * 1000;

export class SqlUploads implements Uploads {
  readonly #db: Database['kysely'];
  readonly #reads: Database['reads'];

  constructor({ kysely, reads }: Pick<Database, 'kysely' | 'reads'>) {
    this.#db = kysely;
    this.#reads = reads;
  }

  async reserve(upload: UploadReservation): Promise<Reserved> {
    const { rows } = await reserveStatement(upload).execute(this.#db);
    const [created] = rows;
    if (created) return { outcome: 'created', media: toCataloguedMedia(created) };
    const { tenant, idempotency } = upload;
    const earlier = await sql<CataloguedRow & { readonly input_sha256: string }>`
      select ${catalogued()}, upload_keys.input_sha256
      from upload_keys join media on media.tenant = upload_keys.tenant and media.id = upload_keys.media_id
      where upload_keys.tenant = ${tenant} and upload_keys.key = ${idempotency?.key ?? null}`.execute(this.#db);
    const [row] = earlier.rows;
    // The upload failed between the two statements, which released its key.
    if (!row) return this.reserve(upload);
    const outcome = row.input_sha256 === idempotency?.inputSha256 ? 'repeated' : 'conflict';
    return { outcome, media: toCataloguedMedia(row) };
  }

  async findUploads(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, UploadJob>> {
    const media = await findMediaOfJobs(this.#reads, jobs);
    return new Map([...media].map(([job, row]) => [job, { job, media: row, ...uploadSource.parse(job.payload) }]));
  }

  async markStored(job: JobLease, bytes: UploadedBytes, now: Date): Promise<boolean> {
    const { stored, mimeType, kind, filename } = bytes;
    const facts = { mime_type: mimeType, kind, filename: storable(filename), updated_at: now };
    const { rows } = await sql`
      with held as (${heldJob(job)})
      update media set ${assignments({ ...storedColumns(stored), ...facts })} from held
      where media.tenant = held.tenant and media.id = held.key and media.status = 'PENDING'
      returning media.id`.execute(this.#db);
    return rows.length > 0;
  }

  async finish(job: JobLease, providerMediaId: string | null, now: Date): Promise<CataloguedMedia | null> {
    const { rows } = await sql<CataloguedRow>`
      with ended as (${endedJob(job)})
      update media set status = 'READY', provider_media_id = ${providerMediaId}, updated_at = ${now}
      from ended
      where media.tenant = ended.tenant and media.id = ended.key and media.status = 'PENDING'
      returning ${catalogued()}`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  async fail(job: JobLease, failure: MediaFailure): Promise<FailedUpload | null> {
    const columns = { ...failureColumns(failure), status: 'FAILED', updated_at: failure.at } as const;
    const { rows } = await sql<CataloguedRow & { readonly named_key: string | null }>`
      with ended as (${endedJob(job)}), freed as (
        delete from upload_keys using ended where upload_keys.tenant = ended.tenant and upload_keys.media_id = ended.key
      ), remembered as (
        insert into failed_uploads (tenant, media_id, source_url, filename, mime_type, failed_at)
        select tenant, key, payload ->> 'sourceUrl', payload ->> 'filename', payload ->> 'mimeType',
          ${failure.at}::timestamptz
        from ended
        on conflict (tenant, media_id) do update set failed_at = excluded.failed_at
      ), before as (
        select media.tenant, media.id, media.blob_key as named_key
        from media join ended on media.tenant = ended.tenant and media.id = ended.key
      )
      update media set ${assignments(columns)}, ${withoutBytes()}
      from before
      where media.tenant = before.tenant and media.id = before.id and media.status = 'PENDING'
      returning ${catalogued()}, before.named_key`.execute(this.#db);
    return rows[0] ? { media: toCataloguedMedia(rows[0]), key: rows[0].named_key } : null;
  }

  async retryFailed(tenant: TenantId, id: MediaId, now: Date): Promise<CataloguedMedia | null> {
    const columns = { ...failureColumns(null), status: 'PENDING', updated_at: now } as const;
    const job = sql`
      select begun.tenant, begun.id, begun.channel_id, null::timestamptz, ${now}::timestamptz,
        jsonb_build_object('sourceUrl', source_url, 'filename', source.filename, 'mimeType', source.mime_type)
      from begun join source on source.media_id = begun.id`;
    const { rows } = await sql<CataloguedRow>`
      with source as (
        delete from failed_uploads
        where tenant = ${tenant} and media_id = ${id} and failed_at > ${addMilliseconds(now, -SOURCE_LIFETIME_MS)}
          and exists (select from media where tenant = ${tenant} and id = ${id} and status = 'FAILED' and uploaded)
        returning *
      ), begun as (
        update media set ${assignments(columns)} from source
        where media.tenant = ${tenant} and media.id = source.media_id and media.status = 'FAILED'
        returning ${catalogued()}
      ), added as (${addedJobs({ kind: 'upload', now, rows: job })})
      select * from begun`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  forgetKeys(createdBefore: Date): Promise<number> {
    const where = sql`created_at < ${createdBefore}`;
    return deleteInBatches(this.#db, { table: 'upload_keys', key: 'ctid', where, order: 'created_at' });
  }

  forgetFailed(failedBefore: Date): Promise<number> {
    const where = sql`failed_at < ${failedBefore}`;
    return deleteInBatches(this.#db, { table: 'failed_uploads', key: 'ctid', where, order: 'failed_at' });
  }
}

/** One statement: either the key is taken, or the media and its job are created. */
function reserveStatement(upload: UploadReservation) {
  const { tenant, id, idempotency, now } = upload;
  const { sourceUrl, filename, mimeType } = upload;
  const source = storableJson({ sourceUrl, filename, mimeType } satisfies UploadSource);
  const job = sql`select tenant, id, channel_id, null::timestamptz, ${now}::timestamptz, ${source}::jsonb from reserved`;
  return sql<CataloguedRow>`
    with taken as (
      insert into upload_keys (tenant, key, input_sha256, media_id, created_at)
      select ${tenant}, ${idempotency?.key ?? null}::text, ${idempotency?.inputSha256 ?? null}::text, ${id}, ${now}
      where ${idempotency !== null}
      on conflict (tenant, key) do update
      set input_sha256 = excluded.input_sha256, media_id = excluded.media_id, created_at = excluded.created_at
      where upload_keys.created_at <= ${addMilliseconds(now, -KEY_LIFETIME_MS)}
      returning media_id
    ), reserved as (
      insert into media (
        tenant, id, channel_id, provider, provider_message_id, position, status, created_at, recorded_at, updated_at,
        announced, uploaded, expires_at
      )
      select ${tenant}, ${id}, ${upload.channelId}, ${upload.provider}, ${upload.providerMessageId}, ${LAST_POSITION},
        'PENDING', ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz, false, true,
        ${upload.retainedUntil}::timestamptz
      where ${idempotency === null} or exists (select from taken)
      returning ${catalogued()}
    ), added as (${addedJobs({ kind: 'upload', now, rows: job })})
    select * from reserved`;
}
