import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Tables } from '../database/tables.js';

/** Few enough to take a fraction of the 10 s that a statement may take, however many rows a long pause has left. */
const BATCH = 5_000;

/**
 * Repeats a statement until it finds less than a batch.
 * @param statement changes up to `limit` rows, and resolves to their number
 * @returns the number of all rows
 */
export async function inBatches(statement: (limit: number) => Promise<number>): Promise<number> {
  let count = 0;
  for (;;) {
    const changed = await statement(BATCH);
    count += changed;
    if (changed < BATCH) return count;
  }
}

interface OldRows {
  readonly table: keyof Tables;
  /** The column by which rows are found again. `ctid` is unique only in a table without partitions. */
  readonly key: 'id' | 'ctid';
  readonly where: RawBuilder<unknown>;
  /** A column whose index has these rows in its order. */
  readonly order: string;
}

/** Deletes rows in batches, and leaves out those that another transaction has locked. @returns the number of rows */
export function deleteInBatches(db: Kysely<Tables>, { table, key, where, order }: OldRows): Promise<number> {
  const [rows, name] = [sql.table(table), sql.ref(key)];
  return inBatches(async (limit) => {
    const { numAffectedRows = 0n } = await sql`
      delete from ${rows} where ${name} = any(array(
        select ${name} from ${rows} where ${where} order by ${sql.ref(order)} limit ${limit} for update skip locked
      ))`.execute(db);
    return Number(numAffectedRows);
  });
}
