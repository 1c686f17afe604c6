import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/database.js';
import { addedJobs, droppedJobs } from '../jobs/job-statements.js';
import type { TenantId } from '../model/channel.js';
import type { MediaFailure, MediaId } from '../model/media.js';
import type { CataloguedMedia, MediaName, StoredBytes } from './media/catalogued-media.js';
import { assignments, catalogued, withoutBytes, withoutLostBytes } from './media/column-lists.js';
import type { CataloguedRow, MediaChanges } from './media/media-columns.js';
import { failureColumns, toCataloguedMedia } from './media/media-rows.js';

/** Media whose row names bytes that the store does not have. */
export interface LostBytes extends MediaName {
  /** The bytes, as the row named them when they were found to be lost. */
  readonly stored: Pick<StoredBytes, 'key' | 'sha256'>;
}

/**
 * What became of media whose bytes were lost. `copied`: PENDING, with a job that copies it from its provider again. `failed`:
 * an upload that no provider has. `expired`: its provider no longer keeps it. `unchanged`: the row names other bytes by now,
 * has ended, or is being deleted or uploaded.
 */
export type Recovery = 'copied' | 'failed' | 'expired' | 'unchanged';

/** The media that have stored bytes, for the comparison of rows and blobs. Any number of processes may call it. */
export interface StoredMedia {
  /**
   * The rows behind one, of every tenant and status, in the order of tenant and id. Fewer rows than `limit` are the last ones.
   * @param after null: from the beginning
   */
  page(after: MediaName | null, limit: number): Promise<readonly CataloguedMedia[]>;
  /**
   * Gives up bytes that the store has lost. The rows keep nothing that was read from them.
   * @param how `onlyCopies`: media that cannot be copied from anywhere is `unchanged`. `failure`: the reason for `failed`, and
   *   the time of the change.
   */
  giveUp<Lost extends LostBytes>(
    lost: readonly Lost[],
    how: { readonly onlyCopies: boolean; readonly failure: MediaFailure },
  ): Promise<ReadonlyMap<Lost, Recovery>>;
}

export class SqlStoredMedia implements StoredMedia {
  constructor(private readonly database: Pick<Database, 'background' | 'backgroundReads'>) {}

  async page(after: MediaName | null, limit: number): Promise<readonly CataloguedMedia[]> {
    const { rows } = await sql<CataloguedRow>`
      select ${catalogued()} from media where (tenant, id) > (${after?.tenant ?? ''}, ${after?.id ?? ''})
      order by tenant, id limit ${limit}`.execute(this.database.backgroundReads);
    return rows.map(toCataloguedMedia);
  }

  /**
   * A transaction of two statements. The first one locks the rows, so that the second one sees every deletion that was begun
   * before, and every later one waits, and then ends the copy that was added here.
   */
  async giveUp<Lost extends LostBytes>(
    lost: readonly Lost[],
    { onlyCopies, failure }: { readonly onlyCopies: boolean; readonly failure: MediaFailure },
  ): Promise<ReadonlyMap<Lost, Recovery>> {
    if (lost.length === 0) return new Map();
    const rows = await this.database.background.transaction().execute(async (transaction) => {
      await sql`
        with lost as (${lostBytes(lost)})
        select from media join lost using (tenant, id) order by media.tenant, media.id for update of media`.execute(
        transaction,
      );
      const ended = await endedStatement(lost, { onlyCopies, failure }).execute(transaction);
      return ended.rows;
    });
    const recovered = new Map(rows.map(({ place, recovery }) => [Number(place), recovery]));
    return new Map(lost.map((one, index) => [one, recovered.get(index + 1) ?? 'unchanged']));
  }
}

function lostBytes(lost: readonly LostBytes[]): RawBuilder<unknown> {
  const columns = [
    lost.map(({ tenant }) => tenant),
    lost.map(({ id }) => id),
    lost.map(({ stored }) => stored.key),
    lost.map(({ stored }) => stored.sha256),
  ].map((column) => sql`${column}::text[]`);
  return sql`select * from unnest(${sql.join(columns)}) with ordinality as lost (tenant, id, key, sha256, place)`;
}

interface Ended {
  readonly place: number;
  readonly recovery: Exclude<Recovery, 'unchanged'>;
  readonly tenant: TenantId;
  readonly id: MediaId;
}

function endedStatement(
  lost: readonly LostBytes[],
  { onlyCopies, failure }: { readonly onlyCopies: boolean; readonly failure: MediaFailure },
): RawBuilder<Ended> {
  const now = failure.at;
  const copied: MediaChanges = { status: 'PENDING', mirror_state: 'open', ...failureColumns(null), updated_at: now };
  const failed: MediaChanges = { status: 'FAILED', ...failureColumns(failure), updated_at: now };
  const job = sql`select tenant, id, channel_id, available_until, ${now}::timestamptz, null::jsonb from copied`;
  const ofRecovery = (recovery: Ended['recovery'], changes: RawBuilder<unknown>) => sql`
    update media set ${changes} from lost
    where media.tenant = lost.tenant and media.id = lost.id and lost.recovery = ${recovery}
      and ${recovery === 'copied' || !onlyCopies}
    returning media.tenant, media.id, media.channel_id, media.available_until, lost.place, lost.recovery`;
  const columns = sql.raw('place, recovery, tenant, id');
  return sql<Ended>`
    with named as (${lostBytes(lost)}), lost as (
      select media.tenant, media.id, named.place, case
        when media.available_until <= ${now} then case when uploaded then 'failed' else 'expired' end
        when uploaded and provider_media_id is null then 'failed'
        else 'copied' end as recovery
      from media join named on media.tenant = named.tenant and media.id = named.id
        and media.blob_key = named.key and media.stored_sha256 = named.sha256
      where media.stored_at is not null and media.status in ('PENDING', 'READY')
        -- An upload that is under way finds that its bytes are lost, and fails by itself.
        and not exists (
          select from jobs where jobs.tenant = media.tenant and jobs.key = media.id and jobs.kind in ('deletion', 'upload')
        )
    ), copied as (${ofRecovery('copied', sql`${assignments(copied)}, ${withoutLostBytes()}`)}),
    failed as (${ofRecovery('failed', sql`${assignments(failed)}, ${withoutBytes()}`)}),
    expired as (${ofRecovery('expired', sql`status = 'EXPIRED', updated_at = ${now}, ${withoutBytes()}`)}),
    ended as (
      select ${columns} from copied union all select ${columns} from failed union all select ${columns} from expired
    ), inspections as (${droppedJobs(['inspection'], 'ended')}),
    added as (${addedJobs({ kind: 'copy', now, rows: job })})
    select * from ended`;
}
