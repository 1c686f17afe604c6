import type { Readable } from 'node:stream';
import type { MediaCatalogue, StoredBytes } from '../catalogue/media-catalogue.js';
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

/** Where a media's bytes are, and what is made from them. */
type Owner = Pick<Media, 'tenant' | 'id'>;

/** Where bytes go, and what looks at them on their way. */
export interface ByteKeeping {
  readonly blobs: BlobStore;
  readonly inspector: MediaInspector;
  readonly clock: Clock;
}

/** Bytes of a type that was sniffed. */
interface SniffedBytes {
  readonly body: Readable;
  readonly mimeType: string;
}

/** Stored bytes, and what they turned out to be. */
export interface InspectedBytes extends Pick<Inspection, 'late'> {
  readonly stored: StoredBytes;
  readonly mimeType: string;
  /** null: the bytes do not tell. */
  readonly kind: MediaKind | null;
}

/** Where a row says that its bytes are. @throws RangeError for a text that no store can have given it */
export function keyOfStored({ key }: Pick<StoredBytes, 'key'>): BlobKey {
  assertBlobKey(key);
  return key;
}

/** Stores a media's bytes under a key of this attempt, makes sure that they can be read back, and measures them. */
export async function storeBytes(
  keeping: ByteKeeping,
  owner: Owner,
  bytes: SniffedBytes,
  options: PutOptions,
): Promise<InspectedBytes> {
  const stored = await writeBytes(keeping, owner, bytes, options);
  try {
    return await inspected(keeping, stored, bytes.mimeType, options.signal);
  } catch (thrown) {
    await removeAttempt(keeping.blobs, stored);
    throw thrown;
  }
}

/** Looks at bytes that are stored. Rejects with the signal's reason alone. */
export async function inspected(
  { inspector }: Pick<ByteKeeping, 'inspector'>,
  stored: StoredBytes,
  sniffed: string,
  signal?: AbortSignal,
): Promise<InspectedBytes> {
  const { sizeBytes, sha256 } = stored;
  const found = await inspector.inspect({ key: keyOfStored(stored), sha256, mimeType: sniffed, sizeBytes }, signal);
  const mimeType = found.mimeType ?? sniffed;
  const { measures, kind, late } = found;
  return { stored: { ...stored, mimeType, measures }, mimeType, kind, late };
}

export interface MeasuresKeeping {
  readonly catalogue: Pick<MediaCatalogue, 'recordMeasures'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Gives a row that names these bytes what an inspection found in them; see {@link recordLate} for the rest. */
export async function recordInspected(
  keeping: MeasuresKeeping,
  owner: Owner,
  { stored, mimeType, kind }: InspectedBytes,
): Promise<void> {
  const { key, measures } = stored;
  if (measures === null) return;
  const found = { key, measures, mimeType, ...(kind && { kind }) };
  await keeping.catalogue.recordMeasures(owner.tenant, owner.id, found, dateOf(keeping.clock));
}

/**
 * The same with what took longer to see than media waits for it, once the row names the bytes. Never rejects: what is lost
 * here is a placeholder.
 */
export async function recordLate(keeping: MeasuresKeeping, owner: Owner, inspected: InspectedBytes): Promise<void> {
  const { stored, late } = inspected;
  try {
    const facts = await late;
    if (!facts || stored.measures === null) return;
    const measures = { ...stored.measures, ...facts };
    await recordInspected(keeping, owner, { ...inspected, stored: { ...stored, measures } });
  } catch (err) {
    keeping.logger.warn({ err, media: owner.id }, 'what a media shows was seen late, and could not be noted');
  }
}

/** The same, without a look at the bytes. */
export async function writeBytes(
  { blobs, clock }: ByteKeeping,
  { tenant, id }: Owner,
  { body, mimeType }: SniffedBytes,
  options: PutOptions,
): Promise<StoredBytes> {
  const key = attemptBlobKey(tenant, id);
  const { sizeBytes, sha256 } = await blobs.put(key, body, options);
  const found = await blobs.stat(key);
  if (found?.sizeBytes === sizeBytes) return { key, sizeBytes, sha256, mimeType, at: dateOf(clock), measures: null };
  await blobs.delete(key);
  throw new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes could not be read back', { retryable: true });
}

/** Bytes that no row names. What cannot be removed now, the sweep finds. */
export async function removeAttempt(
  blobs: BlobStore,
  stored: Pick<StoredBytes, 'key'> & Partial<Pick<StoredBytes, 'sha256'>>,
): Promise<void> {
  const key = keyOfStored(stored);
  const { sha256 } = stored;
  // What the inspection made from it; of the same bytes under another key it is made anew when it is asked for.
  const keys = [key, ...(sha256 === undefined ? [] : [baseKeyOf({ key, sha256 })])];
  for (const one of keys) await blobs.delete(one).catch(() => {});
}

/** All bytes of a media that has ended: of every attempt, and whatever was derived from them. */
export async function removeBytes(blobs: BlobStore, { tenant, id }: Owner): Promise<void> {
  const stem = stemOf(attemptBlobKey(tenant, id));
  // Twice: what was being derived meanwhile may have come behind the listing. Later than that, it finds its original gone.
  for (const _pass of [1, 2]) for await (const { key } of blobs.keys(stem)) await blobs.delete(key);
}

/** Whether stored bytes are not those whose hash was told. A told size is advice; their own framing was checked. */
export function differsFrom(told: Pick<Media, 'sha256'>, { sha256 }: StoredBytes): boolean {
  return told.sha256 !== null && told.sha256 !== sha256;
}
