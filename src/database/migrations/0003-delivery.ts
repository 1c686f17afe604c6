import { type Kysely, type Migration, sql } from 'kysely';

/** Facts read from stored bytes, and deletions of which the CDN has to be told. */
export const delivery: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  `alter table media
    -- pixels, as shown
    add column width integer,
    add column height integer,
    add column duration_seconds double precision,
    -- Base64
    add column thumb_hash text,
    -- deleted, and delivery.purge has to be told (again)
    add column purge_due boolean not null default false`,
  // findUnpurged
  `create index media_purge_due on media (updated_at) where purge_due`,
];
