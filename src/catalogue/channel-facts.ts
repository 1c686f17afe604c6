import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import type { ChannelId } from '../model/channel.js';

/** Stores facts about channels; see the port in `providers/channel-facts.ts`. Times are from the database's clock. */
export class SqlChannelFacts {
  readonly #db: Database['kysely'];

  constructor({ kysely }: Pick<Database, 'kysely'>) {
    this.#db = kysely;
  }

  async recall(
    channelId: ChannelId,
    fact: string,
  ): Promise<{ readonly value: string; readonly leftMs: number } | null> {
    const { rows } = await sql<{ value: string; left_ms: number }>`
      select value, (extract(epoch from valid_until - now()) * 1000)::float8 as left_ms from channel_facts
      where channel_id = ${channelId} and fact = ${fact} and valid_until > now()`.execute(this.#db);
    const [row] = rows;
    return row ? { value: row.value, leftMs: row.left_ms } : null;
  }

  async note(channelId: ChannelId, fact: string, value: string, forMs: number): Promise<void> {
    await sql`
      insert into channel_facts (channel_id, fact, value, valid_until)
      values (${channelId}, ${fact}, ${value}, now() + ${forMs}::float8 * interval '1 millisecond')
      on conflict (channel_id, fact) do update
      set value = excluded.value, valid_until = excluded.valid_until`.execute(this.#db);
  }
}
