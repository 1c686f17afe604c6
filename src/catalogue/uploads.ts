import { type Selectable, sql } from 'kysely';
import type { ChannelId, ProviderName, TenantId } from '../model/channel.js';
import type { ErrorCode } from '../model/errors.js';
import type { MediaId, MediaKind } from '../model/media.js';
import type { CataloguedMedia, MediaName, StoredBytes } from './catalogued-media.js';
import type { Database } from './database.js';
import { later } from './later.js';
import { type MediaRow, storable, storedColumns, toCataloguedMedia } from './media-rows.js';
import type { Tables } from './tables.js';

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
  readonly owner: string;
  readonly leaseMs: number;
}

/** The work of an upload that is PENDING. */
export interface UploadJob {
  readonly media: CataloguedMedia;
  readonly sourceUrl: string;
  readonly filename: string | null;
  readonly mimeType: string | null;
  /** How often it was begun, this time included. */
  readonly attempts: number;
}

export type Reserved =
  | { readonly outcome: 'created'; readonly job: UploadJob }
  /** The key was used before, for the same input or for another. */
  | { readonly outcome: 'repeated' | 'conflict'; readonly media: CataloguedMedia };

/** What became known of the bytes, and how people will see them. */
export interface UploadedBytes {
  readonly stored: StoredBytes;
  readonly mimeType: string;
  readonly kind: MediaKind | null;
  readonly filename: string;
}

/**
 * Uploads: reserved before a byte moves, worked on under a lease. Every method is one statement, so all or nothing, and
 * may be called from any number of processes at once; each rejects when the database does not answer. What ends an upload
 * is without effect (null, false) when its lease is another's by now, or the media is no longer PENDING.
 */
export interface Uploads {
  /** The media, its job, leased to the owner, and its key; a key of 24 hours ago, or of an upload that failed, is free. */
  reserve(reservation: UploadReservation): Promise<Reserved>;
  /** Leases jobs that nobody works on, the oldest first. No two claims get the same. */
  claim(claim: {
    readonly owner: string;
    readonly now: Date;
    readonly limit: number;
    readonly leaseMs: number;
  }): Promise<UploadJob[]>;
  /** The owner's leases of these media, also those whose time is over, while nobody else took them. */
  renewLeases(owner: string, media: readonly MediaName[], now: Date, leaseMs: number): Promise<void>;
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
  /** FAILED; the row owns no bytes any more. */
  fail(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    failure: { readonly code: ErrorCode; readonly reason: string },
    now: Date,
  ): Promise<CataloguedMedia | null>;
  /** Keys from before this time. @returns how many */
  forgetKeys(createdBefore: Date): Promise<number>;
}

/** Behind whatever the provider lists. */
const LAST_POSITION = 1_000_000;
const KEY_LIFETIME_MS = 24 * 60 * 60 * 1000;

export class SqlUploads implements Uploads {
  readonly #db: Database['kysely'];

  constructor({ kysely }: Pick<Database, 'kysely'>) {
    this.#db = kysely;
  }

  async reserve(upload: UploadReservation): Promise<Reserved> {
    const { rows } = await reserveStatement(upload).execute(this.#db);
    const [created] = rows;
    if (created) {
      const { sourceUrl, filename, mimeType } = upload;
      return {
        outcome: 'created',
        job: { media: toCataloguedMedia(created), sourceUrl, filename, mimeType, attempts: 1 },
      };
    }
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

  async claim({
    owner,
    now,
    limit,
    leaseMs,
  }: {
    readonly owner: string;
    readonly now: Date;
    readonly limit: number;
    readonly leaseMs: number;
  }): Promise<UploadJob[]> {
    const { rows } = await sql<JobRow>`
      with picked as (
        select tenant, media_id from uploads
        where lease_until is null or lease_until <= ${now}
        order by created_at
        limit ${limit}
        for update skip locked
      ), leased as (
        update uploads set lease_owner = ${owner}, lease_until = ${later(now, leaseMs)}, attempts = attempts + 1
        from picked
        where uploads.tenant = picked.tenant and uploads.media_id = picked.media_id
        returning uploads.*
      )
      select media.*, leased.source_url, leased.filename as asked_filename, leased.mime_type as asked_mime_type,
        leased.attempts
      from leased join media on media.tenant = leased.tenant and media.id = leased.media_id
      order by leased.created_at`.execute(this.#db);
    return rows.map((row) => ({
      media: toCataloguedMedia(row),
      sourceUrl: row.source_url,
      filename: row.asked_filename,
      mimeType: row.asked_mime_type,
      attempts: row.attempts,
    }));
  }

  async renewLeases(owner: string, media: readonly MediaName[], now: Date, leaseMs: number): Promise<void> {
    await sql`
      update uploads set lease_until = ${later(now, leaseMs)}
      from unnest(${media.map(({ tenant }) => tenant)}::text[], ${media.map(({ id }) => id)}::text[]) as held (tenant, id)
      where uploads.tenant = held.tenant and uploads.media_id = held.id and uploads.lease_owner = ${owner}`.execute(
      this.#db,
    );
  }

  async release(owner: string): Promise<void> {
    await this.#db
      .updateTable('uploads')
      .set({ ...UNLEASED, attempts: sql`greatest(attempts - 1, 0)` })
      .where('lease_owner', '=', owner)
      .execute();
  }

  async abandonLeases(): Promise<number> {
    const { numUpdatedRows } = await this.#db
      .updateTable('uploads')
      .set(UNLEASED)
      .where('lease_owner', 'is not', null)
      .executeTakeFirst();
    return Number(numUpdatedRows);
  }

  async markStored(tenant: TenantId, id: MediaId, owner: string, bytes: UploadedBytes, now: Date): Promise<boolean> {
    const { stored, mimeType, kind, filename } = bytes;
    const { numUpdatedRows } = await this.#pending(tenant, id, owner)
      .set({ ...storedColumns(stored), mime_type: mimeType, kind, filename: storable(filename), updated_at: now })
      .set({ size_bytes: stored.sizeBytes, sha256: stored.sha256 })
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

  async fail(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { code, reason }: { readonly code: ErrorCode; readonly reason: string },
    now: Date,
  ): Promise<CataloguedMedia | null> {
    const { rows } = await sql<MediaRow>`
      with ended as (
        delete from uploads where tenant = ${tenant} and media_id = ${id} and lease_owner = ${owner} returning media_id
      ), freed as (
        delete from upload_keys using ended where upload_keys.tenant = ${tenant} and upload_keys.media_id = ended.media_id
      )
      update media set status = 'FAILED', failure_code = ${code}, failure_reason = ${storable(reason)}, updated_at = ${now},
        stored_at = null, stored_size_bytes = null, stored_sha256 = null, stored_mime_type = null
      from ended
      where media.tenant = ${tenant} and media.id = ended.media_id and media.status = 'PENDING'
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

  // Private: an update of a media whose upload the owner is working on.
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

type JobRow = MediaRow &
  Pick<Selectable<Tables['uploads']>, 'source_url' | 'attempts'> & {
    readonly asked_filename: string | null;
    readonly asked_mime_type: string | null;
  };

const UNLEASED = { lease_owner: null, lease_until: null };

/** One statement: the key is taken, the media is there and its job is leased, or nothing of it. */
function reserveStatement(upload: UploadReservation) {
  const { tenant, id, idempotency, now, owner, leaseMs } = upload;
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
      insert into uploads (
        tenant, media_id, source_url, filename, mime_type, created_at, attempts, lease_owner, lease_until
      )
      select tenant, id, ${storable(upload.sourceUrl)}, ${storable(upload.filename)}, ${storable(upload.mimeType)},
        ${now}::timestamptz, 1, ${owner}, ${later(now, leaseMs)}::timestamptz
      from reserved
    )
    select * from reserved`;
}
