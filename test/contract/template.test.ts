import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { templateDigest } from '../../build/template.js';
import { compiledProject } from '../support/command.js';

const run = promisify(execFile);

/** Everything that the migrations make, as text, and which folder the database is a copy of. */
const DESCRIBE = `
  const [project, folder] = process.argv.slice(1);
  const { openDatabase } = await import(new URL('src/database/database.js', project).href);
  const { migrate } = await import(new URL('src/database/migrations/migrate.js', project).href);
  const { sql } = await import('kysely');
  const database = await openDatabase({ url: 'pglite:' + folder });
  const ran = await migrate(database);
  const of = async (text) => (await sql.raw(text).execute(database.kysely)).rows;
  const schema = [
    await of("select table_name, column_name, ordinal_position, data_type, is_nullable, column_default from information_schema.columns where table_schema = 'public' order by 1, 3"),
    await of("select indexdef from pg_indexes where schemaname = 'public' order by 1"),
    await of("select conrelid::regclass::text as of, conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2"),
    await of("select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1"),
    await of("select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace order by 1"),
    await of("select name from mediagraph_migrations order by 1"),
    await of("select relname, reloptions from pg_class where relnamespace = 'public'::regnamespace order by 1"),
  ];
  const rows = await of("select (select count(*) from media) + (select count(*) from jobs) + (select count(*) from signing_keys) as rows");
  const [{ origin }] = await of("select system_identifier::text as origin from pg_control_system()");
  await database.close();
  process.stdout.write(JSON.stringify({ ran, schema, rows, origin }));
`;

interface Described {
  readonly ran: readonly string[];
  readonly schema: unknown;
  readonly rows: unknown;
  readonly origin: string;
}

let scratch: string;
let project: string;
let digest: string;
let template: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'mediagraph-template-test-'));
  project = join(scratch, 'project');
  await cp(join(compiledProject(), 'src'), join(project, 'src'), { recursive: true });
  await cp(join(compiledProject(), 'package.json'), join(project, 'package.json'));
  await symlink(join(compiledProject(), 'node_modules'), join(project, 'node_modules'));
  const modules = join(project, 'src');
  digest = await templateDigest(modules);
  const name = `database/embedded/template-${digest}.bin`;
  template = join(modules, name);
  await cp(join(compiledProject(), 'dist', name), template);
  await knowDigest(digest);
}, 120_000);

afterAll(() => rm(scratch, { recursive: true, force: true }));

/** As the build does in the bundle. */
async function knowDigest(known: string): Promise<void> {
  const file = join(project, 'src/database/embedded/template-digest.js');
  await writeFile(file, `export const TEMPLATE_DIGEST = ${JSON.stringify(known)};`);
}

async function describeDatabase(of: string, folder: string): Promise<Described> {
  const base = pathToFileURL(`${of}/`).href;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', DESCRIBE, base, join(scratch, folder)], {
    cwd: of,
  });
  return JSON.parse(stdout);
}

describe('the template of the embedded database', () => {
  it('holds what the migrations make, and no rows, and never replaces a folder', async () => {
    const [first, second, migrated] = [
      await describeDatabase(project, 'first'),
      await describeDatabase(project, 'second'),
      await describeDatabase(compiledProject(), 'migrated'),
    ];
    expect(first.ran).toEqual([]);
    expect(migrated.ran).not.toEqual([]);
    expect(first.schema).toEqual(migrated.schema);
    expect(first.rows).toEqual(migrated.rows);
    // Copies of one folder have one identifier.
    expect(second.origin).toBe(first.origin);
    expect(migrated.origin).not.toBe(first.origin);

    const reopened = await describeDatabase(project, 'migrated');
    expect([reopened.origin, reopened.ran]).toEqual([migrated.origin, []]);
  }, 120_000);

  it('is not used when other migrations made it', async () => {
    await knowDigest('0123456789abcdef');
    const described = await describeDatabase(project, 'other');
    await knowDigest(digest);
    expect(described.ran).not.toEqual([]);
  }, 120_000);

  it('is not needed: one that cannot be read leaves nothing behind, nor does a copy that was cut off', async () => {
    const whole = join(scratch, 'whole.bin');
    await cp(template, whole);
    await writeFile(template, 'no template');
    await cp(join(scratch, 'first/pgdata/base'), join(scratch, 'broken/pgdata.new/base'), { recursive: true });
    const described = await describeDatabase(project, 'broken');
    await cp(whole, template);
    expect(described.ran).not.toEqual([]);
    expect(await readdir(join(scratch, 'broken'))).toEqual(['pgdata']);
  }, 120_000);
});
