import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import { later } from '../database/later.js';
import type { TenantId } from '../model/channel.js';
import type { DeletionScope, MediaId } from '../model/media.js';
import type { CataloguedMedia } from './catalogued-media.js';
import { type MediaRow, toCataloguedMedia, withoutBytes } from './media-rows.js';

/** How a deletion ended. */
export interface Completion {
  readonly scope: DeletionScope;
  /** Whether the CDN has to be told. */
  readonly purge: boolean;
  readonly now: Date;
}

/** Who deletes a media, and until when nobody else goes on with it. */
export interface DeletionClaim {
  readonly owner: string;
  readonly now: Date;
  readonly leaseMs: number;
}

/**
 * Deletions: the intent, then the end, then the bytes. Every method is one statement, so all or nothing, and may be
 * called from any number of processes at once; each rejects when the database does not answer.
 */
export interface Deletions {
  /** Notes the intent; the status stays. null where there is no row, or it is DELETED, or another is deleting it. */
  intend(tenant: TenantId, id: MediaId, claim: DeletionClaim): Promise<CataloguedMedia | null>;
  /** The provider refused: nothing has changed. Without effect when the intent is another's by now, as the next. */
  withdraw(tenant: TenantId, id: MediaId, owner: string): Promise<void>;
  /** DELETED, and off every queue. The row still says that bytes are left, until {@link bytesRemoved}. */
  complete(tenant: TenantId, id: MediaId, owner: string, completion: Completion): Promise<CataloguedMedia | null>;
  /** The CDN has dropped it for good. */
  purged(tenant: TenantId, id: MediaId): Promise<void>;
  /** Deleted before that time, and the CDN has still to be told of it (again), the oldest first. */
  findUnpurged(deletedBefore: Date, limit: number): Promise<CataloguedMedia[]>;
  bytesRemoved(tenant: TenantId, id: MediaId): Promise<void>;
  /** Intents whose time is over, now the owner's: a crash left them. */
  claimInterrupted(claim: DeletionClaim, limit: number): Promise<CataloguedMedia[]>;
  /** Deleted media whose bytes nobody has removed since that time. */
  findBytesLeft(deletedBefore: Date, limit: number): Promise<CataloguedMedia[]>;
  /** How many the last two would find. */
  countUnfinished(now: Date, deletedBefore: Date): Promise<number>;
  /** Makes all intents {@link claimInterrupted}'s. Only for a process that knows that it is alone. @returns how many */
  abandonLeases(): Promise<number>;
  /**
   * Tombstones from before that time: those of media that is gone at its provider go, the others stay as a mark that
   * keeps a listing from showing them again. @returns how many
   */
  bury(deletedBefore: Date): Promise<number>;
}

export class SqlDeletions implements Deletions {
  readonly #db: Database['kysely'];

  constructor({ kysely }: Pick<Database, 'kysely'>) {
    this.#db = kysely;
  }

  async intend(tenant: TenantId, id: MediaId, { owner, now, leaseMs }: DeletionClaim): Promise<CataloguedMedia | null> {
    const { rows } = await sql<MediaRow>`
      update media set deletion_owner = ${owner}, deletion_until = ${later(now, leaseMs)}
      where tenant = ${tenant} and id = ${id} and status <> 'DELETED'
        and (deletion_owner is null or deletion_until <= ${now})
      returning *`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  async withdraw(tenant: TenantId, id: MediaId, owner: string): Promise<void> {
    await this.#db
      .updateTable('media')
      .set(NOT_BEING_DELETED)
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('deletion_owner', '=', owner)
      .execute();
  }

  async complete(
    tenant: TenantId,
    id: MediaId,
    owner: string,
    { scope, purge, now }: Completion,
  ): Promise<CataloguedMedia | null> {
    const { rows } = await sql<MediaRow>`
      with ended as (
        update media set status = 'DELETED', deletion_scope = ${scope}, updated_at = ${now}, deletion_owner = null,
          deletion_until = null, lease_owner = null, lease_until = null, lease_alone = false, purge_due = ${purge},
          ${withoutBytes(BYTES_LEFT)}, mirror_state = case when mirror_state = 'due' then 'failed' else mirror_state end
        where tenant = ${tenant} and id = ${id} and deletion_owner = ${owner} and status <> 'DELETED'
        returning *
      ), upload as (
        delete from uploads using ended where uploads.tenant = ended.tenant and uploads.media_id = ended.id
      ), failed_upload as (
        delete from failed_uploads using ended
        where failed_uploads.tenant = ended.tenant and failed_uploads.media_id = ended.id
      )
      select * from ended`.execute(this.#db);
    return rows[0] ? toCataloguedMedia(rows[0]) : null;
  }

  async purged(tenant: TenantId, id: MediaId): Promise<void> {
    await this.#db
      .updateTable('media')
      .set({ purge_due: false })
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('status', '=', 'DELETED')
      .execute();
  }

  async findUnpurged(deletedBefore: Date, limit: number): Promise<CataloguedMedia[]> {
    const rows = await this.#db
      .selectFrom('media')
      .selectAll()
      .where('purge_due', '=', true)
      .where('updated_at', '<=', deletedBefore)
      .orderBy('updated_at')
      .limit(limit)
      .execute();
    return rows.map(toCataloguedMedia);
  }

  async bytesRemoved(tenant: TenantId, id: MediaId): Promise<void> {
    await sql`
      update media set ${withoutBytes()}
      where tenant = ${tenant} and id = ${id} and status = 'DELETED'`.execute(this.#db);
  }

  async claimInterrupted({ owner, now, leaseMs }: DeletionClaim, limit: number): Promise<CataloguedMedia[]> {
    const { rows } = await sql<MediaRow>`
      with picked as (
        select tenant, id from media
        where deletion_owner is not null and deletion_until <= ${now}
        order by deletion_until
        limit ${limit}
        for update skip locked
      )
      update media set deletion_owner = ${owner}, deletion_until = ${later(now, leaseMs)}
      from picked
      where media.tenant = picked.tenant and media.id = picked.id
      returning media.*`.execute(this.#db);
    return rows.map(toCataloguedMedia);
  }

  async findBytesLeft(deletedBefore: Date, limit: number): Promise<CataloguedMedia[]> {
    const { rows } = await sql<MediaRow>`
      select * from media
      where status = 'DELETED' and stored_at is not null and updated_at <= ${deletedBefore}
      order by updated_at
      limit ${limit}`.execute(this.#db);
    return rows.map(toCataloguedMedia);
  }

  async countUnfinished(now: Date, deletedBefore: Date): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select
        (select count(*) from media where deletion_owner is not null and deletion_until <= ${now}) +
        (select count(*) from media
          where status = 'DELETED' and stored_at is not null and updated_at <= ${deletedBefore}) as count`.execute(
      this.#db,
    );
    return rows[0]?.count ?? 0;
  }

  async abandonLeases(): Promise<number> {
    const { numUpdatedRows } = await this.#db
      .updateTable('media')
      .set({ deletion_until: new Date(0) })
      .where('deletion_owner', 'is not', null)
      .executeTakeFirst();
    return Number(numUpdatedRows);
  }

  async bury(deletedBefore: Date): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      with gone as (
        delete from media
        where status = 'DELETED' and not buried and updated_at <= ${deletedBefore} and stored_at is null and not purge_due
          and (deletion_scope = 'PROVIDER' or uploaded)
        returning 1
      ), kept as (
        update media set buried = true, download_url = null, filename = null, caption = null, failure_reason = null
        where status = 'DELETED' and not buried and updated_at <= ${deletedBefore} and stored_at is null and not purge_due
          and deletion_scope is distinct from 'PROVIDER' and not uploaded
        returning 1
      )
      select (select count(*) from gone) + (select count(*) from kept) as count`.execute(this.#db);
    return rows[0]?.count ?? 0;
  }
}

/** What says that a deletion is not over. */
const BYTES_LEFT = ['stored_at', 'blob_key'] as const;

const NOT_BEING_DELETED = { deletion_owner: null, deletion_until: null };
