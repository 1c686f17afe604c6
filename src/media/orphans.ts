import type { MediaCatalogue } from '../catalogue/media/media-catalogue.js';
import type { TenantId } from '../model/channel.js';
import { addMilliseconds } from '../model/clock.js';
import type { MediaId } from '../model/media.js';
import { type BlobKey, type BlobStore, isOriginal, parseMediaBlobKey } from '../storage/blob-store.js';

export interface OrphansOptions {
  readonly catalogue: Pick<MediaCatalogue, 'findStored'>;
  readonly blobs: Pick<BlobStore, 'keys'>;
  /** Blobs without a row that are younger than this may get a row soon. */
  readonly graceMs: number;
  readonly signal?: AbortSignal;
}

/** A blob that no row names. */
export interface Orphan {
  readonly key: BlobKey;
  /** The media that the key names. */
  readonly tenant: TenantId;
  readonly id: MediaId;
}

const BATCH = 500;

/** Compares all blobs with the rows, batch by batch. A caller may delete each orphan that it receives. */
export async function* findOrphans(
  { catalogue, blobs, graceMs, signal }: OrphansOptions,
  now: Date,
): AsyncGenerator<Orphan, void, undefined> {
  let batch: Orphan[] = [];
  for await (const { key, modifiedAt } of blobs.keys('media/')) {
    signal?.throwIfAborted();
    if (modifiedAt > addMilliseconds(now, -graceMs)) continue;
    const owner = parseMediaBlobKey(key);
    // A key of another form may belong to a later version, so it stays.
    if (owner) batch.push({ key, ...owner });
    if (batch.length < BATCH) continue;
    yield* await unowned(catalogue, batch);
    batch = [];
  }
  yield* await unowned(catalogue, batch);
}

async function unowned(catalogue: OrphansOptions['catalogue'], candidates: readonly Orphan[]): Promise<Orphan[]> {
  const stored = await catalogue.findStored(candidates);
  return candidates.filter((candidate) => !isOwned(candidate.key, stored.get(candidate) ?? null));
}

/** The row references one original. The keys of renditions contain the digest of their original. */
function isOwned(key: BlobKey, stored: { readonly key: string; readonly sha256: string } | null): boolean {
  if (stored === null) return false;
  return isOriginal(key) ? stored.key === key : key.includes(stored.sha256.slice(0, 8));
}
