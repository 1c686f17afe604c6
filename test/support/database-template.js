/**
 * jest's global setup and teardown: the files of an empty embedded database, made once a run. Making them takes seconds;
 * a test file that needs a database copies them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';

export const TEMPLATE_VARIABLE = 'MEDIAGRAPH_TEST_DATABASE_TEMPLATE';

export default async function makeTemplate() {
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-test-template-'));
  const database = new PGlite(join(folder, 'catalog'));
  await database.waitReady;
  await database.close();
  process.env[TEMPLATE_VARIABLE] = join(folder, 'catalog');
  globalThis.removeDatabaseTemplate = () => rm(folder, { recursive: true, force: true });
}
