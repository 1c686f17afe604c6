import type { Config } from '../config/config.js';
import type { BlobStoreOptions } from '../storage/open-blob-store.js';

/** The options of the store that the section `storage` describes. */
export function blobOptions(storage: Config['storage']): BlobStoreOptions {
  const { driver, root, fileMode, folderMode, s3 } = storage;
  if (driver === 'fs' || s3 === null) return { driver: 'fs', root, fileMode, folderMode };
  const { bucket, prefix, region, endpoint, forcePathStyle, accessKeyId, secretAccessKey } = s3;
  return { driver, bucket, prefix, region, endpoint, forcePathStyle, accessKeyId, secretAccessKey };
}
