import { type Kysely, type Migration, sql } from 'kysely';

/** What was found out about channels, and how often their providers have refused something lately. */
export const channelFacts: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  `create table channel_facts (
    channel_id text not null,
    fact text not null,
    value text not null,
    valid_until timestamptz not null,
    primary key (channel_id, fact)
  )`,
  `create table error_budgets (
    name text primary key,
    -- within the window, the oldest first
    errors timestamptz[] not null default '{}',
    -- of calls under way: an id, and by seconds since the epoch when it comes back by itself
    holds jsonb not null default '{}'
  )`,
];
