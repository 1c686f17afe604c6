import { sql } from 'kysely';
import type { Database } from '../../database/database.js';
import type { TenantId } from '../../model/channel.js';
import { type TenantMessageId, tenantMessageId } from '../../model/ids.js';
import type { MessageKey } from '../../model/media.js';

/** About 150 bytes each. A larger catalogue is queried for every message. */
const MOST_MESSAGES = 100_000;
const MESSAGES_PER_PAGE = 2_000;

interface Page {
  readonly messages: ReadonlyArray<MessageKey & { readonly tenant: TenantId }>;
  readonly isLast: boolean;
}

/**
 * The messages that have rows, so that a message without any needs no statement. They are read in the background, once,
 * and messages that get rows meanwhile are added.
 */
export class RecordedMessages {
  readonly #names = new Set<TenantMessageId>();
  #state: 'unknown' | 'loading' | 'complete' | 'tooMany' = 'unknown';
  /** Increases with each load, so that one which was forgotten ends. */
  #loads = 0;

  constructor(private readonly reads: Database['reads']) {}

  /** Whether the message certainly has no row. */
  lacks(name: TenantMessageId): boolean {
    return this.#state === 'complete' && !this.#names.has(name);
  }

  add(name: TenantMessageId): void {
    if (this.#state === 'unknown' || this.#state === 'tooMany') return;
    this.#names.add(name);
    if (this.#names.size > MOST_MESSAGES) this.#giveUp('tooMany');
  }

  /** Forgets all messages, because some may be missing. */
  forget(): void {
    this.#giveUp('unknown');
  }

  /** Reads the messages, unless this was done. From now on, every message that gets a row must be added. */
  load(): void {
    if (this.#state !== 'unknown') return;
    this.#state = 'loading';
    this.#loads += 1;
    const load = this.#loads;
    this.#loadAll(load).catch(() => {
      // The next caller tries again.
      if (this.#isCurrent(load)) this.#giveUp('unknown');
    });
  }

  async #loadAll(load: number): Promise<void> {
    let last = { tenant: '', channelId: '', providerMessageId: '' };
    for (;;) {
      const { messages, isLast } = await this.#page(last);
      // Forgotten meanwhile, or too many.
      if (!this.#isCurrent(load)) return;
      for (const message of messages) this.add(tenantMessageId(message.tenant, message));
      last = messages.at(-1) ?? last;
      if (isLast && this.#isCurrent(load)) this.#state = 'complete';
      if (isLast) return;
    }
  }

  #isCurrent(load: number): boolean {
    return this.#state === 'loading' && this.#loads === load;
  }

  /** The index `media_by_message` and the primary key of the listings have this order. */
  async #page(after: { tenant: string; channelId: string; providerMessageId: string }): Promise<Page> {
    const place = sql`(${after.tenant}, ${after.providerMessageId}, ${after.channelId})`;
    const of = (table: 'media' | 'message_listings') => sql`
      select distinct tenant, provider_message_id, channel_id from ${sql.table(table)}
      where (tenant, provider_message_id, channel_id) > ${place} and provider_message_id is not null
      order by tenant, provider_message_id, channel_id limit ${MESSAGES_PER_PAGE}`;
    const { rows } = await sql<MessageKey & { tenant: TenantId }>`
      select tenant, provider_message_id as "providerMessageId", channel_id as "channelId"
      from ((${of('media')}) union (${of('message_listings')})) as message
      order by tenant, provider_message_id, channel_id limit ${MESSAGES_PER_PAGE}`.execute(this.reads);
    return { messages: rows, isLast: rows.length < MESSAGES_PER_PAGE };
  }

  #giveUp(state: 'unknown' | 'tooMany'): void {
    this.#names.clear();
    this.#state = state;
  }
}
