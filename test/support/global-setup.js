/**
 * jest's global setup: what takes seconds is made once a run. The files of an empty embedded database, which a test file
 * that needs a database copies, and the program as plain JavaScript, for tests that start processes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { compileSources } from './compiled-sources.js';
import { MAIN_VARIABLE, TEMPLATE_VARIABLE } from './made-once.js';

export default async function makeOnce() {
  const folders = await Promise.all([mkdtemp(join(tmpdir(), 'mediagraph-test-template-')), compileSources()]);
  const [template, compiled] = folders;
  const database = new PGlite(join(template, 'catalog'));
  await database.waitReady;
  await database.close();
  process.env[TEMPLATE_VARIABLE] = join(template, 'catalog');
  process.env[MAIN_VARIABLE] = join(compiled, 'src', 'main.js');
  globalThis.removeMadeOnce = () => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
}
