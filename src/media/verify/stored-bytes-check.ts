import { createHash } from 'node:crypto';
import type { StoredBytes } from '../../catalogue/media/media-catalogue.js';
import { BlobNotFound, type BlobStore, isBlobKey } from '../../storage/blob-store.js';
import type { ByteFault } from './finding.js';

type ReadableBlobs = Pick<BlobStore, 'stat' | 'open'>;

/**
 * What is wrong with stored bytes; null: nothing.
 * @param reads whether to read the bytes and to compare their digest
 * @throws BlobStoreError while the store cannot tell
 */
export async function faultOfBytes(
  blobs: ReadableBlobs,
  { key, sizeBytes, sha256 }: StoredBytes,
  { reads, signal }: { readonly reads: boolean; readonly signal?: AbortSignal },
): Promise<ByteFault | null> {
  // A text that is no key names no blob.
  if (!isBlobKey(key)) return 'missing';
  const blob = await blobs.stat(key);
  if (blob === null) return 'missing';
  if (blob.sizeBytes !== sizeBytes) return 'size';
  if (!reads) return null;
  try {
    const hash = createHash('sha256');
    for await (const chunk of await blobs.open(key, { signal })) hash.update(chunk);
    return hash.digest('hex') === sha256 ? null : 'digest';
  } catch (thrown) {
    if (thrown instanceof BlobNotFound) return 'missing';
    throw thrown;
  }
}
