import pg from 'pg';
import { DATABASES_VARIABLE } from './made-once.js';

/** jest's global teardown; see global-setup.js. */
export default async function removeAll() {
  await globalThis.removeMadeOnce();
  const { TEST_DATABASE_URL, [DATABASES_VARIABLE]: names } = process.env;
  if (TEST_DATABASE_URL && names) await dropDatabases(TEST_DATABASE_URL, names);
}

/** @type {(url: string, start: string) => Promise<void>} */
async function dropDatabases(url, start) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query('select datname from pg_database where starts_with(datname, $1)', [start]);
    for (const { datname } of rows) await client.query(`drop database ${datname} with (force)`);
  } finally {
    await client.end();
  }
}
