import { type RawBuilder, sql } from 'kysely';
import { z } from 'zod';
import { addMilliseconds } from '../model/clock.js';
import type { JobKind } from '../model/job-kind.js';
import { storable } from '../model/text/storable.js';
import { activeTraceParent } from '../telemetry/spans.js';
import type { ClaimedJob, JobLease } from './job.js';

/**
 * Parts of statements, for callers that change a job and their own rows in one statement. Each is one `with` query or the
 * end of a statement; times are the database clock's.
 */

interface Addition {
  readonly kind: JobKind;
  readonly now: Date;
  /** Selects `tenant, key, channel_id, rank, due_at, payload` of the new jobs. A null rank comes last. */
  readonly rows: RawBuilder<unknown>;
}

/**
 * Adds jobs. Where one of the kind is open for the same subject, that one stays, due at the earlier of both times; an
 * attempt that failed before no longer counts, nor does a death, since the subject has changed.
 */
export function addedJobs({ kind, now, rows }: Addition): RawBuilder<unknown> {
  const traceParent = activeTraceParent();
  const payload =
    traceParent === null
      ? sql`payload`
      : sql`coalesce(payload, '{}') || jsonb_build_object(${TRACE_PARENT}::text, ${traceParent}::text)`;
  return sql`
    insert into jobs (kind, tenant, key, channel_id, rank, due_at, waits, since, payload)
    select ${kind}, tenant, key, channel_id, coalesce(rank, 'infinity'), due_at, due_at > ${now}::timestamptz,
      ${now}::timestamptz, ${payload}
    from (${rows}) as new_job (tenant, key, channel_id, rank, due_at, payload)
    on conflict (tenant, kind, key) do update set
      rank = least(jobs.rank, excluded.rank),
      due_at = case when ${BEGINS_ANEW} then excluded.due_at else least(jobs.due_at, excluded.due_at) end,
      waits = case when ${BEGINS_ANEW} then excluded.waits else jobs.waits and excluded.waits end,
      since = case when ${BEGINS_ANEW} then excluded.since else jobs.since end,
      attempts = case when ${BEGINS_ANEW} then 0 else jobs.attempts end,
      suspect = jobs.suspect and not ${BEGINS_ANEW},
      interruptions = case when ${BEGINS_ANEW} then 0 else jobs.interruptions end,
      deaths = case when ${BEGINS_ANEW} then 0 else jobs.deaths end,
      last_error = case when ${BEGINS_ANEW} then null else jobs.last_error end,
      state = 'open'`;
}

/** The name in a job's payload of the span that added the job. */
const TRACE_PARENT = 'traceparent';

const tracedPayload = z.object({ [TRACE_PARENT]: z.string() });

/** The span that added a job, as `traceparent`. Null: it was not traced. */
export function traceParentOf({ payload }: Pick<ClaimedJob, 'payload'>): string | null {
  return tracedPayload.safeParse(payload).data?.[TRACE_PARENT] ?? null;
}

/** What is under way goes on, and what was never begun needs no new beginning. */
const BEGINS_ANEW = sql.raw(`(jobs.lease_owner is null and (jobs.attempts > 0 or jobs.state = 'dead'))`);

interface LeasedAddition extends Pick<JobLease, 'owner'> {
  readonly kind: JobKind;
  readonly now: Date;
  readonly leaseMs: number;
  /** The alias of a query that returns `tenant, id, channel_id` of the subjects. */
  readonly among: string;
}

/**
 * Adds jobs that their caller performs at once, leased to it: returns the `id` of each. None is added, or taken over, where a
 * lease on one for the same subject holds.
 */
export function addedLeased({ kind, owner, now, leaseMs, among }: LeasedAddition): RawBuilder<unknown> {
  return sql`
    insert into jobs (kind, tenant, key, channel_id, due_at, waits, since, attempts, lease_owner, lease_until)
    select ${kind}, tenant, id, channel_id, ${now}::timestamptz, false, ${now}::timestamptz, 1, ${owner},
      ${addMilliseconds(now, leaseMs)}::timestamptz
    from ${sql.table(among)}
    on conflict (tenant, kind, key) do update set
      lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, attempts = jobs.attempts + 1, state = 'open'
    where jobs.lease_until is null or jobs.lease_until <= ${now}
    returning id`;
}

/** Locks a job while its lease is the owner's: one row `id, tenant, key`, or none. */
export function heldJob({ id, owner }: JobLease): RawBuilder<unknown> {
  return sql`select id, tenant, key from jobs where id = ${id} and lease_owner = ${owner} for update`;
}

/**
 * Ends a job whose lease is the owner's: returns one row `tenant, key, attempts, payload`, or none.
 * @param after the alias of a query that locks rows first. A statement that locks a media before its jobs and one that locks
 *   them the other way round would wait for each other.
 */
export function endedJob({ id, owner }: JobLease, { after }: { readonly after?: string } = {}): RawBuilder<unknown> {
  const areLocked = after === undefined ? sql`` : sql`and (select count(*) from ${sql.table(after)}) >= 0`;
  return sql`delete from jobs where id = ${id} and lease_owner = ${owner} ${areLocked}
    returning tenant, key, attempts, payload`;
}

/** Ends the job that `held` names, the alias of a query of {@link heldJob}, where `among` has a row. */
export function endedWhere(held: string, among: string): RawBuilder<unknown> {
  return sql`delete from jobs using ${sql.table(held)} where jobs.id = ${sql.ref(`${held}.id`)}
    and exists (select from ${sql.table(among)})`;
}

/** Ends all jobs of these kinds for the media that the query `among` returns as `tenant, id`, whichever process performs them. */
export function droppedJobs(kinds: readonly JobKind[], among: string): RawBuilder<unknown> {
  return sql`delete from jobs using ${sql.table(among)} as subject
    where jobs.tenant = subject.tenant and jobs.key = subject.id and jobs.kind = any(${[...kinds]}::text[])`;
}

/** Hands a job back until a time, with the reason: returns one row `tenant, key`, or none where the lease is another's. */
export function postponedJob({ id, owner }: JobLease, dueAt: Date, reason: string): RawBuilder<unknown> {
  return sql`
    update jobs set due_at = ${dueAt}, waits = true, last_error = ${storable(reason)}, ${UNLEASED}
    where id = ${id} and lease_owner = ${owner} returning tenant, key`;
}

/** Keeps a job as a dead letter: returns one row `tenant, key, attempts`, or none where the lease is another's. */
export function buriedJob({ id, owner }: JobLease, reason: string): RawBuilder<unknown> {
  return sql`
    update jobs set state = 'dead', last_error = ${storable(reason)}, ${UNLEASED}
    where id = ${id} and lease_owner = ${owner} returning tenant, key, attempts`;
}

export const UNLEASED = sql.raw('lease_owner = null, lease_until = null, lease_alone = false');
