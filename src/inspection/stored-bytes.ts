import type { Readable } from 'node:stream';
import type { MediaCatalogue, StoredBytes } from '../catalogue/media/media-catalogue.js';
import { type Clock, dateOf } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import type { Media, MediaKind } from '../model/media.js';
import { baseKeyOf } from '../renditions/renditions.js';
import {
  assertBlobKey,
  attemptBlobKey,
  type BlobKey,
  type BlobStore,
  type PutOptions,
  stemOf,
} from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import type { Inspection, MediaInspector } from './inspect.js';

/** The media that bytes belong to. */
type Owner = Pick<Media, 'tenant' | 'id'>;

/** What storing a media's bytes takes. */
export interface ByteStorage {
  readonly blobs: BlobStore;
  readonly inspector: MediaInspector;
  readonly clock: Clock;
}

/** Bytes with their sniffed type. */
interface SniffedBytes {
  readonly body: Readable;
  readonly mimeType: string;
}

/** Stored bytes, and what their inspection told. */
export interface InspectedBytes extends Pick<Inspection, 'late'> {
  readonly stored: StoredBytes;
  readonly mimeType: string;
  /** Null: the bytes do not tell. */
  readonly kind: MediaKind | null;
}

/** The blob key in a row. @throws RangeError for a text that is no blob key */
export function keyOfStored({ key }: Pick<StoredBytes, 'key'>): BlobKey {
  assertBlobKey(key);
  return key;
}

/** Stores a media's bytes under a key of this attempt, checks that they can be read back, and inspects them. */
export async function storeBytes(
  storage: ByteStorage,
  owner: Owner,
  bytes: SniffedBytes,
  options: PutOptions,
): Promise<InspectedBytes> {
  const stored = await writeBytes(storage, owner, bytes, options);
  try {
    return await inspectStored(storage, stored, bytes.mimeType, options.signal);
  } catch (thrown) {
    await removeAttempt(storage.blobs, stored);
    throw thrown;
  }
}

/** Inspects stored bytes. Rejects only with the signal's reason. */
export async function inspectStored(
  { inspector }: Pick<ByteStorage, 'inspector'>,
  stored: StoredBytes,
  sniffed: string,
  signal?: AbortSignal,
): Promise<InspectedBytes> {
  const { sizeBytes, sha256 } = stored;
  const inspection = await inspector.inspect(
    { key: keyOfStored(stored), sha256, mimeType: sniffed, sizeBytes },
    signal,
  );
  const mimeType = inspection.mimeType ?? sniffed;
  const { measures, kind, late } = inspection;
  return { stored: { ...stored, mimeType, measures }, mimeType, kind, late };
}

export interface MeasuresRecording {
  readonly catalogue: Pick<MediaCatalogue, 'recordMeasures'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Records an inspection in the row that names these bytes. {@link recordLateFacts} records what is not known yet. */
export async function recordInspection(
  recording: MeasuresRecording,
  owner: Owner,
  { stored, mimeType, kind }: InspectedBytes,
): Promise<void> {
  const { key, measures } = stored;
  if (measures === null) return;
  const facts = { key, measures, mimeType, ...(kind && { kind }) };
  await recording.catalogue.recordMeasures(owner.tenant, owner.id, facts, dateOf(recording.clock));
}

/**
 * Records the facts that were not ready with the inspection, once the row names the bytes. Never rejects, since no more
 * than a placeholder is lost.
 */
export async function recordLateFacts(
  recording: MeasuresRecording,
  owner: Owner,
  inspected: InspectedBytes,
): Promise<void> {
  const { stored, late } = inspected;
  try {
    const facts = await late;
    if (!facts || stored.measures === null) return;
    const measures = { ...stored.measures, ...facts };
    await recordInspection(recording, owner, { ...inspected, stored: { ...stored, measures } });
  } catch (err) {
    recording.logger.warn({ err, media: owner.id }, 'late facts of a media could not be recorded');
  }
}

/** Stores bytes as {@link storeBytes} does, without inspecting them. */
export async function writeBytes(
  { blobs, clock }: ByteStorage,
  { tenant, id }: Owner,
  { body, mimeType }: SniffedBytes,
  options: PutOptions,
): Promise<StoredBytes> {
  const key = attemptBlobKey(tenant, id);
  const { sizeBytes, sha256 } = await blobs.put(key, body, options);
  const blob = await blobs.stat(key);
  if (blob?.sizeBytes === sizeBytes) return { key, sizeBytes, sha256, mimeType, at: dateOf(clock), measures: null };
  await blobs.delete(key);
  throw new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes could not be read back', { retryable: true });
}

/** Removes bytes that no row names. The sweep removes what could not be removed now. */
export async function removeAttempt(
  blobs: BlobStore,
  stored: Pick<StoredBytes, 'key'> & Partial<Pick<StoredBytes, 'sha256'>>,
): Promise<void> {
  const key = keyOfStored(stored);
  const { sha256 } = stored;
  // The base of stills that the inspection stored lies beside the bytes. It is made again with the next copy.
  const keys = [key, ...(sha256 === undefined ? [] : [baseKeyOf({ key, sha256 })])];
  for (const blobKey of keys) await blobs.delete(blobKey).catch(() => {});
}

/** Removes all bytes of a media that has ended: those of every attempt, and everything derived from them. */
export async function removeBytes(blobs: BlobStore, { tenant, id }: Owner): Promise<void> {
  const stem = stemOf(attemptBlobKey(tenant, id));
  // Two passes: a rendition that was being made may be stored behind the first listing. A later one finds its original
  // gone.
  for (const _pass of [1, 2]) for await (const { key } of blobs.keys(stem)) await blobs.delete(key);
}

/** Whether stored bytes differ from the announced hash. An announced size is only a hint, so it is not compared. */
export function differsFrom(announced: Pick<Media, 'sha256'>, { sha256 }: StoredBytes): boolean {
  return announced.sha256 !== null && announced.sha256 !== sha256;
}
