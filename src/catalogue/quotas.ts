import { sql } from 'kysely';
import type { Database } from '../database/database.js';

/** Counts actions that providers limit per period, across all replicas; see the port in `providers/quota.ts`. */
export class SqlQuotas {
  readonly #db: Database['kysely'];

  /** @param now for tests; milliseconds since the epoch */
  constructor(
    { kysely }: Pick<Database, 'kysely'>,
    private readonly now: () => number = Date.now,
  ) {
    this.#db = kysely;
  }

  async take(name: string, limit: number, windowMs: number): Promise<{ readonly retryAfterMs: number } | null> {
    const now = this.now();
    const since = new Date(now - windowMs);
    // The update locks the row, so of two concurrent callers the second counts the first.
    const taken = await sql`
      insert into quotas (name, taken) values (${name}, array[${new Date(now)}]::timestamptz[])
      on conflict (name) do update
      set taken = array(select at from unnest(quotas.taken) as at where at > ${since} order by at) || excluded.taken
      where (select count(*) from unnest(quotas.taken) as at where at > ${since}) < ${limit}
      returning name`.execute(this.#db);
    if (taken.rows.length > 0) return null;
    const { rows } = await sql<{ first: Date | null }>`
      select (select min(at) from unnest(taken) as at where at > ${since}) as first
      from quotas where name = ${name}`.execute(this.#db);
    const first = rows[0]?.first?.getTime() ?? now;
    return { retryAfterMs: Math.max(0, first + windowMs - now) };
  }
}
