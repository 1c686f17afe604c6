import { resolve } from 'node:path';
import { sql } from 'kysely';
import { embeddedFolder, openDatabase } from './database.js';
import { folderState } from './embedded/folder-state.js';
import { type SchemaState, schemaState } from './migrations/migrate.js';

/** What can be known of a database without changing it. */
export type DatabaseInspection =
  | {
      /**
       * `absent`: the folder of the embedded database does not exist yet. `held`: another process has it open. `memory`:
       * the database exists only while a process runs.
       */
      readonly kind: 'absent' | 'held' | 'memory';
      /** The folder; null for `memory`. */
      readonly folder: string | null;
    }
  | {
      readonly kind: 'open';
      readonly engine: 'embedded' | 'postgres';
      /** Such as 16.4; null where the server reports something else. */
      readonly version: string | null;
      readonly schema: SchemaState;
      /** Whether the user may create tables, which pending migrations need. */
      readonly mayMigrate: boolean;
      /** How far the database's clock is ahead of this machine's. */
      readonly clockOffsetMs: number;
    };

/** Looks at a database. It neither migrates nor creates one. Rejects where the database cannot be used. */
export async function inspectDatabase(url: string): Promise<DatabaseInspection> {
  const place = embeddedFolder(url);
  if (place === 'memory') return { kind: 'memory', folder: null };
  if (place !== null) {
    const folder = resolve(place);
    const state = folderState(folder);
    if (state !== 'free') return { kind: state, folder };
  }
  const database = await openDatabase({ url, maxConnections: 1 });
  try {
    await database.startClock();
    const clockOffsetMs = database.clock.now() - Date.now();
    const { rows } = await sql<{ version: string; mayMigrate: boolean | null }>`
      select current_setting('server_version') as version,
        has_schema_privilege(current_schema(), 'create') as "mayMigrate"`.execute(database.reads);
    const [version] = /^\d{1,4}(?:\.\d{1,4}){0,2}/.exec(rows[0]?.version ?? '') ?? [];
    const schema = await schemaState(database.reads);
    const mayMigrate = rows[0]?.mayMigrate ?? false;
    return { kind: 'open', engine: database.engine, version: version ?? null, schema, mayMigrate, clockOffsetMs };
  } finally {
    await database.close();
  }
}
