import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { MediaTable } from '../../database/tables.js';
import { ERROR_CODES } from '../../model/errors.js';
import { earliest, type MediaFailure, type MediaMeasures, type MediaStatus } from '../../model/media.js';
import { storable } from '../../model/text/storable.js';
import type { CataloguedMedia, MediaPatch, StoredBytes } from './catalogued-media.js';

export type MediaRow = Selectable<MediaTable>;

/** The columns that {@link toCataloguedMedia} reads. Each further column would cost time to send and to parse. */
export type CataloguedRow = Omit<MediaRow, 'position' | 'recorded_at' | 'buried'>;

export function toCataloguedMedia(row: CataloguedRow): CataloguedMedia {
  const stored = toStored(row);
  return {
    id: row.id,
    tenant: row.tenant,
    channelId: row.channel_id,
    provider: row.provider,
    providerMessageId: row.provider_message_id,
    providerMediaId: row.provider_media_id,
    downloadUrl: row.download_url,
    status: row.status,
    kind: row.kind,
    mimeType: row.mime_type,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    filename: row.filename,
    caption: row.caption,
    voice: row.voice,
    contact: row.contact,
    direction: row.direction,
    createdAt: row.created_at,
    availableUntil: row.available_until,
    expiresAt: stored ? row.expires_at : earliest(row.available_until, row.expires_at),
    stored,
    measures: stored?.measures ?? null,
    announced: row.announced,
    described: row.described,
    uploaded: row.uploaded,
    failure: toFailure(row),
    deletionScope: row.deletion_scope,
    mirrored: row.mirror_state !== null,
    updatedAt: row.updated_at,
    revokedAt: row.revoked_at,
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

function toMeasures(row: CataloguedRow): MediaMeasures | null {
  if (row.has_still === null && row.width === null && row.duration_seconds === null && row.thumb_hash === null)
    return null;
  const { width, height } = row;
  return {
    width,
    height,
    durationSeconds: row.duration_seconds,
    thumbHash: row.thumb_hash,
    pageCount: row.page_count,
    still: row.has_still,
  };
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

/**
 * The only list of columns that contain facts from the bytes and the location of the bytes. A row without bytes
 * contains none of them. Measured values replace reported values about the bytes and are deleted with them.
 */
const READ_FROM_BYTES = {
  stored_at: null,
  stored_size_bytes: null,
  stored_sha256: null,
  stored_mime_type: null,
  blob_key: null,
  size_bytes: null,
  sha256: null,
  width: null,
  height: null,
  duration_seconds: null,
  page_count: null,
  thumb_hash: null,
  has_still: null,
} as const satisfies Partial<MediaRow>;

/** The assignments of an update that ends a media. */
export function withoutBytes(): RawBuilder<unknown> {
  return sql.raw(
    Object.entries(READ_FROM_BYTES)
      .map(([column, value]) => `${column} = ${value}`)
      .join(', '),
  );
}

export function storedColumns({ key, at, sizeBytes, sha256, mimeType, measures }: StoredBytes): Partial<MediaRow> {
  return {
    blob_key: key,
    stored_at: at,
    stored_size_bytes: sizeBytes,
    stored_sha256: sha256,
    stored_mime_type: mimeType,
    size_bytes: sizeBytes,
    sha256,
    ...measuresColumns(measures),
  };
}

export function measuresColumns(measures: MediaMeasures | null): Partial<MediaRow> {
  return {
    width: measures?.width ?? null,
    height: measures?.height ?? null,
    duration_seconds: measures?.durationSeconds ?? null,
    thumb_hash: measures?.thumbHash ?? null,
    page_count: measures?.pageCount ?? null,
    has_still: measures?.still ?? null,
  };
}

export function failureColumns(failure: MediaFailure | null): Partial<MediaRow> {
  return {
    failure_code: failure?.code ?? null,
    failure_reason: failure === null ? null : storable(failure.message),
    failure_retryable: failure?.retryable ?? null,
    failed_at: failure?.at ?? null,
  };
}

/** Kysely omits undefined keys from an update. */
export function patchColumns(patch: MediaPatch): Partial<MediaRow> {
  return {
    kind: patch.kind,
    mime_type: storable(patch.mimeType),
    size_bytes: patch.sizeBytes,
    sha256: patch.sha256,
    filename: storable(patch.filename),
    expires_at: patch.expiresAt,
    ...(patch.failure === undefined ? {} : failureColumns(patch.failure)),
  };
}
