import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '../../src/catalogue/database.js';
import { migrate } from '../../src/catalogue/migrations/migrate.js';
import { copyTemplate } from './copy-template.js';

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
  await migrate(database);
  return database;
}
