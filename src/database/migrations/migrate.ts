import { type Migration, Migrator, sql } from 'kysely';
import { toError } from '../../model/errors.js';
import type { Database } from '../database.js';
import { catalogue } from './0001-catalogue.js';
import { uploadsAndDeletions } from './0002-uploads-and-deletions.js';
import { delivery } from './0003-delivery.js';
import { mediaChanges } from './0004-media-changes.js';
import { fencedWork } from './0005-fenced-work.js';
import { channelFacts } from './0006-channel-facts.js';
import { jobs } from './0007-jobs.js';
import { changeLog } from './0008-change-log.js';
import { allChanges } from './0009-all-changes.js';
import { requestCounts } from './0010-request-counts.js';
import { recovery } from './0011-recovery.js';

/**
 * The migrations in the order of their names. Never change a released migration; add new ones at the end.
 *
 * The version before a migration runs beside it during a rolling upgrade, and after it when the upgrade is rolled back. So
 * a migration adds, and removes nothing that the version before needs. One that cannot do that sets
 * `mediagraph_compatibility.since` to its own name, and earlier versions then refuse to start.
 */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-catalogue': catalogue,
  '0002-uploads-and-deletions': uploadsAndDeletions,
  '0003-delivery': delivery,
  '0004-media-changes': mediaChanges,
  '0005-fenced-work': fencedWork,
  '0006-channel-facts': channelFacts,
  '0007-jobs': jobs,
  '0008-change-log': changeLog,
  '0009-all-changes': allChanges,
  '0010-request-counts': requestCounts,
  '0011-recovery': recovery,
};

const TABLE = 'mediagraph_migrations';
const COMPATIBILITY_TABLE = 'mediagraph_compatibility';
const LOCK_TABLE = 'mediagraph_migrations_lock';

/**
 * Migrates the schema to this version in one transaction. When several processes start concurrently, a lock in the
 * database makes them migrate one after the other. The schema of a newer version stays as it is, if this version can use it.
 * @returns the names of the applied migrations, in order
 * @throws Error if the schema is of a newer version that this one cannot use, or if a migration failed
 */
export function migrate(database: Pick<Database, 'unhurried'>): Promise<readonly string[]> {
  return database.unhurried(migrateOver);
}

/** How a database's schema relates to this version. */
export interface SchemaState {
  readonly applied: readonly string[];
  /** The migrations that the next start applies, in order. */
  readonly pending: readonly string[];
  /** Migrations of a newer version. */
  readonly unknown: readonly string[];
  /** Whether this version can use the schema, once the pending migrations are applied. */
  readonly isUsable: boolean;
}

/** Compares the schema with this version, and changes nothing. */
export async function schemaState(kysely: Database['kysely']): Promise<SchemaState> {
  const schema = await currentSchema(kysely);
  const applied = await appliedMigrations(kysely, schema);
  const unknown = unknownAmong(applied);
  const isUsable = unknown.length === 0 || (await isCompatible(kysely, schema, applied));
  return { applied, pending: pendingAfter(applied), unknown, isUsable };
}

async function migrateOver(kysely: Database['kysely']): Promise<readonly string[]> {
  const schema = await currentSchema(kysely);
  const applied = await appliedMigrations(kysely, schema);
  await refuseUnusable(kysely, schema, applied);
  // The migrator takes a dozen statements to find that there is nothing to do.
  if (pendingAfter(applied).length === 0) return [];
  const migrator = new Migrator({
    db: kysely,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
    migrationTableName: TABLE,
    migrationLockTableName: LOCK_TABLE,
    // Set explicitly, because otherwise the migrator searches every schema for its tables and may find those of another
    // application.
    migrationTableSchema: schema,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) {
    // A newer replica may have migrated meanwhile.
    const now = await appliedMigrations(kysely, schema);
    await refuseUnusable(kysely, schema, now);
    if (pendingAfter(now).length === 0) return [];
    throw new Error('the database schema could not be migrated', { cause: toError(error) });
  }
  return results.map(({ migrationName }) => migrationName);
}

async function currentSchema(kysely: Database['kysely']): Promise<string> {
  const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(kysely);
  const name = rows[0]?.name;
  if (!name) throw new Error('expected the database connection to have a schema in its search_path, got none');
  return name;
}

async function appliedMigrations(kysely: Database['kysely'], schema: string): Promise<readonly string[]> {
  if (!(await hasTable(kysely, schema, TABLE))) return [];
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(TABLE)} order by name`.execute(kysely);
  return rows.map(({ name }) => name);
}

async function hasTable(kysely: Database['kysely'], schema: string, name: string): Promise<boolean> {
  const { rows } = await sql<{ present: boolean }>`
    select exists (select from pg_tables where schemaname = ${schema} and tablename = ${name}) as present`.execute(
    kysely,
  );
  return rows[0]?.present ?? false;
}

function unknownAmong(applied: readonly string[]): readonly string[] {
  return applied.filter((name) => !Object.hasOwn(MIGRATIONS, name));
}

function pendingAfter(applied: readonly string[]): readonly string[] {
  return Object.keys(MIGRATIONS).filter((name) => !applied.includes(name));
}

/** Whether this version can use a schema with migrations that it does not know. */
async function isCompatible(kysely: Database['kysely'], schema: string, applied: readonly string[]): Promise<boolean> {
  if (pendingAfter(applied).length > 0 || !(await hasTable(kysely, schema, COMPATIBILITY_TABLE))) return false;
  const { rows } = await sql<{ since: string }>`select since from ${sql.table(COMPATIBILITY_TABLE)}`.execute(kysely);
  const [compatible] = rows;
  return compatible !== undefined && Object.hasOwn(MIGRATIONS, compatible.since);
}

async function refuseUnusable(kysely: Database['kysely'], schema: string, applied: readonly string[]): Promise<void> {
  const unknown = unknownAmong(applied);
  if (unknown.length > 0 && !(await isCompatible(kysely, schema, applied)))
    throw new Error(
      `the database is of a newer version of Mediagraph: it has ${unknown.join(', ')}, unknown to this one`,
    );
}
