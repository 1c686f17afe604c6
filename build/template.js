// @ts-check
/*
 * Makes the template of the embedded database: a new folder, brought up to date by the migrations themselves, and packed
 * into one file.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

const OWN_TO_A_FOLDER = new Set(['postmaster.pid', 'postmaster.opts']);

/**
 * Over everything that decides what the template holds: the migrations, and the engine that makes and reads it.
 * @param {string} modules the folder of the compiled modules
 */
export async function templateDigest(modules) {
  const hash = createHash('sha256');
  const migrations = join(modules, 'database/migrations');
  const names = (await readdir(migrations)).filter((name) => name.endsWith('.js')).sort();
  const engine = join(modules, 'database/embedded/worker.js');
  for (const file of [...names.map((name) => join(migrations, name)), engine, manifestOfEngine()])
    hash.update(await readFile(file)).update('\0');
  return hash.digest('hex').slice(0, 16);
}

/** The manifest is not among the package's exports. */
function manifestOfEngine() {
  const main = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  return join(dirname(dirname(main)), 'package.json');
}

/**
 * @param {string} modules the folder of the compiled modules
 * @param {string} folder where the template is written
 * @param {string} digest
 */
export async function writeTemplate(modules, folder, digest) {
  /** @type {(name: string) => Promise<any>} */
  const load = (name) => import(pathToFileURL(join(modules, name)).href);
  const { openDatabase } = await load('database/database.js');
  const { migrate } = await load('database/migrations/migrate.js');
  const { packTemplate, templateName } = await load('database/embedded/template.js');
  const scratch = await mkdtemp(join(tmpdir(), 'mediagraph-template-'));
  try {
    const database = await openDatabase({ url: `pglite:${scratch}` });
    await migrate(database);
    await database.close();
    await writeFile(join(folder, templateName(digest)), packTemplate(await read(join(scratch, 'pgdata'))));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** @param {string} folder */
async function read(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const pathOf = (/** @type {import('node:fs').Dirent} */ { parentPath, name }) =>
    relative(folder, join(parentPath, name));
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(pathOf)
    .sort();
  /** @type {Map<string, number>} */
  const known = new Map();
  const contents = [];
  /** @type {Array<[string, number]>} */
  const files = [];
  for (const entry of entries.filter((entry) => entry.isFile() && !OWN_TO_A_FOLDER.has(entry.name))) {
    const bytes = await readFile(join(folder, pathOf(entry)));
    const hash = createHash('sha256').update(bytes).digest('hex');
    const place = known.get(hash) ?? contents.push(bytes) - 1;
    known.set(hash, place);
    files.push([pathOf(entry), place]);
  }
  return { folders, files, contents };
}
