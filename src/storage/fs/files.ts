import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { isError } from '../../streams/net-error.js';
import { BlobStoreError } from '../blob-store.js';

/** Empty for a folder that does not exist. */
export async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw toBlobStoreError('list blobs', thrown);
  }
}

/** Null: there is no regular file at that path. */
export async function fileStats(path: string): Promise<Stats | null> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats : null;
  } catch (thrown) {
    if (isAbsent(thrown)) return null;
    throw toBlobStoreError('look a blob up', thrown);
  }
}

export function isAbsent(thrown: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(thrown));
}

export function toBlobStoreError(expected: string, thrown: unknown): Error {
  // An invalid key is a programming error, not a failure of the disk.
  return thrown instanceof RangeError ? thrown : new BlobStoreError(expected, codeOf(thrown), { cause: thrown });
}

export function codeOf(thrown: unknown): string {
  if (!isError(thrown)) return typeof thrown;
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
}
