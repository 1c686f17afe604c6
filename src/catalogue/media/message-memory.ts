import { LRUCache } from 'lru-cache';
import type { Database } from '../../database/database.js';
import type { TenantId } from '../../model/channel.js';
import { formatMessageId, type MessageId, type TenantMessageId, tenantMessageId } from '../../model/ids.js';
import type { MessageKey } from '../../model/media.js';
import { FollowedChanges } from '../changes/followed-changes.js';
import type { MessageRecord } from './catalogued-media.js';
import type { Records } from './message-records.js';
import { RecordedMessages } from './recorded-messages.js';

/** Bytes of all remembered records, by {@link weightOf}. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Node 20's heap has somewhat less for an entry without media, and for a media whose texts have the usual lengths. */
const ENTRY_BYTES = 300;
const MEDIA_BYTES = 2_000;

/** What is known of a message; null if it has no rows. */
interface Remembered {
  readonly record: MessageRecord | null;
}

/**
 * Remembers the records of messages until they change. It answers after it has read the changes of all processes, unless
 * {@link FollowedChanges} has read them recently.
 */
export class MessageMemory {
  readonly #records = new LRUCache<TenantMessageId, Remembered>({ maxSize: MAX_BYTES, sizeCalculation: weightOf });
  readonly #changes: FollowedChanges;
  /** Null with a database server, whose tables may be too large for it. */
  readonly #recorded: RecordedMessages | null;

  constructor(database: Pick<Database, 'reads' | 'background' | 'backgroundReads' | 'engine' | 'onWrite' | 'listen'>) {
    this.#recorded = database.engine === 'embedded' ? new RecordedMessages(database.backgroundReads) : null;
    this.#changes = new FollowedChanges(database, {
      onChanges: (changes) => {
        for (const change of changes) this.#onChange(tenantMessageId(change.tenant, change));
      },
      onGap: () => {
        this.#records.clear();
        this.#recorded?.forget();
      },
    });
  }

  /**
   * Rejects if the database is unavailable.
   * @param select asks the database for the messages that are not remembered
   */
  async find(
    tenant: TenantId,
    keys: readonly MessageKey[],
    select: (keys: readonly MessageKey[]) => Promise<Records>,
  ): Promise<Records> {
    const names = keys.map((key) => tenantMessageId(tenant, key));
    // Messages that are not remembered are read anyway.
    if (this.#recorded || !this.#changes.hasBegun || names.some((name) => this.#records.has(name)))
      await this.#changes.catchUp();
    const { reads } = this.#changes;
    const records = new Map<MessageId, MessageRecord>();
    const unknown: Array<{ readonly name: TenantMessageId; readonly key: MessageKey }> = [];
    names.forEach((name, index) => {
      const key = keys[index];
      const remembered = this.#records.get(name);
      if (!key || remembered?.record === null) return;
      if (remembered) records.set(formatMessageId(key), remembered.record);
      else if (this.#recorded?.lacks(name) !== true) unknown.push({ name, key });
    });
    if (unknown.length === 0) return records;
    this.#recorded?.load();
    const selected = await select(unknown.map(({ key }) => key));
    for (const [message, record] of selected) records.set(message, record);
    // The statement may not have seen changes that were read meanwhile.
    if (this.#changes.reads !== reads) return records;
    for (const { name, key } of unknown)
      this.#records.set(name, { record: selected.get(formatMessageId(key)) ?? null });
    return records;
  }

  #onChange(name: TenantMessageId): void {
    this.#records.delete(name);
    this.#recorded?.add(name);
  }
}

function weightOf({ record }: Remembered): number {
  return ENTRY_BYTES + MEDIA_BYTES * (record?.media.length ?? 0);
}
