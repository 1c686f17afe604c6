import { type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { type Claim, historyOf, type Queue, UNLEASED, type WorkHistory, WorkQueue } from '../jobs/work-queue.js';
import type { ChannelId, TenantId } from '../model/channel.js';
import { storable } from './media-rows.js';

/** A delivery as it came, verified and not yet understood. */
export interface ReceivedEvent {
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  /** Two deliveries of a channel with the same key are one event. */
  readonly dedupeKey: string;
  readonly contentType: string;
  readonly rawBody: Buffer;
  readonly now: Date;
}

/** An event whose work is the caller's, under a lease. */
export interface InboxEvent extends WorkHistory {
  readonly id: number;
  readonly tenant: TenantId;
  readonly channelId: ChannelId;
  readonly contentType: string;
  readonly rawBody: Buffer;
  readonly receivedAt: Date;
  /** How often it was claimed, this time included. */
  readonly attempts: number;
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
 * Webhook events, durable before they are acknowledged, and the queue of the work that they mean. Every method is one
 * statement, so all or nothing, and may be called from any number of processes at once; each rejects when the database
 * does not answer.
 */
export interface WebhookInbox {
  /** Durable when it resolves. `repeated`: it is here already, done or not, and nothing changed. */
  receive(event: ReceivedEvent): Promise<'recorded' | 'repeated'>;
  /** Leases due events, the oldest first. No two claims get the same. */
  claim(claim: Claim): Promise<InboxEvent[]>;
  /** @returns those whose leases are the owner's still, also where their time was over */
  renewLeases<Named extends { readonly id: number }>(
    owner: string,
    events: readonly Named[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Named>>;
  /** @returns whether the lease is the owner's still; see `WorkQueue.setAlone` */
  setAlone(owner: string, event: { readonly id: number }, isAlone: boolean): Promise<boolean>;
  /** Hands back all that the owner holds, due at once, its attempt not counted. */
  release(owner: string): Promise<void>;
  /** Its body is not kept, its key is, until it is forgotten. Without effect when the lease is another's, as the next two. */
  done(id: number, owner: string): Promise<void>;
  retry(id: number, owner: string, next: { readonly runAfter: Date; readonly error: string }): Promise<void>;
  /** To the dead letters: kept as it came, worked on no more. */
  bury(id: number, owner: string, error: string): Promise<void>;
  /** Ends every lease. Only for a process that knows that it is alone, before its first claim. @returns how many */
  abandonLeases(): Promise<number>;
  /** Done events that came before this time: a delivery repeated after it is a new event. @returns how many */
  forget(receivedBefore: Date): Promise<number>;
  /** Dead letters that came before this time. @returns how many */
  forgetDead(receivedBefore: Date): Promise<number>;
  counts(): Promise<InboxCounts>;
}

export class SqlWebhookInbox implements WebhookInbox {
  readonly #answering: Database['kysely'];
  readonly #db: Database['kysely'];
  readonly #events: WorkQueue<'webhook_events'>;

  constructor({ kysely, background }: Pick<Database, 'kysely' | 'background'>) {
    this.#answering = kysely;
    this.#db = background;
    this.#events = new WorkQueue(background, EVENTS);
  }

  async receive(event: ReceivedEvent): Promise<'recorded' | 'repeated'> {
    const { numInsertedOrUpdatedRows = 0n } = await this.#answering
      .insertInto('webhook_events')
      .values({
        tenant: event.tenant,
        channel_id: event.channelId,
        dedupe_key: storable(event.dedupeKey),
        content_type: storable(event.contentType),
        raw_body: event.rawBody,
        received_at: event.now,
        run_after: event.now,
      })
      .onConflict((conflict) => conflict.columns(['tenant', 'channel_id', 'dedupe_key']).doNothing())
      .executeTakeFirst();
    return numInsertedOrUpdatedRows > 0n ? 'recorded' : 'repeated';
  }

  async claim(claim: Claim): Promise<InboxEvent[]> {
    const rows = await this.#events.claim(claim);
    return rows.sort((a, b) => a.id - b.id).map(toInboxEvent);
  }

  renewLeases<Named extends { readonly id: number }>(
    owner: string,
    events: readonly Named[],
    now: Date,
    leaseMs: number,
  ): Promise<ReadonlySet<Named>> {
    return this.#events.renew(owner, events, now, leaseMs);
  }

  setAlone(owner: string, { id }: { readonly id: number }, isAlone: boolean): Promise<boolean> {
    return this.#events.setAlone(owner, { id }, isAlone);
  }

  release(owner: string): Promise<void> {
    return this.#events.release(owner);
  }

  async done(id: number, owner: string): Promise<void> {
    await this.#leased(id, owner)
      .set({ ...UNLEASED, state: 'done', raw_body: Buffer.alloc(0), last_error: null })
      .execute();
  }

  async retry(
    id: number,
    owner: string,
    { runAfter, error }: { readonly runAfter: Date; readonly error: string },
  ): Promise<void> {
    await this.#leased(id, owner)
      .set({ ...UNLEASED, run_after: runAfter, last_error: storable(error) })
      .execute();
  }

  async bury(id: number, owner: string, error: string): Promise<void> {
    await this.#leased(id, owner)
      .set({ ...UNLEASED, state: 'dead', last_error: storable(error) })
      .execute();
  }

  abandonLeases(): Promise<number> {
    return this.#events.abandon();
  }

  forget(receivedBefore: Date): Promise<number> {
    return this.#forget('done', receivedBefore);
  }

  forgetDead(receivedBefore: Date): Promise<number> {
    return this.#forget('dead', receivedBefore);
  }

  async #forget(state: 'done' | 'dead', receivedBefore: Date): Promise<number> {
    const result = await this.#db
      .deleteFrom('webhook_events')
      .where('state', '=', state)
      .where('received_at', '<', receivedBefore)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  async counts(): Promise<InboxCounts> {
    const { rows } = await sql<InboxCounts>`
      select
        (select count(*) from webhook_events where state = 'due') as due,
        (select count(*) from webhook_events where state = 'dead') as dead,
        -- Ids are given out in the order of arrival.
        (select received_at from webhook_events where state = 'due' order by id limit 1) as "oldestDueAt"`.execute(
      this.#db,
    );
    return rows[0] ?? { due: 0, dead: 0, oldestDueAt: null };
  }

  #leased(id: number, owner: string) {
    return this.#db
      .updateTable('webhook_events')
      .where('id', '=', id)
      .where('lease_owner', '=', owner)
      .where('state', '=', 'due');
  }
}

const EVENTS = {
  table: 'webhook_events',
  key: { id: 'bigint' },
  attempts: 'attempts',
  isDue: (now: Date) => sql`state = 'due' and run_after <= ${now}`,
  order: sql`id`,
} as const satisfies Queue;

function toInboxEvent(row: Selectable<Tables['webhook_events']>): InboxEvent {
  return {
    id: row.id,
    tenant: row.tenant,
    channelId: row.channel_id,
    contentType: row.content_type,
    rawBody: row.raw_body,
    receivedAt: row.received_at,
    attempts: row.attempts,
    ...historyOf(row),
  };
}
