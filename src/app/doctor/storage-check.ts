import { randomBytes } from 'node:crypto';
import { rmdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Config } from '../../config/config.js';
import { attemptBlobKey, type BlobStore, BlobStoreError } from '../../storage/blob-store.js';
import { openBlobStore } from '../../storage/open-blob-store.js';
import { blobOptions } from '../blob-options.js';
import { canCreate } from './can-create.js';
import { type Check, CheckFault, type CheckResult, kindOf } from './check.js';

const LIMIT_MS = 15_000;
const OBJECT_BYTES = 64 * 1024;

/** Writes, reads and deletes one object of its own. */
export function storageCheck({ storage }: Config): Check {
  const run = async (signal: AbortSignal) => {
    if (storage.driver === 's3' && storage.s3) return [await checkBucket(storage, signal)];
    return [await checkFolder(storage, signal)];
  };
  return { name: 'storage', limitMs: LIMIT_MS, run };
}

async function checkBucket(storage: Config['storage'], signal: AbortSignal): Promise<CheckResult> {
  await roundTrip(storage, signal, 'check storage.s3 and the permissions to put, get and delete objects');
  return storageResult('ok', 'an object was written to the bucket, read and deleted');
}

async function checkFolder(storage: Config['storage'], signal: AbortSignal): Promise<CheckResult> {
  const root = resolve(storage.root);
  const entry = await stat(root).catch((thrown: unknown) => kindOf(thrown));
  if (entry === 'ENOENT') {
    return (await canCreate(root))
      ? storageResult('warn', 'the folder storage.root does not exist yet; the first start creates it')
      : storageResult(
          'fail',
          'the folder storage.root cannot be created; give this user write permission, or change it',
        );
  }
  const temporary = join(root, 'tmp');
  const isNew = (await stat(temporary).catch(() => null)) === null;
  try {
    await roundTrip(storage, signal, 'check storage.root, its permissions and the free space');
  } finally {
    if (isNew) await rmdir(temporary).catch(() => {});
  }
  return storageResult('ok', 'a file was written to the folder storage.root, read and deleted');
}

/** @param advice what the operator can do about a failure */
async function roundTrip(storage: Config['storage'], signal: AbortSignal, advice: string): Promise<void> {
  let store: BlobStore | undefined;
  try {
    const options = blobOptions(storage);
    store = await openBlobStore(options.driver === 'fs' ? { ...options, leftoverAgeMs: null } : options);
    // A sweep would remove the object if this process died before it could.
    const key = attemptBlobKey('default', `doctor-${randomBytes(8).toString('hex')}`);
    const bytes = randomBytes(OBJECT_BYTES);
    try {
      await store.put(key, Readable.from([bytes]), { signal });
      const read = await buffer(await store.open(key, { signal, sizeBytes: bytes.length }));
      if (!read.equals(bytes)) throw new CheckFault(`the store returned other bytes than were written; ${advice}`);
    } finally {
      await store.delete(key);
    }
  } catch (thrown) {
    if (thrown instanceof CheckFault) throw thrown;
    throw new CheckFault(`${faultOf(thrown)}; ${advice}`);
  } finally {
    await store?.close();
  }
}

/** The messages of the store's own errors contain no path, host or credential. Those of its opening may. */
function faultOf(thrown: unknown): string {
  if (thrown instanceof BlobStoreError) return thrown.message;
  const { cause } = thrown instanceof Error ? thrown : { cause: undefined };
  return `the store cannot be used (${kindOf(cause ?? thrown)})`;
}

function storageResult(status: CheckResult['status'], message: string): CheckResult {
  return { check: 'storage', status, message };
}
