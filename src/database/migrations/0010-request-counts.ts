import { type Kysely, type Migration, sql } from 'kysely';

/**
 * The requests of each tenant in the last minute. The table is unlogged, because its rows are worth nothing after a
 * minute: a crash of the database empties it, and a draw does not wait for the write-ahead log.
 */
export const requestCounts: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    await sql.raw(STATEMENT).execute(database);
  },
};

const STATEMENT = `create unlogged table request_counts (
  tenant text primary key,
  -- one entry for each second with requests, the oldest first: the time of its latest request, in seconds since the epoch
  times double precision[] not null,
  counts integer[] not null,
  -- the result of the latest draw
  granted integer not null,
  drawn_at double precision not null
) with (fillfactor = 50)`;
