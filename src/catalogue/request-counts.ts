import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { TenantId } from '../model/channel.js';

/** A request counts for this long. */
export const RATE_WINDOW_S = 60;

export interface Draw {
  /** The number of allowances that the caller would like to have. */
  readonly wanted: number;
  /** The maximum number of requests in a window. */
  readonly limit: number;
  /** Allowances of an earlier draw that the caller did not use and gives back. */
  readonly unused: number;
  /** The time of that draw. */
  readonly unusedOf: number;
}

export interface Drawn {
  readonly granted: number;
  /** Allowances that are left for later draws. */
  readonly remaining: number;
  /** The time until the oldest counted request leaves the window. */
  readonly resetMs: number;
  /** The time of this draw: seconds since the epoch, by the database's clock. */
  readonly at: number;
}

/**
 * Counts the requests of tenants over all replicas. A tenant has one row with the counts of the last minute, one for each
 * second. Each count has the time of its latest request, and leaves the window 60 seconds after that time.
 */
export class SqlRequestCounts {
  readonly #db: Database['reads'];

  constructor({ reads }: Pick<Database, 'reads'>) {
    // The statements change no table that a listener of writes would read.
    this.#db = reads;
  }

  async draw(tenant: TenantId, { wanted, limit, unused, unusedOf }: Draw): Promise<Drawn> {
    // The update locks the row, so of two concurrent draws the second counts what the first was granted.
    const { rows } = await sql<Row>`
      with clock as (select extract(epoch from clock_timestamp())::double precision as now)
      insert into request_counts as known (tenant, times, counts, granted, drawn_at)
      select ${tenant}, array[now], array[least(${wanted}::integer, ${limit}::integer)],
        least(${wanted}::integer, ${limit}::integer), now from clock
      on conflict (tenant) do update set (times, counts, granted, drawn_at) = (
        with clock as (select extract(epoch from clock_timestamp())::double precision as now),
        kept as (
          select time, count from clock, unnest(known.times, known.counts) as counted (time, count)
          where time between now - ${RATE_WINDOW_S} and now + ${RATE_WINDOW_S}
          union all select ${unusedOf}::double precision, -${unused}::integer from clock
          where ${unusedOf}::double precision > now - ${RATE_WINDOW_S}),
        draw as (select greatest(0, least(${wanted}, ${limit} - coalesce(sum(count), 0)))::integer as granted from kept),
        slots as (
          select max(time) as time, greatest(0, sum(count))::integer as count
          from (select time, count from kept union all select now, granted from clock, draw) as entries
          group by floor(time))
        select coalesce(array_agg(time order by time) filter (where count > 0), '{}'),
          coalesce(array_agg(count order by time) filter (where count > 0), '{}'),
          (select granted from draw), (select now from clock)
        from slots)
      returning times[1] as oldest, granted, drawn_at, (select sum(count) from unnest(counts) as count)::integer as used`.execute(
      this.#db,
    );
    const [row] = rows;
    if (!row) throw new Error('expected the row of a draw');
    const { granted, used, oldest, drawn_at: at } = row;
    return {
      granted,
      remaining: Math.max(0, limit - (used ?? 0)),
      resetMs: oldest === null ? 0 : Math.max(0, Math.ceil((oldest + RATE_WINDOW_S - at) * 1000)),
      at,
    };
  }

  /** Deletes the rows of tenants without a request since then. */
  async forget(before: Date): Promise<void> {
    await sql`delete from request_counts where drawn_at < ${before.getTime() / 1000}`.execute(this.#db);
  }
}

interface Row {
  readonly granted: number;
  readonly used: number | null;
  readonly oldest: number | null;
  readonly drawn_at: number;
}
