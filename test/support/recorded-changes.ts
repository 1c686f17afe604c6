import { sql } from 'kysely';
import type { MediaChange } from '../../src/catalogue/changes/change-log.js';
import { type MediaChangeListener, SqlMediaChanges } from '../../src/catalogue/changes/media-changes.js';
import type { Database } from '../../src/database/database.js';
import type { MediaStatus } from '../../src/model/media.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { until } from './eventually.js';

/** A subscriber that records changes, e.g. `m1 READY`, and gaps as `gap`. */
export class RecordedChanges implements MediaChangeListener {
  readonly all: string[] = [];

  onChange({ id, status }: MediaChange): void {
    this.all.push(`${id} ${status}`);
  }

  onGap(): void {
    this.all.push('gap');
  }

  of(id: string): string[] {
    return this.all
      .filter((recorded) => recorded.startsWith(`${id} `))
      .map((recorded) => recorded.slice(id.length + 1));
  }

  async has(count: number, withinMs?: number): Promise<void> {
    await until(`${count} changes to be recorded`, () => this.all.length >= count, withinMs);
  }
}

/** One statement that makes PENDING media, each of the message of its own name. */
export async function insertMedia(kysely: Database['kysely'], ids: readonly string[]): Promise<void> {
  await sql`
    insert into media (tenant, id, channel_id, provider, provider_message_id, position, status, recorded_at, updated_at, announced)
    select 'default', id, 'support', 'kirim', id, 0, 'PENDING', now(), now(), true from unnest(${ids}::text[]) as id`.execute(
    kysely,
  );
}

export async function setStatus(kysely: Database['kysely'], id: string, status: MediaStatus): Promise<void> {
  await kysely.updateTable('media').set({ status }).where('id', '=', id).execute();
}

export type ChangesDatabase = ConstructorParameters<typeof SqlMediaChanges>[0];

/** Opens what a test closes with everything else at its end. */
export function changesOf(database: ChangesDatabase, closings: Array<() => unknown>): SqlMediaChanges {
  const changes = new SqlMediaChanges(database, createLogger({ level: 'silent' }));
  closings.push(() => changes.close());
  return changes;
}

export async function recordChanges(changes: SqlMediaChanges): Promise<RecordedChanges & { readonly end: () => void }> {
  const recorded = new RecordedChanges();
  const end = await changes.subscribe(recorded);
  return Object.assign(recorded, { end });
}
