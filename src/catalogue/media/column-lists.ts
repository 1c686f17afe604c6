import { type RawBuilder, sql } from 'kysely';
import { COLUMN_LIST, type MediaChanges, type MediaColumn } from './media-columns.js';

/** The columns that `toCataloguedMedia` reads, as a list behind `select` or `returning`. */
export function catalogued(table = 'media', { except = [] }: { readonly except?: readonly MediaColumn[] } = {}) {
  const columns = READ_COLUMNS.filter((column) => except.every((other) => other !== column));
  return sql.raw(columns.map((column) => `${table}.${column}`).join(', '));
}

const READ_COLUMNS = COLUMN_LIST.filter(
  ([, { media, measure, isComposed }]) => media !== undefined || measure !== undefined || isComposed,
).map(([column]) => column);

/** For the set list of an update that ends a media: nothing that was read from its bytes stays. */
export function withoutBytes(): RawBuilder<unknown> {
  return WITHOUT_BYTES;
}

const WITHOUT_BYTES = sql.raw(
  COLUMN_LIST.filter(([, { isOfBytes, endsWithMedia }]) => isOfBytes || endsWithMedia)
    .map(([column]) => `${column} = null`)
    .join(', '),
);

/**
 * For the set list of an update of media whose bytes are lost and are to be copied again: nothing that was read from them
 * stays, and the digest that the provider reported counts again.
 */
export function withoutLostBytes(): RawBuilder<unknown> {
  return WITHOUT_LOST_BYTES;
}

const WITHOUT_LOST_BYTES = sql.raw(
  COLUMN_LIST.filter(([, { isOfBytes }]) => isOfBytes)
    .map(([column]) => `${column} = ${column === 'sha256' ? 'announced_sha256' : 'null'}`)
    .join(', '),
);

/** The list behind `set` of an update. Columns whose value is undefined stay as they are. */
export function assignments(changes: MediaChanges): RawBuilder<unknown> {
  const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
  return sql.join(entries.map(([column, value]) => sql`${sql.raw(column)} = ${value}`));
}
