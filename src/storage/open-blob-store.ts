import type { BlobStore } from './blob-store.js';
import { FsBlobStore, type FsBlobStoreOptions } from './fs/fs-blob-store.js';
import type { S3BlobStoreOptions } from './s3/s3-blob-store.js';

/** `storage` of the configuration, and for `s3` the settings under its `s3` key. */
export type BlobStoreOptions =
  | ({ readonly driver: 'fs' } & FsBlobStoreOptions)
  | ({ readonly driver: 's3' } & S3BlobStoreOptions);

/** @throws Error, meant for the operator, if the folder cannot be written or the credentials are incomplete */
export async function openBlobStore(options: BlobStoreOptions): Promise<BlobStore> {
  if (options.driver === 'fs') return FsBlobStore.open(options);
  // The SDK takes a quarter of a second to load, so it is loaded on demand.
  const { S3BlobStore } = await import('./s3/s3-blob-store.js');
  return new S3BlobStore(options);
}
