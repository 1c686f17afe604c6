import { sql } from 'kysely';
import { z } from 'zod';
import type { Database } from '../database/database.js';
import type { TenantId } from '../model/channel.js';
import { MEDIA_STATUSES, type MediaId, type MediaStatus, type MessageKey } from '../model/media.js';
import type { Logger } from '../telemetry/logger.js';

/** A media of a message became known, or its status changed. */
export interface MediaChange extends MessageKey {
  readonly tenant: TenantId;
  readonly id: MediaId;
  /** Since this change; the row may have gone on. */
  readonly status: MediaStatus;
}

export interface MediaChangeListener {
  /** Committed, by whichever replica; in the order of the commits. */
  onChange(change: MediaChange): void;
  /** Changes may have been missed: the database was away. */
  onGap(): void;
}

/** What becomes of media, as it happens. */
export interface MediaChanges {
  /**
   * From when this resolves on, no change is missed without `onGap`.
   * @returns ends it
   * @throws Error when the database cannot be reached
   */
  subscribe(listener: MediaChangeListener): Promise<() => void>;
}

/** As `0004-media-changes` writes it. */
const notified = z
  .tuple([z.string(), z.string(), z.string(), z.string(), z.enum(MEDIA_STATUSES)])
  .transform(([tenant, id, channelId, providerMessageId, status]): MediaChange => {
    return { tenant, id, channelId, providerMessageId, status };
  });

/** Over LISTEN, from the first subscription on: a process that nobody subscribes to hears nothing. */
export class SqlMediaChanges implements MediaChanges {
  readonly #listeners = new Set<MediaChangeListener>();
  #listening: Promise<void> | null = null;

  constructor(
    private readonly database: Database,
    private readonly logger: Logger,
  ) {}

  async subscribe(listener: MediaChangeListener): Promise<() => void> {
    this.#listening ??= this.#listen().catch((thrown: unknown) => {
      this.#listening = null;
      throw thrown;
    });
    this.#listeners.add(listener);
    const unsubscribe = (): void => void this.#listeners.delete(listener);
    try {
      await this.#listening;
      return unsubscribe;
    } catch (thrown) {
      unsubscribe();
      throw thrown;
    }
  }

  async #listen(): Promise<void> {
    const { database } = this;
    const { rows } = await sql<{ channel: string }>`
      select 'mediagraph_' || md5(current_schema()) as channel`.execute(database.kysely);
    await database.listen(
      rows[0]?.channel ?? '',
      (payload) => this.#hear(payload),
      () => {
        for (const listener of this.#listeners) listener.onGap();
      },
    );
  }

  #hear(payload: string): void {
    const change = parsed(payload);
    if (!change) {
      this.logger.warn({ length: payload.length }, 'expected the notification of a change, got another');
      return;
    }
    for (const listener of this.#listeners) listener.onChange(change);
  }
}

// Private: whoever may connect may notify.
function parsed(payload: string): MediaChange | null {
  try {
    return notified.safeParse(JSON.parse(payload)).data ?? null;
  } catch {
    return null;
  }
}
