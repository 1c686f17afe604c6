import { type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { later } from '../database/later.js';
import type { QueueColumns, Tables } from '../database/tables.js';
import { type Claim, historyOf, type Queue, type WorkHistory, WorkQueue } from '../jobs/work-queue.js';
import type { ChannelId, ProviderName, TenantId } from '../model/channel.js';
import type { MediaFailure, MediaId, MediaKind } from '../model/media.js';
import type { CataloguedMedia, MediaName, StoredBytes } from './catalogued-media.js';
import { type MediaRow, storable, storedColumns, toCataloguedMedia, withoutBytes } from './media-rows.js';

/** What a caller asked for. */
export interface UploadReservation {
  readonly tenant: TenantId;
  readonly id: MediaId;
  readonly channelId: ChannelId;
  readonly provider: ProviderName;
  /** null: it belongs to no message. */
  readonly providerMessageId: string | null;
  /** As the caller wrote it, like the next two. */
  readonly sourceUrl: string;
  readonly filename: string | null;
  readonly mimeType: string | null;
  /** null: every call is a new upload. */
  readonly idempotency: { readonly key: string; readonly inputSha256: string } | null;
  readonly now: Date;
  readonly retainedUntil: Date | null;
}

/** The work of an upload that is PENDING. */
export interface UploadJob extends WorkHistory {
  readonly media: CataloguedMedia;
  readonly sourceUrl: string;
  readonly filename: string | null;
  readonly mimeType: string | null;
  /** How often it was begun, this time included. */
  readonly attempts: number;
}

export interface Reserved {
  /** `repeated`, `conflict`: the key was used before, for the same input or for another. */
  readonly outcome: 'created' | 'repeated' | 'conflict';
  readonly media: CataloguedMedia;
}

/** What became known of the bytes, and how people will see them. */
export interface UploadedBytes {
  readonly stored: StoredBytes;
  readonly mimeType: string;
  readonly kind: MediaKind | null;
  readonly filename: string;
}

/** An upload that has just failed. */
export interface FailedUpload {
  readonly media: CataloguedMedia;
  /** Of the bytes that the row named until now, which the caller removes; null: it named none. */
  readonly key: string | null;
}

/**
 * Uploads: reserved before a byte moves, worked on under a lease. Every method is one statement, so all or nothing, and
 * may be called from any number of processes at once; each rejects when the database does not answer. What ends an upload
 * is without effect (null, false) when its lease is another's by now, or the media is no longer PENDING.
 */
export interface Uploads {
  /** The media, its job, due at once, and its key; a key of 24 hours ago, or of an upload that failed, is free. */
  reserve(reservation: UploadReservation): Promise<Reserved>;
  /** Leases one job that is not worked on, the oldest of a tenant that is not among these; null: there is none. */
  claim(claim: Omit<Claim, 'limit'>, notOf: readonly TenantId[]): Promise<UploadJob | null>;
  /** @returns those whose leases are the owner's still, also where their time was over */
  renewLeases<Name extends MediaName>(
    owner: string,
    media: readonly Name[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Name>>;
  /** @returns whether the lease is the owner's still; see `WorkQueue.setAlone` */
  setAlone(owner: string, media: MediaName, isAlone: boolean): Promise<boolean>;
  /** Hands back all that the owner holds, its attempt not counted. */
  release(owner: string): Promise<void>;
  /** Ends every lease. Only for a process that knows that it is alone, before its first claim. @returns how many */
  abandonLeases(): Promise<number>;
  /** The bytes are here; still PENDING. */
  markStored(tenant: TenantId, id: MediaId, owner: string, bytes: UploadedBytes, now: Date): Promise<boolean>;
  /** READY. */
  finish(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    providerMediaId: string | null,
    now: Date,
  ): Promise<CataloguedMedia | null>;
  /** FAILED; the row names no bytes any more. What it was to fetch is kept for {@link retryFailed}. */
  fail(tenant: TenantId, id: MediaId, owner: string, failure: MediaFailure): Promise<FailedUpload | null>;
  /** PENDING, and due at once. null where the media is not a FAILED upload, or what it was to fetch is forgotten. */
  retryFailed(tenant: TenantId, id: MediaId, now: Date): Promise<CataloguedMedia | null>;
  /** Keys from before this time. @returns how many */
  forgetKeys(createdBefore: Date): Promise<number>;
  /** What uploads that failed before this time were to fetch. @returns how many */
  forgetFailed(failedBefore: Date): Promise<number>;
}

/** Behind whatever the provider lists. */
const LAST_POSITION = 1_000_000;
const KEY_LIFETIME_MS = 24 * 60 * 60 * 1000;
/** How long a failed upload can be tried again. */
const SOURCE_LIFETIME_MS = 24 * 60 * 60 * 1000;

export class SqlUploads implements Uploads {
  readonly #db: Database['kysely'];
  readonly #jobs: WorkQueue<'uploads'>;

  constructor({ kysely }: Pick<Database, 'kysely'>) {
    this.#db = kysely;
    this.#jobs = new WorkQueue(kysely, JOBS);
  }

  async reserve(upload: UploadReservation): Promise<Reserved> {
    const { rows } = await reserveStatement(upload).execute(this.#db);
    const [created] = rows;
    if (created) return { outcome: 'created', media: toCataloguedMedia(created) };
    const { tenant, idempotency } = upload;
    const earlier = await sql<MediaRow & { readonly input_sha256: string }>`
      select media.*, upload_keys.input_sha256
      from upload_keys join media on media.tenant = upload_keys.tenant and media.id = upload_keys.media_id
      where upload_keys.tenant = ${tenant} and upload_keys.key = ${idempotency?.key ?? null}`.execute(this.#db);
    const [row] = earlier.rows;
    // It failed between the two questions, which frees its key.
    if (!row) return this.reserve(upload);
    const outcome = row.input_sha256 === idempotency?.inputSha256 ? 'repeated' : 'conflict';
    return { outcome, media: toCataloguedMedia(row) };
  }

  async claim(claim: Omit<Claim, 'limit'>, notOf: readonly TenantId[]): Promise<UploadJob | null> {
    const [job] = await this.#jobs.claim({ ...claim, limit: 1 }, sql`not (tenant = any(${[...notOf]}::text[]))`);
    if (!job) return null;
    const row = await this.#db
      .selectFrom('media')
      .selectAll()
      .where('tenant', '=', job.tenant)
      .where('id', '=', job.media_id)
      .executeTakeFirst();
    // A job goes with its media, in one statement.
    if (!row) return null;
    return toJob(job, row);
  }

  async renewLeases<Name extends MediaName>(
    owner: string,
    media: readonly Name[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Name>> {
    const keys = media.map((name) => ({ ...keyOf(name), name }));
    const held = await this.#jobs.renew(owner, keys, now, leaseMs);
    return new Set([...held].map(({ name }) => name));
  }

  setAlone(owner: string, media: MediaName, isAlone: boolean): Promise<boolean> {
    return this.#jobs.setAlone(owner, keyOf(media), isAlone);
  }

  release(owner: string): Promise<void> {
    return this.#jobs.release(owner);
  }

  abandonLeases(): Promise<number> {
    return this.#jobs.abandon();
  }

  async markStored(tenant: TenantId, id: MediaId, owner: string, bytes: UploadedBytes, now: Date): Promise<boolean> {
    const { stored, mimeType, kind, filename } = bytes;
    const { numUpdatedRows } = await this.#pending(tenant, id, owner)
      .set({ ...storedColumns(stored), mime_type: mimeType, kind, filename: storable(filename), updated_at: now })
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  async finish(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    providerMediaId: string | null,
    now: Date,
  ): Promise<CataloguedMedia | null> {
    const { rows } = await sql<MediaRow>`
      with ended as (
        delete from uploads where tenant = ${tenant} and media_id = ${id} and lease_owner = ${owner} returning media_id
      )
      update media set status = 'READY', provider_media_id = ${providerMediaId}, updated_at = ${now}
      from ended
      where media.tenant = ${tenant} and media.id = ended.media_id and media.status = 'PENDING'
      returning media.*`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  async fail(tenant: TenantId, id: MediaId, owner: string, failure: MediaFailure): Promise<FailedUpload | null> {
    const { code, message, retryable, at } = failure;
    const { rows } = await sql<MediaRow & { readonly named_key: string | null }>`
      with ended as (
        delete from uploads where tenant = ${tenant} and media_id = ${id} and lease_owner = ${owner} returning *
      ), freed as (
        delete from upload_keys using ended where upload_keys.tenant = ${tenant} and upload_keys.media_id = ended.media_id
      ), remembered as (
        insert into failed_uploads (tenant, media_id, source_url, filename, mime_type, failed_at)
        select tenant, media_id, source_url, filename, mime_type, ${at}::timestamptz from ended
        on conflict (tenant, media_id) do update set failed_at = excluded.failed_at
      ), before as (
        select media.id, media.blob_key as named_key from media join ended on media.tenant = ended.tenant
          and media.id = ended.media_id
      )
      update media set status = 'FAILED', failure_code = ${code}, failure_reason = ${storable(message)},
        failure_retryable = ${retryable}, failed_at = ${at}, updated_at = ${at}, ${withoutBytes()}
      from before
      where media.tenant = ${tenant} and media.id = before.id and media.status = 'PENDING'
      returning media.*, before.named_key`.execute(this.#db);
    return rows[0] ? { media: toCataloguedMedia(rows[0]), key: rows[0].named_key } : null;
  }

  async retryFailed(tenant: TenantId, id: MediaId, now: Date): Promise<CataloguedMedia | null> {
    const { rows } = await sql<MediaRow>`
      with source as (
        delete from failed_uploads
        where tenant = ${tenant} and media_id = ${id} and failed_at > ${later(now, -SOURCE_LIFETIME_MS)}
          and exists (select from media where tenant = ${tenant} and id = ${id} and status = 'FAILED' and uploaded)
        returning *
      ), job as (
        insert into uploads (tenant, media_id, source_url, filename, mime_type, created_at, attempts)
        select tenant, media_id, source_url, filename, mime_type, ${now}::timestamptz, 0 from source
      )
      update media set status = 'PENDING', updated_at = ${now}, failure_code = null, failure_reason = null,
        failure_retryable = null, failed_at = null
      from source
      where media.tenant = ${tenant} and media.id = source.media_id and media.status = 'FAILED'
      returning media.*`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  async forgetKeys(createdBefore: Date): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('upload_keys')
      .where('created_at', '<', createdBefore)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  async forgetFailed(failedBefore: Date): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('failed_uploads')
      .where('failed_at', '<', failedBefore)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  /** An update of a media whose upload the owner is working on. */
  #pending(tenant: TenantId, id: MediaId, owner: string) {
    return this.#db
      .updateTable('media')
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('status', '=', 'PENDING')
      .where(({ exists, selectFrom }) =>
        exists(
          selectFrom('uploads')
            .select('media_id')
            .where('tenant', '=', tenant)
            .where('media_id', '=', id)
            .where('lease_owner', '=', owner),
        ),
      );
  }
}

type JobRow = Pick<Selectable<Tables['uploads']>, 'source_url' | 'filename' | 'mime_type' | 'attempts'> & QueueColumns;

const JOBS = {
  table: 'uploads',
  key: { tenant: 'text', media_id: 'text' },
  attempts: 'attempts',
  isDue: () => sql`true`,
  order: sql`created_at`,
} as const satisfies Queue;

function keyOf({ tenant, id }: MediaName) {
  return { tenant, media_id: id };
}

function toJob(job: JobRow, row: MediaRow): UploadJob {
  const { source_url: sourceUrl, filename, mime_type: mimeType, attempts } = job;
  return { media: toCataloguedMedia(row), sourceUrl, filename, mimeType, attempts, ...historyOf(job) };
}

/** One statement: the key is taken, the media is there and its job is leased, or nothing of it. */
function reserveStatement(upload: UploadReservation) {
  const { tenant, id, idempotency, now } = upload;
  return sql<MediaRow>`
    with taken as (
      insert into upload_keys (tenant, key, input_sha256, media_id, created_at)
      select ${tenant}, ${idempotency?.key ?? null}::text, ${idempotency?.inputSha256 ?? null}::text, ${id}, ${now}
      where ${idempotency !== null}
      on conflict (tenant, key) do update
      set input_sha256 = excluded.input_sha256, media_id = excluded.media_id, created_at = excluded.created_at
      where upload_keys.created_at <= ${later(now, -KEY_LIFETIME_MS)}
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
      returning *
    ), job as (
      insert into uploads (tenant, media_id, source_url, filename, mime_type, created_at, attempts)
      select tenant, id, ${storable(upload.sourceUrl)}, ${storable(upload.filename)}, ${storable(upload.mimeType)},
        ${now}::timestamptz, 0
      from reserved
    )
    select * from reserved`;
}
