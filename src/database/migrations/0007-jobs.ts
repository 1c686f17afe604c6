import { type Kysely, type Migration, sql } from 'kysely';

/**
 * One table for all background work. `catalogue/previous-work.ts` moves the open work of earlier versions into it, at every
 * start and with every sweep, since a replica of an earlier version may still run beside this one. The columns in which
 * earlier versions keep their leases stay for them.
 */
export const jobs: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  `create table jobs (
    id bigint generated always as identity primary key,
    kind text not null,
    tenant text not null,
    -- what the job is about, for example the id of a media
    key text not null,
    -- null: the job concerns no channel
    channel_id text,
    -- dead: given up, kept for an operator to read and replay
    state text not null default 'open' check (state in ('open', 'dead')),
    -- the earliest comes first, for example the time at which a provider forgets the bytes
    rank timestamptz not null default 'infinity',
    due_at timestamptz not null,
    -- due_at lay in the future when it was written
    waits boolean not null,
    -- the time from which attempts and deadlines count
    since timestamptz not null,
    attempts integer not null default 0,
    payload jsonb,
    last_error text,
    lease_owner text,
    lease_until timestamptz,
    -- the owner performs no other job at the moment
    lease_alone boolean not null default false,
    -- the job was under way when a process died, and runs alone from then on
    suspect boolean not null default false,
    -- how often a lease ran out, because its process died or was cut off
    interruptions integer not null default 0,
    -- how often a process died while it performed this job alone
    deaths integer not null default 0,
    -- add
    unique (tenant, kind, key)
  )`,
  // claim: jobs that can begin, that wait for their time, and whose process died
  `create index jobs_ready on jobs (kind, rank, id) where state = 'open' and lease_owner is null and not waits`,
  `create index jobs_waiting on jobs (kind, due_at) where state = 'open' and lease_owner is null and waits`,
  `create index jobs_leased on jobs (kind, lease_until) where lease_owner is not null`,
  // release, renew
  `create index jobs_by_owner on jobs (lease_owner) where lease_owner is not null`,
  // counts
  `create index jobs_dead on jobs (kind, since) where state = 'dead'`,

  // A kind that an operator has paused is not claimed.
  `create table paused_jobs (
    kind text primary key,
    since timestamptz not null
  )`,

  // Earlier versions claim an event at run_after, and a media whose mirror_state is 'due'.
  `alter table webhook_events alter column run_after drop not null`,
  `alter table media drop constraint if exists media_mirror_state_check`,
  `alter table media add constraint media_mirror_state_check check (mirror_state in ('due', 'open', 'done', 'failed'))`,
];
