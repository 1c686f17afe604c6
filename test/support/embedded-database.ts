import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { type Database, openDatabase } from '../../src/database/database.js';
import { copyTemplate } from './copy-template.js';
import { until } from './eventually.js';

/** An embedded database of its own, empty and up to date, from files that were made before; closing it removes them. */
export async function openEmbeddedDatabase(): Promise<Database> {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-test-database-'));
  await copyTemplate(folder);
  const database = await openDatabase({ url: `pglite:${folder}` });
  const close = database.close.bind(database);
  database.close = async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
  };
  return database;
}

/** Deletes all rows: on the embedded engine in a hundredth of what TRUNCATE takes, which makes new files. */
export async function emptyTables({ kysely }: Database): Promise<void> {
  for (const table of [
    'media',
    'media_changes',
    'message_listings',
    'webhook_events',
    'signing_keys',
    'jobs',
    'paused_jobs',
    'upload_keys',
    'failed_uploads',
    'quotas',
    'request_counts',
    'channel_facts',
    'error_budgets',
  ] as const)
    await kysely.deleteFrom(table).execute();
  // Processes that remember rows find that changes are missing.
  await sql`update media_changes_pruned set xid = pg_current_xact_id()`.execute(kysely);
  await olderTransactionsEnd({ kysely });
}

/**
 * Resolves when every transaction has ended that was open at the call, in any database of the server: other test files use
 * it as well, and snapshots and the change log go by the oldest of all.
 */
export async function olderTransactionsEnd({ kysely }: Pick<Database, 'kysely'>): Promise<void> {
  const { rows } = await sql<{ xid: string }>`select pg_current_xact_id()::text as xid`.execute(kysely);
  const own = rows[0]?.xid;
  const oldest = () =>
    sql<{ isOver: boolean }>`
      select pg_snapshot_xmin(pg_current_snapshot()) > ${own}::xid8 as "isOver"`.execute(kysely);
  await until('older transactions to end', async () => (await oldest()).rows[0]?.isOver === true);
}

/** Open databases that no test uses; opening one takes a second. */
const idle: Database[] = [];
let lastTestEnded = false;

/** An empty embedded database, until it is given back. */
export async function borrowDatabase(): Promise<Database> {
  const database = idle.pop() ?? (await openEmbeddedDatabase());
  await emptyTables(database);
  return database;
}

export async function giveBack(database: Database): Promise<void> {
  if (lastTestEnded) await database.close();
  else idle.push(database);
}

/** What is given back after the file's last test is closed at once. */
afterAll(async () => {
  lastTestEnded = true;
  await Promise.all(idle.splice(0).map((database) => database.close()));
});
