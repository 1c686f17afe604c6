import { type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import type { ClaimedJob, JobLease } from '../jobs/job.js';
import { addedJobs, buriedJob, endedJob } from '../jobs/job-statements.js';
import type { ChannelId, TenantId } from '../model/channel.js';
import { storable } from '../model/text/storable.js';

/** A verified delivery as it came. Its meaning is not known yet. */
export interface ReceivedEvent {
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  /** Two deliveries of a channel with the same key are one event. */
  readonly dedupeKey: string;
  readonly contentType: string;
  readonly rawBody: Buffer;
  readonly now: Date;
}

/** The event that a job of kind `webhook` is about. */
export interface InboxEvent {
  readonly id: number;
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  readonly contentType: string;
  readonly rawBody: Buffer;
  readonly receivedAt: Date;
}

export interface InboxCounts {
  /** Events that wait or are under way. */
  readonly due: number;
  /** Dead letters. */
  readonly dead: number;
  /** When the event came that waits longest; null where none waits. */
  readonly oldestDueAt: Date | null;
}

/**
 * Webhook events, which are durable before they are acknowledged. Each gets a job of kind `webhook`. Every method is one
 * statement, so all or nothing, and may be called from any number of processes at once; each rejects when the database
 * does not answer.
 */
export interface WebhookInbox {
  /** Durable when it resolves. `repeated`: the event is here already, done or not, and nothing changed. */
  receive(event: ReceivedEvent): Promise<'recorded' | 'repeated'>;
  /** The events of these jobs. A job whose event is done, or was removed, is absent. */
  findEvents(jobs: readonly ClaimedJob[]): Promise<ReadonlyMap<ClaimedJob, InboxEvent>>;
  /**
   * Ends the event and its job. The body is removed; the key stays until it is forgotten, so that a repetition is known.
   * Without effect where the job's lease is another process's, as {@link bury}.
   */
  done(job: JobLease): Promise<void>;
  /** Moves the event to the dead letters with its body. It is not processed again. */
  bury(job: JobLease, error: string): Promise<void>;
  /** Removes done events that came before this time; the same delivery is a new event afterwards. @returns how many */
  forget(receivedBefore: Date): Promise<number>;
  /** Removes dead letters that came before this time, with their jobs. @returns how many */
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

  async forget(receivedBefore: Date): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('webhook_events')
      .where('state', '=', 'done')
      .where('received_at', '<', receivedBefore)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  async forgetDead(receivedBefore: Date): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      with forgotten as (
        delete from webhook_events where state = 'dead' and received_at < ${receivedBefore} returning id
      ), jobs_forgotten as (
        -- Not only those of these events: another process may be adding the job of a letter of an earlier version.
        delete from jobs where kind = 'webhook' and state = 'dead' and since < ${receivedBefore}
      )
      select count(*)::integer as count from forgotten`.execute(this.#db);
    return rows[0]?.count ?? 0;
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
