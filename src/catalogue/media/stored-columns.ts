import { type RawBuilder, sql } from 'kysely';
import type { FoundDetails, StoredBytes } from './catalogued-media.js';
import { failureColumns, type MediaRow, patchColumns, storedColumns } from './media-rows.js';

/** The columns of a row that names these bytes: READY, with what the bytes tell in place of every claim about them. */
export function namedBytes(
  stored: StoredBytes,
  { mimeType, filename, kind }: FoundDetails,
  now: Date,
): Partial<MediaRow> {
  const told = { mimeType: mimeType ?? stored.mimeType ?? undefined, filename: filename ?? undefined };
  return {
    status: 'READY',
    was_ready: true,
    updated_at: now,
    ...failureColumns(null),
    // Measured values take the place of the patch's, which are undefined.
    ...patchColumns({ ...told, kind: kind ?? undefined }),
    ...storedColumns(stored),
  };
}

/** The list behind `set` of an update. Columns whose value is undefined stay as they are. */
export function assignments(columns: object): RawBuilder<unknown> {
  const entries = Object.entries(columns).filter(([, value]) => value !== undefined);
  return sql.join(entries.map(([column, value]) => sql`${sql.raw(column)} = ${value}`));
}
