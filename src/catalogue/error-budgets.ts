import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../database/database.js';

interface Limits {
  readonly limit: number;
  readonly windowMs: number;
  readonly holdMs: number;
}

/**
 * Counts failures that a provider limits, and calls in progress that may fail, across all replicas; see `Quota.hold` in
 * `providers/quota.ts`. There is one row per name. The update locks the row, so of two concurrent callers the second
 * counts the first. Times are from the database's clock.
 */
export class SqlErrorBudgets {
  readonly #db: Database['kysely'];

  constructor({ kysely }: Pick<Database, 'kysely'>) {
    this.#db = kysely;
  }

  /**
   * Returns the id of a hold, which the caller must settle. Otherwise returns the time until the failures of the window
   * permit a call; 0 means that calls in progress use the whole limit.
   */
  async hold(name: string, { limit, windowMs, holdMs }: Limits): Promise<string | { readonly retryAfterMs: number }> {
    const id = randomUUID();
    const held = await sql`
      insert into error_budgets (name, holds)
      values (${name}, jsonb_build_object(${id}::text, extract(epoch from now()) + ${holdMs}::float8 / 1000))
      on conflict (name) do update set
        errors = ${recent(windowMs)},
        holds = ${underWay} || excluded.holds
      where coalesce(array_length(${recent(windowMs)}, 1), 0)
        + (select count(*) from jsonb_object_keys(${underWay})) < ${limit}
      returning name`.execute(this.#db);
    if (held.rows.length > 0) return id;
    // The failure that must leave the window before the count is below the limit.
    const { rows } = await sql<{ wait_ms: number | null }>`
      select (extract(epoch from at - now()) * 1000)::float8 + ${windowMs}::float8 as wait_ms
      from error_budgets, unnest(errors) as at
      where name = ${name} and at > now() - ${windowMs}::float8 * interval '1 millisecond'
      order by at desc offset ${limit - 1} limit 1`.execute(this.#db);
    return { retryAfterMs: Math.max(0, Math.ceil(rows[0]?.wait_ms ?? 0)) };
  }

  async settle(name: string, id: string, failed: boolean): Promise<void> {
    await sql`
      update error_budgets
      set holds = holds - ${id}::text,
        errors = case when ${failed}::boolean then errors || clock_timestamp() else errors end
      where name = ${name}`.execute(this.#db);
  }
}

function recent(windowMs: number) {
  return sql`array(
    select at from unnest(error_budgets.errors) as at
    where at > now() - ${windowMs}::float8 * interval '1 millisecond' order by at)`;
}

const underWay = sql`(
  select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(error_budgets.holds)
  where value::text::float8 > extract(epoch from now()))`;
