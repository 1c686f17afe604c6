import { sql } from 'kysely';
import type { Database } from '../../database/database.js';
import type { TenantId } from '../../model/channel.js';
import type { MediaId, MediaStatus, MessageKey } from '../../model/media.js';

/** A media of a message became known, or its status changed. */
export interface MediaChange extends MessageKey {
  readonly tenant: TenantId;
  readonly id: MediaId;
  /** Since this change; the row may have gone on. */
  readonly status: MediaStatus;
}

export interface ReadChanges {
  /** The next read goes on from here. */
  readonly snapshot: string;
  /** In order for each media. */
  readonly changes: readonly MediaChange[];
  /** There are changes that were not read: they had been pruned, or they were too many. */
  readonly isGap: boolean;
}

/** A read that finds more answers none of them but a gap, because comparing costs less by then. */
const MOST_CHANGES = 10_000;
const PRUNED_TOGETHER = 10_000;

/**
 * The table `media_changes`, which triggers write in the transaction of each change (migration 0008).
 *
 * Transactions commit in another order than they got their ids in, so that no id separates what was read from what was
 * not. A reader therefore goes from snapshot to snapshot (PostgreSQL docs, "pg_current_snapshot"): a read answers what
 * is committed and was not committed in the snapshot before. It answers each change once, whatever transactions are open,
 * be they of this database or of another one of the server. A change of a media waits for the media's row until the
 * change before it is committed, so that a read which sees one sees the other or has seen it: sorted by id, the changes
 * of a media are in order within a read and from read to read.
 */
export class ChangeLog {
  constructor(private readonly database: Pick<Database, 'reads' | 'background'>) {}

  /**
   * Reads what was committed since another read.
   * @param from the snapshot of that read; null reads no changes, only where to begin
   */
  async read(from: string | null): Promise<ReadChanges> {
    const since = sql`${from}::pg_snapshot`;
    // In a database that was restored from a dump, the ids of the dumped transactions may lie in the future.
    const { rows } = await sql<{ snapshot: string; isPruned: boolean | null; changes: readonly MediaChange[] }>`
      select pg_current_snapshot()::text as snapshot,
        (select xid >= pg_snapshot_xmin(${since}) and xid < pg_snapshot_xmax(pg_current_snapshot())
          from media_changes_pruned) as "isPruned",
        (select coalesce(json_agg(json_build_object('tenant', tenant, 'id', media_id, 'channelId', channel_id,
            'providerMessageId', provider_message_id, 'status', status) order by id), '[]')
          from (select * from media_changes
            where (xid >= pg_snapshot_xmax(${since}) or xid = any(array(select pg_snapshot_xip(${since}))))
              and xid < pg_snapshot_xmax(pg_current_snapshot())
            order by id limit ${MOST_CHANGES + 1}) as unread) as changes`.execute(this.database.reads);
    const [read] = rows;
    if (!read) throw new Error('expected a row with the snapshot, got none');
    const { snapshot, changes } = read;
    if (read.isPruned !== true && changes.length <= MOST_CHANGES) return { snapshot, changes, isGap: false };
    return { snapshot, changes: [], isGap: true };
  }

  /** Wakes the processes that listen to {@link channel}, in a transaction of its own, so that no writer waits for it. */
  async notify(): Promise<void> {
    await sql`select pg_notify('mediagraph_changes_' || md5(current_schema()), '')`.execute(this.database.reads);
  }

  /** Answers the channel's name. It names the schema, because each schema of a database may hold a catalogue. */
  async channel(): Promise<string> {
    const { rows } = await sql<{ channel: string }>`
      select 'mediagraph_changes_' || md5(current_schema()) as channel`.execute(this.database.reads);
    return rows[0]?.channel ?? '';
  }

  /**
   * Removes changes that were made before a time, but only those of transactions that are older than every open one. A
   * reader whose snapshot has no open transaction below the highest of them has therefore read all that was removed.
   */
  async prune(before: Date): Promise<void> {
    for (;;) {
      const { rows } = await sql<{ count: number }>`
        with bounds as (
          select pg_snapshot_xmin(pg_current_snapshot()) as open, pg_snapshot_xmax(pg_current_snapshot()) as future
        ), pruned as (
          delete from media_changes where (xid, id) in (
            select xid, id from media_changes, bounds where at < ${before} and (xid < open or xid >= future)
            order by at limit ${PRUNED_TOGETHER})
          returning xid
        ), marked as (
          update media_changes_pruned as mark set xid = highest.xid
          from bounds, (select pruned.xid from pruned, bounds where pruned.xid < open order by 1 desc limit 1) as highest
          where mark.xid < highest.xid or mark.xid >= future
        )
        select count(*) as count from pruned`.execute(this.database.background);
      if ((rows[0]?.count ?? 0) < PRUNED_TOGETHER) return;
    }
  }
}
