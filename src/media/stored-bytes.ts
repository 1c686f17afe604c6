import type { Readable } from 'node:stream';
import type { StoredBytes } from '../catalogue/media-catalogue.js';
import { MediagraphError } from '../model/errors.js';
import type { Media } from '../model/media.js';
import { type BlobStore, mediaBlobKey, type PutOptions } from '../storage/blob-store.js';

/** Where a media's bytes are, and what is made from them. */
type Owner = Pick<Media, 'tenant' | 'id'>;

/** Stores a media's bytes, of a type that was sniffed, and makes sure that they can be read back. */
export async function storeBytes(
  blobs: BlobStore,
  { tenant, id }: Owner,
  { body, mimeType }: { readonly body: Readable; readonly mimeType: string },
  options: PutOptions,
): Promise<StoredBytes> {
  const key = mediaBlobKey(tenant, id);
  const { sizeBytes, sha256 } = await blobs.put(key, body, options);
  const found = await blobs.stat(key);
  if (found?.sizeBytes === sizeBytes) return { sizeBytes, sha256, mimeType, at: new Date() };
  await blobs.delete(key);
  throw new MediagraphError('INTERNAL_SERVER_ERROR', 'the stored bytes could not be read back', { retryable: true });
}

/** The original, and whatever was derived from it. */
export async function removeBytes(blobs: BlobStore, { tenant, id }: Owner): Promise<void> {
  const original = mediaBlobKey(tenant, id);
  await blobs.delete(original);
  const stem = original.slice(0, original.lastIndexOf('.') + 1);
  for await (const { key } of blobs.keys(stem)) await blobs.delete(key);
}
