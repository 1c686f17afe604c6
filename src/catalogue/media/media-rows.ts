import { ERROR_CODES } from '../../model/errors.js';
import { earliest, type MediaFailure, type MediaMeasures, type MediaStatus } from '../../model/media.js';
import { storable } from '../../model/text/storable.js';
import type { CataloguedMedia, ComposedFacts, FoundDetails, MediaPatch, StoredBytes } from './catalogued-media.js';
import {
  type CataloguedRow,
  COLUMN_LIST,
  type ColumnFacts,
  type ColumnMeasures,
  type ColumnOfBytes,
  type MediaChanges,
  type MediaRow,
} from './media-columns.js';
import { compileLiteral } from './row-literal.js';

export function toCataloguedMedia(row: CataloguedRow): CataloguedMedia {
  return mediaOfRow(row, composedOf(row));
}

/** Named one by one, for the compiled literal. */
const COMPOSED: Readonly<Record<keyof ComposedFacts, true>> = {
  expiresAt: true,
  stored: true,
  measures: true,
  failure: true,
  mirrored: true,
  wasReady: true,
};

const mediaOfRow = compileLiteral<CataloguedRow, ComposedFacts, ColumnFacts & ComposedFacts>([
  ...COLUMN_LIST.flatMap(([column, { media }]) => (media === undefined ? [] : [[media, `row.${column}`] as const])),
  ...Object.keys(COMPOSED).map((property) => [property, `composed.${property}`] as const),
]);

function composedOf(row: CataloguedRow): ComposedFacts {
  const stored = toStored(row);
  return {
    expiresAt: stored ? row.expires_at : earliest(row.available_until, row.expires_at),
    stored,
    measures: stored?.measures ?? null,
    failure: toFailure(row),
    mirrored: row.mirror_state !== null,
    wasReady: row.was_ready || row.status === 'READY',
  };
}

/** Rows of media that has ended reference no bytes. */
function hasEnded(status: MediaStatus): boolean {
  return status === 'DELETED' || status === 'EXPIRED';
}

function toStored(row: CataloguedRow): StoredBytes | null {
  const { stored_at: at, stored_size_bytes: sizeBytes, stored_sha256: sha256, blob_key: key } = row;
  if (at === null || sizeBytes === null || sha256 === null || key === null || hasEnded(row.status)) return null;
  return { key, at, sizeBytes, sha256, mimeType: row.stored_mime_type, measures: toMeasures(row) };
}

const MEASURES = COLUMN_LIST.flatMap(([column, { measure }]) =>
  measure === undefined ? [] : [[measure, column] as const],
);

const measuresOfRow = compileLiteral<CataloguedRow, null, ColumnMeasures>(
  MEASURES.map(([measure, column]) => [measure, `row.${column}`]),
);

function toMeasures(row: CataloguedRow): MediaMeasures | null {
  if (row.has_still === null && row.width === null && row.duration_seconds === null && row.thumb_hash === null)
    return null;
  return measuresOfRow(row, null);
}

function toFailure({ failure_code, failure_reason, failure_retryable, failed_at, updated_at }: CataloguedRow) {
  if (failure_reason === null) return null;
  const at = failed_at ?? updated_at;
  if (failure_code !== null)
    return { code: failure_code, message: failure_reason, retryable: failure_retryable ?? true, at };
  // Earlier versions wrote the failure of a copy in this form.
  const end = failure_reason.indexOf(': ');
  const code = ERROR_CODES.find((known) => known === failure_reason.slice(0, end)) ?? 'INTERNAL_SERVER_ERROR';
  return { code, message: failure_reason.slice(end < 0 ? 0 : end + 2), retryable: true, at };
}

/** All columns of stored bytes. A missing column is a type error. */
export function storedColumns(stored: StoredBytes): MediaChanges {
  const { key, at, sizeBytes, sha256, mimeType, measures } = stored;
  const columns: Pick<MediaRow, ColumnOfBytes> = {
    blob_key: key,
    stored_at: at,
    stored_size_bytes: sizeBytes,
    stored_sha256: sha256,
    stored_mime_type: mimeType,
    size_bytes: sizeBytes,
    sha256,
  };
  return { ...columns, ...measuresColumns(measures) };
}

export function measuresColumns(measures: MediaMeasures | null): MediaChanges {
  return Object.fromEntries(MEASURES.map(([measure, column]) => [column, measures?.[measure] ?? null]));
}

export function failureColumns(failure: MediaFailure | null): MediaChanges {
  return {
    failure_code: failure?.code ?? null,
    failure_reason: failure === null ? null : storable(failure.message),
    failure_retryable: failure?.retryable ?? null,
    failed_at: failure?.at ?? null,
  };
}

/** A key that is undefined leaves its column as it is. */
export function patchColumns({ failure, expiresAt, ...details }: MediaPatch): MediaChanges {
  return {
    ...columnsOf(details),
    expires_at: expiresAt,
    ...(failure !== undefined && failureColumns(failure)),
  };
}

const COLUMN_OF = new Map(
  COLUMN_LIST.flatMap(([column, { media }]) => (media === undefined ? [] : [[media, column] as const])),
);

function columnsOf(facts: Partial<ColumnFacts>): MediaChanges {
  return Object.fromEntries(
    Object.entries(facts).map(([property, value]) => [
      COLUMN_OF.get(property) ?? property,
      typeof value === 'string' ? storable(value) : value,
    ]),
  );
}

/** The columns of a row that names these bytes: READY, with what the bytes tell in place of every claim about them. */
export function namedBytes(stored: StoredBytes, { mimeType, filename, kind }: FoundDetails, now: Date): MediaChanges {
  const found = { mimeType: mimeType ?? stored.mimeType ?? undefined, filename: filename ?? undefined };
  return {
    status: 'READY',
    was_ready: true,
    updated_at: now,
    ...failureColumns(null),
    ...columnsOf({ ...found, kind: kind ?? undefined }),
    ...storedColumns(stored),
  };
}
