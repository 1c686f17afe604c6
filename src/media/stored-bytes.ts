import type { Readable } from 'node:stream';
import type { StoredBytes } from '../catalogue/media-catalogue.js';
import { MediagraphError } from '../model/errors.js';
import type { Media } from '../model/media.js';
import { type BlobStore, mediaBlobKey, type PutOptions, stemOf } from '../storage/blob-store.js';
import type { Inspection, MediaInspector } from './inspect.js';

/** Where a media's bytes are, and what is made from them. */
type Owner = Pick<Media, 'tenant' | 'id'>;

/** Where bytes go, and who looks at them on their way. */
export interface ByteKeeping {
  readonly blobs: BlobStore;
  readonly inspector: MediaInspector;
}

/** Stores a media's bytes, of a type that was sniffed, makes sure that they can be read back, and measures them. */
export async function storeBytes(
  { blobs, inspector }: ByteKeeping,
  { tenant, id }: Owner,
  { body, mimeType }: { readonly body: Readable; readonly mimeType: string },
  options: PutOptions,
): Promise<StoredBytes & Pick<Inspection, 'kind'>> {
  const key = mediaBlobKey(tenant, id);
  const { sizeBytes, sha256 } = await blobs.put(key, body, options);
  const found = await blobs.stat(key);
  if (found?.sizeBytes === sizeBytes) {
    const inspection = await inspector.inspect({ key, sha256, mimeType, sizeBytes }, options.signal);
    const { measures, kind } = inspection;
    return { sizeBytes, sha256, mimeType: inspection.mimeType ?? mimeType, kind, at: new Date(), measures };
  }
  await blobs.delete(key);
  throw new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes could not be read back', { retryable: true });
}

/** The original, and whatever was derived from it. */
export async function removeBytes(blobs: BlobStore, { tenant, id }: Owner): Promise<void> {
  const original = mediaBlobKey(tenant, id);
  await blobs.delete(original);
  for await (const { key } of blobs.keys(stemOf(original))) await blobs.delete(key);
}

/**
 * How stored bytes differ from what was told of them, or null.
 * @param announcedBytes with the bytes themselves, which counts more than what was told before; null: not announced
 */
export function disagreement(
  told: Pick<Media, 'sizeBytes' | 'sha256'>,
  announcedBytes: number | null,
  { sizeBytes, sha256 }: StoredBytes,
): string | null {
  if ((announcedBytes ?? told.sizeBytes ?? sizeBytes) !== sizeBytes) return differing('length');
  return told.sha256 === null || told.sha256 === sha256 ? null : differing('hash');
}

function differing(what: string): string {
  return `expected bytes of the ${what} that was told, got others`;
}
