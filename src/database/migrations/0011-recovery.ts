import { type Kysely, type Migration, sql } from 'kysely';

/**
 * What recovery needs: the digest that the provider reported, apart from the one that was read from the bytes, and the
 * oldest version that can use this schema, so that an upgrade can be rolled back.
 */
export const recovery: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  // When stored bytes are lost, the digest that was read from them says nothing about the next copy, and this one does. It
  // is null in rows that earlier versions recorded, because they did not keep the two apart.
  'alter table media add column announced_sha256 text',
  `create table mediagraph_compatibility (
    -- There is one row.
    one boolean primary key default true check (one),
    -- A version that knows this migration can use the schema, also after later migrations.
    since text not null
  )`,
  `insert into mediagraph_compatibility (since) values ('0011-recovery')`,
];
