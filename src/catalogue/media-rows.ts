import type { Selectable } from 'kysely';
import { earliest } from '../model/media.js';
import type { CataloguedMedia, MediaPatch, StoredBytes } from './catalogued-media.js';
import type { MediaTable } from './tables.js';

export type MediaRow = Selectable<MediaTable>;

/** What {@link toCataloguedMedia} reads: every column that is sent and parsed has its price. */
export type CataloguedRow = Omit<
  MediaRow,
  | 'position'
  | 'recorded_at'
  | 'updated_at'
  | 'mirror_due_at'
  | 'lease_owner'
  | 'lease_until'
  | 'deletion_owner'
  | 'deletion_until'
  | 'buried'
  | 'purge_due'
>;

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
    createdAt: row.created_at,
    availableUntil: row.available_until,
    expiresAt: stored ? row.expires_at : earliest(row.available_until, row.expires_at),
    stored,
    measures: stored?.measures ?? null,
    announced: row.announced,
    described: row.described,
    uploaded: row.uploaded,
    failureReason: row.failure_reason,
    failureCode: row.failure_code,
    deletionScope: row.deletion_scope,
    mirrored: row.mirror_state !== null,
    mirrorAttempts: row.mirror_attempts,
  };
}

function toStored(row: CataloguedRow): StoredBytes | null {
  const { stored_at: at, stored_size_bytes: sizeBytes, stored_sha256: sha256 } = row;
  if (at === null || sizeBytes === null || sha256 === null) return null;
  const { width, height, duration_seconds: durationSeconds, thumb_hash: thumbHash } = row;
  const measures = { width, height, durationSeconds, thumbHash, pageCount: null, still: null };
  return { at, sizeBytes, sha256, mimeType: row.stored_mime_type, measures };
}

export function storedColumns(stored: StoredBytes | null): Partial<MediaRow> {
  return {
    stored_at: stored?.at ?? null,
    stored_size_bytes: stored?.sizeBytes ?? null,
    stored_sha256: stored?.sha256 ?? null,
    stored_mime_type: stored?.mimeType ?? null,
    width: stored?.measures?.width ?? null,
    height: stored?.measures?.height ?? null,
    duration_seconds: stored?.measures?.durationSeconds ?? null,
    thumb_hash: stored?.measures?.thumbHash ?? null,
  };
}

/** Keys that are undefined are left out of an update by Kysely. */
export function patchColumns(patch: MediaPatch): Partial<MediaRow> {
  return {
    kind: patch.kind,
    mime_type: storable(patch.mimeType),
    size_bytes: patch.sizeBytes,
    sha256: patch.sha256,
    filename: storable(patch.filename),
    failure_reason: storable(patch.failureReason),
    expires_at: patch.expiresAt,
    ...(patch.stored === undefined ? {} : storedColumns(patch.stored)),
  };
}

/** PostgreSQL's texts cannot hold U+0000, which a JSON payload can: a caption must not be able to fail its event. */
export function storable<Text extends string | null | undefined>(text: Text): Text | string {
  return typeof text === 'string' ? text.replaceAll('\0', '') : text;
}
