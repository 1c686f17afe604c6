import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { JobsTable } from '../database/tables.js';
import type { TenantId } from '../model/channel.js';
import { addMilliseconds, type Clock, dateOf } from '../model/clock.js';
import { type CountsByKind, JOB_KINDS, type JobCounts, type JobKind } from '../model/job-kind.js';
import { storableJson } from '../model/text/storable.js';
import { type ClaimedJob, type JobLease, LEASE_MS, type NewJob, NO_DEADLINE } from './job.js';
import type { JobChannel } from './job-handler.js';
import { addedJobs, buriedJob, endedJob, postponedJob, UNLEASED } from './job-statements.js';
import { isServed, type KindOfChannels, servedChannels } from './served-channels.js';

/** What a process is ready to perform. */
export interface Demand extends KindOfChannels {
  readonly limit: number;
  /** Tenants that have all of their turns. */
  readonly exceptTenants?: readonly TenantId[];
}

/**
 * The only place that leases. Every method is one statement, so all or nothing, and may be called from any number of
 * processes at once; each rejects when the database does not answer. A lease that ran out belonged to a process that died
 * or was cut off: the job is suspect, and a death is counted where it ran alone. All times are the database clock's.
 *
 * Where a job ends together with a change of another row, that row's own room does both in one statement, with
 * `job-statements.ts`.
 */
export interface JobStore {
  /** Adds a job; see `addedJobs` for one that is open already. */
  add(job: NewJob): Promise<void>;
  /** Leases due jobs of kinds that are not paused, in the order of rank and age. No two claims get the same job. */
  claim(demands: readonly Demand[]): Promise<ClaimedJob[]>;
  /** The next time at which {@link claim} may find more of these: a job becomes due, or another's lease ends. */
  nextAt(kinds: readonly KindOfChannels[]): Promise<Date | null>;
  /** Lengthens these leases, also ones that ran out. @returns the jobs whose lease is still this store's */
  renew(jobs: readonly ClaimedJob[]): Promise<ReadonlySet<ClaimedJob>>;
  /** Notes whether the owner performs no other job: a death counts only then. @returns whether the lease still holds */
  setAlone(job: JobLease, isAlone: boolean): Promise<boolean>;
  /** Hands back one lease, due at once, its attempt not counted. Without effect where the lease is another's. */
  handBack(job: JobLease): Promise<void>;
  /** Hands back all leases of these kinds, due at once, their attempts not counted. */
  release(kinds: readonly JobKind[]): Promise<void>;
  /** Makes waiting jobs of these channels due now: what made them wait may have been mended. */
  hasten(channels: readonly JobChannel[]): Promise<void>;
  /** Ends the job. @returns false where the lease is another's */
  finish(job: JobLease): Promise<boolean>;
  /** Hands the job back until a time. Without effect where the lease is another's. */
  retry(job: JobLease, at: Date, reason: string): Promise<void>;
  /** As {@link retry}, and counts attempts and the age from that time: the next round of a scheduled job. */
  reschedule(job: JobLease, at: Date): Promise<void>;
  /** Keeps the job as a dead letter. Without effect where the lease is another's. */
  bury(job: JobLease, reason: string): Promise<void>;
  /** Ends every lease of the dead. Only for a process that knows that it is alone, before its first claim. */
  abandonLeases(): Promise<void>;
  /** Jobs of this kind are claimed no more, by any process, until {@link resume}; those under way go on. */
  pause(kind: JobKind): Promise<void>;
  resume(kind: JobKind): Promise<void>;
  counts(): Promise<CountsByKind>;
  /** How many jobs of these kinds {@link claim} would find, of all channels. */
  countDue(kinds: readonly JobKind[]): Promise<number>;
}

export interface JobStoreOptions {
  /** Names this process in its leases. */
  readonly owner: string;
  readonly clock: Clock;
  readonly leaseMs?: number;
}

export class SqlJobStore implements JobStore {
  readonly #db: Database['jobs'];
  readonly #leaseMs: number;

  constructor(
    { jobs }: Pick<Database, 'jobs'>,
    private readonly options: JobStoreOptions,
  ) {
    this.#db = jobs;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  async add(job: NewJob): Promise<void> {
    await addedJobs({ kind: job.kind, now: this.#now(), rows: rowOf(job) }).execute(this.#db);
  }

  async claim(demands: readonly Demand[]): Promise<ClaimedJob[]> {
    if (demands.length === 0) return [];
    const now = this.#now();
    const { owner } = this.options;
    // A process that lives may find a lease of its own that it could not renew in time.
    const isOrphaned = sql`(jobs.lease_owner is not null and jobs.lease_owner <> ${owner})`;
    const { rows } = await sql<Selectable<JobsTable>>`
      with ${servedChannels(demands)}, wanted as (
        select * from unnest(${demands.map(({ kind }) => kind)}::text[], ${demands.map(({ limit }) => limit)}::integer[])
          as wanted (kind, most)
        where not exists (select from paused_jobs where paused_jobs.kind = wanted.kind)
      ), ${candidates('ready', sql`lease_owner is null and not waits`, sql`rank, id`, demands)},
      ${candidates('waiting', sql`lease_owner is null and waits and due_at <= ${now}`, sql`due_at`, demands)},
      ${candidates('orphaned', sql`lease_owner is not null and lease_until <= ${now}`, sql`lease_until`, demands)},
      picked as (
        select candidate.id
        from (
          select *, row_number() over (partition by kind order by rank, id) as place
          from (select * from ready union all select * from waiting union all select * from orphaned) as found
        ) as candidate
        join wanted using (kind)
        where candidate.place <= wanted.most
      )
      update jobs
      set lease_owner = ${owner}, lease_until = ${this.#leaseEnd(now)}, lease_alone = false, attempts = attempts + 1,
        interruptions = interruptions + ${isOrphaned}::integer,
        deaths = deaths + (${isOrphaned} and lease_alone)::integer,
        suspect = suspect or ${isOrphaned}
      from picked
      where jobs.id = picked.id
      returning jobs.*`.execute(this.#db);
    return rows.sort(byRank).map((row) => toClaimedJob(row, owner));
  }

  async nextAt(kinds: readonly KindOfChannels[]): Promise<Date | null> {
    const { rows } = await sql<{ at: Date | null }>`
      with ${servedChannels(kinds)}, ${wantedKinds(kinds.map(({ kind }) => kind))}
      select min(job.at) as at from wanted cross join lateral (
        (select due_at as at from jobs
          where jobs.kind = wanted.kind and state = 'open' and lease_owner is null and waits and ${isServed(kinds)}
          order by due_at limit 1)
        union all
        (select lease_until as at from jobs
          where jobs.kind = wanted.kind and lease_owner <> ${this.options.owner} and ${isServed(kinds)}
          order by lease_until limit 1)
      ) as job`.execute(this.#db);
    return rows[0]?.at ?? null;
  }

  async renew(jobs: readonly ClaimedJob[]): Promise<ReadonlySet<ClaimedJob>> {
    if (jobs.length === 0) return new Set();
    const rows = await this.#db
      .updateTable('jobs')
      .set({ lease_until: this.#leaseEnd(this.#now()) })
      .where(sql<boolean>`id = any(${jobs.map(({ id }) => id)}::bigint[])`)
      .where('lease_owner', '=', this.options.owner)
      .returning('id')
      .execute();
    const held = new Set(rows.map(({ id }) => Number(id)));
    return new Set(jobs.filter(({ id }) => held.has(id)));
  }

  async setAlone({ id, owner }: JobLease, isAlone: boolean): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('jobs')
      .set({ lease_alone: isAlone })
      .where('id', '=', id)
      .where('lease_owner', '=', owner)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  async release(kinds: readonly JobKind[]): Promise<void> {
    await sql`
      update jobs set attempts = greatest(attempts - 1, 0), ${UNLEASED}
      where lease_owner = ${this.options.owner} and kind = any(${[...kinds]}::text[])`.execute(this.#db);
  }

  async handBack({ id, owner }: JobLease): Promise<void> {
    await sql`
      update jobs set attempts = greatest(attempts - 1, 0), ${UNLEASED}
      where id = ${id} and lease_owner = ${owner}`.execute(this.#db);
  }

  async hasten(channels: readonly JobChannel[]): Promise<void> {
    if (channels.length === 0) return;
    await sql`
      update jobs set due_at = ${this.#now()}, waits = false
      from unnest(${channels.map(({ tenant }) => tenant)}::text[], ${channels.map(({ id }) => id)}::text[])
        as hastened (tenant, channel_id)
      where jobs.tenant = hastened.tenant and jobs.channel_id = hastened.channel_id
        and state = 'open' and lease_owner is null and waits`.execute(this.#db);
  }

  async finish(job: JobLease): Promise<boolean> {
    const { rows } = await endedJob(job).execute(this.#db);
    return rows.length > 0;
  }

  async retry(job: JobLease, at: Date, reason: string): Promise<void> {
    await postponedJob(job, at, reason).execute(this.#db);
  }

  async reschedule({ id, owner }: JobLease, at: Date): Promise<void> {
    await sql`
      update jobs set due_at = ${at}, waits = true, since = ${at}, attempts = 0, last_error = null, ${UNLEASED}
      where id = ${id} and lease_owner = ${owner}`.execute(this.#db);
  }

  async bury(job: JobLease, reason: string): Promise<void> {
    await buriedJob(job, reason).execute(this.#db);
  }

  async abandonLeases(): Promise<void> {
    await sql`update jobs set lease_until = 'epoch' where lease_owner is not null`.execute(this.#db);
  }

  async pause(kind: JobKind): Promise<void> {
    await this.#db
      .insertInto('paused_jobs')
      .values({ kind, since: this.#now() })
      .onConflict((conflict) => conflict.column('kind').doNothing())
      .execute();
  }

  async resume(kind: JobKind): Promise<void> {
    await this.#db.deleteFrom('paused_jobs').where('kind', '=', kind).execute();
  }

  async counts(): Promise<CountsByKind> {
    const now = this.#now();
    const { rows } = await sql<JobCounts & { readonly kind: JobKind }>`
      with found as (
        select kind, state, coalesce(lease_until > ${now}, false) as is_running, greatest(due_at, lease_until) as next_at,
          since, case when state = 'open' and rank < ${NO_DEADLINE} then rank end as deadline
        from jobs
      ), counted as (
        select kind,
          count(*) filter (where state = 'open')::integer as open,
          count(*) filter (where state = 'open' and next_at <= ${now})::integer as due,
          count(*) filter (where is_running)::integer as running,
          count(*) filter (where state = 'dead')::integer as dead,
          min(next_at) filter (where state = 'open' and next_at <= ${now}) as "oldestDueAt",
          min(deadline) as deadline,
          max(extract(epoch from ${now}::timestamptz - since) / greatest(extract(epoch from deadline - since), 1))
            filter (where deadline is not null) as deadline_used
        from found group by kind
      )
      select known.kind, coalesce(open, 0) as open, coalesce(due, 0) as due, coalesce(running, 0) as running,
        coalesce(dead, 0) as dead, "oldestDueAt", deadline,
        greatest(coalesce(deadline_used, 0), 0)::double precision as "deadlineUsed",
        exists (select from paused_jobs where paused_jobs.kind = known.kind) as "isPaused"
      from unnest(${[...JOB_KINDS]}::text[]) as known (kind) left join counted using (kind)`.execute(this.#db);
    const byKind = new Map(rows.map(({ kind, ...counts }) => [kind, counts]));
    const countsOf = (kind: JobKind): JobCounts => byKind.get(kind) ?? NO_JOBS;
    return {
      webhook: countsOf('webhook'),
      copy: countsOf('copy'),
      upload: countsOf('upload'),
      deletion: countsOf('deletion'),
      removal: countsOf('removal'),
      inspection: countsOf('inspection'),
      sweep: countsOf('sweep'),
    };
  }

  async countDue(kinds: readonly JobKind[]): Promise<number> {
    const now = this.#now();
    const { rows } = await sql<{ count: number }>`
      with ${wantedKinds(kinds)}
      select coalesce(sum(job.count), 0)::integer as count from wanted cross join lateral (
        (select count(*) from jobs
          where jobs.kind = wanted.kind and state = 'open' and lease_owner is null and not waits)
        union all
        (select count(*) from jobs
          where jobs.kind = wanted.kind and state = 'open' and lease_owner is null and waits and due_at <= ${now})
        union all
        (select count(*) from jobs
          where jobs.kind = wanted.kind and lease_owner is not null and lease_until <= ${now})
      ) as job`.execute(this.#db);
    return rows[0]?.count ?? 0;
  }

  #now(): Date {
    return dateOf(this.options.clock);
  }

  #leaseEnd(now: Date): Date {
    return addMilliseconds(now, this.#leaseMs);
  }
}

const NO_JOBS: JobCounts = {
  ...{ open: 0, due: 0, running: 0, dead: 0, isPaused: false },
  ...{ oldestDueAt: null, deadline: null, deadlineUsed: 0 },
};

/** Kinds that are not paused, as the query `wanted`. */
function wantedKinds(kinds: readonly JobKind[]): RawBuilder<unknown> {
  return sql`wanted as (
    select * from unnest(${[...kinds]}::text[]) as wanted (kind)
    where not exists (select from paused_jobs where paused_jobs.kind = wanted.kind)
  )`;
}

/** The first jobs of each wanted kind that fulfil a condition, locked; jobs that another claim has locked are skipped. */
function candidates(
  name: string,
  condition: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
  demands: readonly Demand[],
): RawBuilder<unknown> {
  return sql`${sql.raw(name)} as (
    select job.* from wanted cross join lateral (
      select id, kind, rank from jobs
      where jobs.kind = wanted.kind and state = 'open' and ${condition} and ${hasTurn(demands)} and ${isServed(demands)}
      order by ${order}
      limit wanted.most
      for update skip locked
    ) as job
  )`;
}

function hasTurn(demands: readonly Demand[]): RawBuilder<unknown> {
  const busy = demands.flatMap(({ kind, exceptTenants = [] }) => exceptTenants.map((tenant) => ({ kind, tenant })));
  if (busy.length === 0) return sql`true`;
  return sql`(kind, tenant) not in (
    select * from unnest(${busy.map(({ kind }) => kind)}::text[], ${busy.map(({ tenant }) => tenant)}::text[]))`;
}

function rowOf({ tenant, key, channelId, dueAt, payload }: NewJob): RawBuilder<unknown> {
  const json = payload === undefined ? null : storableJson(payload);
  return sql`select ${tenant}::text, ${key}::text, ${channelId}::text, null::timestamptz, ${dueAt}::timestamptz,
    ${json}::jsonb`;
}

/** An update returns its rows in no order. */
function byRank(a: Selectable<JobsTable>, b: Selectable<JobsTable>): number {
  return rankOf(a) - rankOf(b) || Number(a.id) - Number(b.id);
}

/** node-postgres reads the timestamp `infinity` as the number. */
function rankOf({ rank }: Selectable<JobsTable>): number {
  return rank instanceof Date ? rank.getTime() : Number.MAX_VALUE;
}

function toClaimedJob(row: Selectable<JobsTable>, owner: string): ClaimedJob {
  return {
    id: Number(row.id),
    owner,
    kind: row.kind,
    tenant: row.tenant,
    key: row.key,
    channelId: row.channel_id,
    attempts: row.attempts,
    since: row.since,
    payload: row.payload,
    suspect: row.suspect,
    interruptions: row.interruptions,
    deaths: row.deaths,
  };
}
