import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type BlobKey, type BlobStore, mediaBlobKey } from '../../src/storage/blob-store.js';

export const MEGABYTE = 1024 * 1024;
/** Three parts of a multipart upload. */
export const LARGE = randomBytes(12 * MEGABYTE);

export const HOSTILE_TENANTS = [
  '..',
  '../../etc',
  'a/b',
  'a\\b',
  '\0',
  'a\nb',
  '💾',
  'ü'.repeat(20),
  't'.repeat(300),
  '.',
  ' ',
  'CON',
];

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

export const bodyOf = (bytes: Buffer, chunkBytes = 64 * 1024) =>
  Readable.from(chunksOf(bytes, chunkBytes), { objectMode: false });

export function* chunksOf(bytes: Buffer, chunkBytes: number) {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

let keys = 0;

/** A key that no other test of the file uses. */
export function freshKey(): BlobKey {
  keys += 1;
  return mediaBlobKey('acme', `id${keys}`);
}

export async function read(store: BlobStore, key: BlobKey, range?: { start: number; end: number }): Promise<Buffer> {
  return buffer(await store.open(key, { range }));
}

export async function keysOf(store: BlobStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.keys(prefix)) found.push(key);
  return found.sort();
}
