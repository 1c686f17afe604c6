import { type RawBuilder, sql } from 'kysely';
import type { FoundDetails, StoredBytes } from './catalogued-media.js';
import { failureColumns, type MediaRow, patchColumns, storedColumns } from './media-rows.js';

/**
 * The columns of a row that references these bytes. The status is READY, and measured values replace all reported
 * values.
 */
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
    // Measured values replace the values of the patch, which are undefined.
    ...patchColumns({ ...told, kind: kind ?? undefined }),
    ...storedColumns(stored),
  };
}

/** The assignments of an update's `set` clause. Columns with undefined values stay unchanged. */
export function assignments(columns: object): RawBuilder<unknown> {
  const entries = Object.entries(columns).filter(([, value]) => value !== undefined);
  return sql.join(entries.map(([column, value]) => sql`${sql.raw(column)} = ${value}`));
}
