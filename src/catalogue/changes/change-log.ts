import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../database/database.js';
import type { TenantId } from '../../model/channel.js';
import type { MediaId, MediaStatus, MessageKey } from '../../model/media.js';

/** A new media of a message, or a change of its status. */
export interface MediaChange extends MessageKey {
  readonly tenant: TenantId;
  readonly id: MediaId;
  /** The status after this change. The row may have changed again since. */
  readonly status: MediaStatus;
}

/** A change of a message's media, or of its listing. */
export interface LoggedChange extends MediaChange {
  /** Whether it is a {@link MediaChange}. Otherwise, `id` and `status` are empty if the listing of the message changed. */
  readonly isStatus: boolean;
}

export interface ReadChanges {
  /** The snapshot from which the next read continues. */
  readonly snapshot: string;
  /** The changes of each media are in order. */
  readonly changes: readonly LoggedChange[];
  /** Whether some changes were not read, because they were pruned or too many. */
  readonly isGap: boolean;
}

/** A read that finds more changes returns only a gap, because comparing rows then costs less. */
const MOST_CHANGES = 10_000;
const PRUNED_TOGETHER = 10_000;

/**
 * The table `media_changes`. Triggers write it in the transaction of each change (migrations 0008 and 0009).
 *
 * Transactions commit in another order than they receive their ids, so no id separates the changes that were read from
 * the others. A reader therefore advances from snapshot to snapshot (PostgreSQL docs, "pg_current_snapshot"): a read
 * returns the changes that are committed now and were not committed in the previous snapshot. It returns each change
 * once, whichever transactions are open in this or another database of the server. A change of a media waits for the
 * media's row until the previous change is committed, so a read that sees the second change has also seen the first.
 * Sorted by id, the changes of a media are therefore in order within a read and across reads.
 */
export class ChangeLog {
  constructor(private readonly database: Pick<Database, 'reads' | 'background'>) {}

  /**
   * Reads the changes that were committed after another read.
   * @param from the snapshot of that read; null returns no changes, only the current snapshot
   */
  async read(from: string | null): Promise<ReadChanges> {
    const since = sql`${from}::pg_snapshot`;
    // Each part reads the primary key in its order. With one condition for both, PostgreSQL scans the whole log.
    const part = (condition: RawBuilder<unknown>) => sql`
      (select * from media_changes where ${condition} and xid < pg_snapshot_xmax(pg_current_snapshot())
        order by xid, id limit ${MOST_CHANGES + 1})`;
    // After a restore from a dump, the ids of the dumped transactions may be in the future.
    const { rows } = await sql<{ snapshot: string; isPruned: boolean | null; changes: readonly LoggedChange[] }>`
      select pg_current_snapshot()::text as snapshot,
        (select xid >= pg_snapshot_xmin(${since}) and xid < pg_snapshot_xmax(pg_current_snapshot())
          from media_changes_pruned) as "isPruned",
        (select coalesce(json_agg(json_build_object('tenant', tenant, 'id', media_id, 'channelId', channel_id,
            'providerMessageId', provider_message_id, 'status', status, 'isStatus', is_status) order by id), '[]')
          from (
            select * from (${part(sql`xid >= pg_snapshot_xmax(${since})`)}
              union all ${part(sql`xid = any(array(select pg_snapshot_xip(${since})))`)}) as both_parts
            limit ${MOST_CHANGES + 1}
          ) as unread) as changes`.execute(this.database.reads);
    const [read] = rows;
    if (!read) throw new Error('expected a row with the snapshot, got none');
    const { snapshot, changes } = read;
    if (read.isPruned !== true && changes.length <= MOST_CHANGES) return { snapshot, changes, isGap: false };
    return { snapshot, changes: [], isGap: true };
  }

  /**
   * Wakes the processes that listen to {@link channel}. It uses its own transaction, so that no writer waits for it.
   */
  async notify(): Promise<void> {
    await sql`select pg_notify('mediagraph_changes_' || md5(current_schema()), '')`.execute(this.database.reads);
  }

  /**
   * Returns the name of the channel. It contains the schema, because each schema of a database may contain a catalogue.
   */
  async channel(): Promise<string> {
    const { rows } = await sql<{ channel: string }>`
      select 'mediagraph_changes_' || md5(current_schema()) as channel`.execute(this.database.reads);
    return rows[0]?.channel ?? '';
  }

  /**
   * Deletes changes from before a time, but only those of transactions that are older than every open transaction. A
   * reader whose snapshot has no open transaction below the highest of them has therefore read all deleted changes.
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
