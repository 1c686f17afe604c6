/**
 * jest's global setup: what takes seconds is made once a run. The program as it is delivered, for tests that start
 * processes, and the files of an embedded database that is empty and up to date, which a test file that needs a database
 * copies. All temporary files of the run are kept in memory where there is room.
 */
import { randomBytes } from 'node:crypto';
import { access, appendFile, constants, mkdtemp, readdir, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle } from '../../build/bundle.js';
import { compileSources } from './compiled-sources.js';
import { DATABASES_VARIABLE, MAIN_VARIABLE, PROGRAM_VARIABLE, TEMPLATE_VARIABLE } from './made-once.js';

const MEMORY = '/dev/shm';
/** Several times what the run has been seen to take. */
const ROOM_BYTES = 4 * 1024 ** 3;
/** The buffers of an embedded database; more than the rows of most tests need. */
const BUFFERS = '16MB';

export default async function makeOnce() {
  const run = await mkdtemp(join((await hasRoom(MEMORY)) ? MEMORY : tmpdir(), 'mediagraph-test-run-'));
  process.env.TMPDIR = run;
  const compiled = await compileSources();
  await bundle(join(compiled, 'src/'), join(compiled, 'dist/'));
  const template = join(run, 'template');
  await makeTemplate(template, compiled);
  process.env[TEMPLATE_VARIABLE] = template;
  process.env[MAIN_VARIABLE] = join(compiled, 'src', 'main.js');
  process.env[PROGRAM_VARIABLE] = join(compiled, 'dist', 'main.js');
  process.env[DATABASES_VARIABLE] = `mediagraph_test_${randomBytes(4).toString('hex')}_`;
  globalThis.removeMadeOnce = () => rm(run, { recursive: true, force: true });
}

/** @type {(folder: string) => Promise<boolean>} */
async function hasRoom(folder) {
  try {
    await access(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false;
  }
}

/** @type {(folder: string, compiled: string) => Promise<void>} */
async function makeTemplate(folder, compiled) {
  const packed = join(compiled, 'dist/database/embedded/');
  const [name] = (await readdir(packed)).filter((file) => file.startsWith('template-'));
  if (name === undefined) throw new Error('expected the build to have made the template of the embedded database');
  const { unpackTemplate } = await import(pathToFileURL(join(compiled, 'src/database/embedded/template.js')).href);
  unpackTemplate(await readFile(join(packed, name)), folder);
  // The engine clears its buffers at each start: with the default of 128 MB, a third of the processor time that opening
  // takes. The last line counts.
  await appendFile(join(folder, 'postgresql.conf'), `shared_buffers = ${BUFFERS}\n`);
}
