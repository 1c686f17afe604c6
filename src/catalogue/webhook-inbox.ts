import { type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import type { ClaimedJob, JobLease } from '../jobs/job.js';
import { addedJobs, buriedJob, endedJob } from '../jobs/job-statements.js';
import type { ChannelId, TenantId } from '../model/channel.js';
import { storable } from '../model/text/storable.js';
import { deleteInBatches } from './in-batches.js';

/** A verified webhook, unparsed. */
export interface ReceivedEvent {
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  /** Two webhooks of a channel with the same key are one event. */
  readonly dedupeKey: string;
  readonly contentType: string;
  readonly rawBody: Buffer;
  readonly now: Date;
}

/** The event of a job of kind `webhook`. */
export interface InboxEvent {
  readonly id: number;
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  readonly contentType: string;
  readonly rawBody: Buffer;
  readonly receivedAt: Date;
}

export interface InboxCounts {
  /** Events that are waiting or running. */
  readonly due: number;
  /** The number of dead letters. */
  readonly dead: number;
  /** The arrival time of the oldest waiting event; null if no event is waiting. */
  readonly oldestDueAt: Date | null;
}

/**
 * Stores webhook events before they are acknowledged. Each event gets a job of kind `webhook`. Every method but those
 * that delete what is old is one statement and therefore atomic. Any number of processes may call it concurrently. Each
 * method rejects when the database is unavailable.
 */
export interface WebhookInbox {
  /**
   * Resolves when the event is durable. `repeated` means that the event is already stored, processed or not, and
   * nothing changed.
   */
  receive(event: ReceivedEvent): Promise<'recorded' | 'repeated'>;
  /** The events of these jobs. A job whose event is processed or deleted is absent. */
  findEvents(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, InboxEvent>>;
  /**
   * Ends the event and its job. The body is deleted. The key stays until {@link forget}, so that a repetition is
   * recognised. Like {@link bury}, it has no effect if another process holds the job's lease.
   */
  done(job: JobLease): Promise<void>;
  /** Moves the event with its body to the dead letters. It is not processed again. */
  bury(job: JobLease, error: string): Promise<void>;
  /**
   * Deletes processed events that arrived before this time; a later repetition is a new event.
   * @returns the number of events
   */
  forget(receivedBefore: Date): Promise<number>;
  /**
   * Deletes dead letters that arrived before this time, and their jobs.
   * @returns the number of dead letters
   */
  forgetDead(receivedBefore: Date): Promise<number>;
  counts(): Promise<InboxCounts>;
}

export class SqlWebhookInbox implements WebhookInbox {
  readonly #answering: Database['kysely'];
  readonly #db: Database['background'];
  readonly #reads: Database['backgroundReads'];

  constructor({ kysely, background, backgroundReads }: Pick<Database, 'kysely' | 'background' | 'backgroundReads'>) {
    this.#answering = kysely;
    this.#db = background;
    this.#reads = backgroundReads;
  }

  async receive(event: ReceivedEvent): Promise<'recorded' | 'repeated'> {
    const { tenant, channelId, rawBody, now } = event;
    const rows = sql`select tenant, id::text, channel_id, null::timestamptz, ${now}::timestamptz, null::jsonb from event`;
    const { numAffectedRows = 0n } = await sql`
      with event as (
        insert into webhook_events (tenant, channel_id, dedupe_key, content_type, raw_body, received_at)
        values (${tenant}, ${channelId}, ${storable(event.dedupeKey)}, ${storable(event.contentType)}, ${rawBody}, ${now})
        on conflict (tenant, channel_id, dedupe_key) do nothing
        returning id, tenant, channel_id
      )
      ${addedJobs({ kind: 'webhook', now, rows })}`.execute(this.#answering);
    return numAffectedRows > 0n ? 'recorded' : 'repeated';
  }

  async findEvents(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, InboxEvent>> {
    const events = new Map<ClaimedJob, InboxEvent>();
    if (jobs.length === 0) return events;
    const rows = await this.#reads
      .selectFrom('webhook_events')
      .selectAll()
      .where(sql<boolean>`id = any(${jobs.map(({ key }) => key)}::bigint[])`)
      .where('state', '=', 'due')
      .execute();
    const byId = new Map(rows.map((row) => [String(row.id), row]));
    for (const job of jobs) {
      const row = byId.get(job.key);
      if (row) events.set(job, toInboxEvent(row));
    }
    return events;
  }

  async done(job: JobLease): Promise<void> {
    await sql`
      with ended as (${endedJob(job)})
      update webhook_events set state = 'done', raw_body = '', last_error = null, attempts = ended.attempts from ended
      where webhook_events.id = ended.key::bigint and state = 'due'`.execute(this.#db);
  }

  async bury(job: JobLease, error: string): Promise<void> {
    await sql`
      with buried as (${buriedJob(job, error)})
      update webhook_events set state = 'dead', last_error = ${storable(error)}, attempts = buried.attempts
      from buried
      where webhook_events.id = buried.key::bigint and state = 'due'`.execute(this.#db);
  }

  forget(receivedBefore: Date): Promise<number> {
    const where = sql`state = 'done' and received_at < ${receivedBefore}`;
    return deleteInBatches(this.#db, { table: 'webhook_events', key: 'id', where, order: 'received_at' });
  }

  async forgetDead(receivedBefore: Date): Promise<number> {
    const dead = sql`state = 'dead' and received_at < ${receivedBefore}`;
    const count = await deleteInBatches(this.#db, { table: 'webhook_events', key: 'id', where: dead, order: 'id' });
    // Not only the jobs of these events: another process may be adding the job of a letter of an earlier version.
    const jobs = sql`kind = 'webhook' and state = 'dead' and since < ${receivedBefore}`;
    await deleteInBatches(this.#db, { table: 'jobs', key: 'id', where: jobs, order: 'since' });
    return count;
  }

  async counts(): Promise<InboxCounts> {
    const { rows } = await sql<InboxCounts>`
      select
        (select count(*) from webhook_events where state = 'due') as due,
        (select count(*) from webhook_events where state = 'dead') as dead,
        -- Ids are given out in the order of arrival.
        (select received_at from webhook_events where state = 'due' order by id limit 1) as "oldestDueAt"`.execute(
      this.#reads,
    );
    return rows[0] ?? { due: 0, dead: 0, oldestDueAt: null };
  }
}

function toInboxEvent(row: Selectable<Tables['webhook_events']>): InboxEvent {
  return {
    id: row.id,
    tenant: row.tenant,
    channelId: row.channel_id,
    contentType: row.content_type,
    rawBody: row.raw_body,
    receivedAt: row.received_at,
  };
}
