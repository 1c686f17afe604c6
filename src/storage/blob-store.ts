import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ByteSpan } from '../model/byte-range.js';
import { MAX_TENANT_BYTES, type TenantId } from '../model/channel.js';
import { MAX_ID_LENGTH } from '../model/ids.js';
import type { MediaId } from '../model/media.js';
import type { FileSystemSpace } from '../telemetry/instruments/resource-metrics.js';

declare const blobKeyBrand: unique symbol;

/** The name of a blob in its store. The functions below and listings create it. */
export type BlobKey = string & { readonly [blobKeyBrand]: true };

/** The stored bytes of media. Every method rejects {@link BlobStoreError} when the store itself fails. */
export interface BlobStore {
  /**
   * Stores the bytes of `body` in place of an earlier blob, and hashes them on the way. It is atomic: readers see the
   * earlier blob or the whole new one, and one of several concurrent puts wins as a whole. `body` is read to its end or
   * destroyed. Rejects, and leaves nothing behind, with the body's own error, the signal's reason, MediagraphError
   * MEDIA_TOO_LARGE, or BlobStoreError. (If the response to the last request is lost, an object store may have stored
   * the whole blob nevertheless.)
   */
  put(key: BlobKey, body: Readable, options: PutOptions): Promise<StoredBlob>;
  /**
   * The bytes of a blob. The caller drains or destroys the stream; an abort destroys it with the signal's reason.
   * Rejects with BlobNotFound, or with RangeError for a range that starts after the last byte.
   */
  open(key: BlobKey, options: OpenOptions): Promise<Readable>;
  /** Null: there is no such blob. */
  stat(key: BlobKey): Promise<{ readonly sizeBytes: number } | null>;
  /**
   * A URL from which any holder can read the bytes and ranges of them, with these headers. Absent where the store has
   * no such URLs. The blob is not looked up: without one, the URL answers with the store's own 404. The URL ends with
   * the blob, and with the credentials that signed it. Rejects with RangeError for an expiry out of range.
   */
  presign?(key: BlobKey, options: PresignOptions): Promise<URL>;
  /**
   * The path of a blob's file, relative to the root of the store and with `/`. Absent where blobs are not files of this
   * machine. The blob is not looked up.
   */
  relativePath?(key: BlobKey): string;
  /** Deleting what is already gone is success. */
  delete(key: BlobKey): Promise<void>;
  /** All blobs whose keys start with the prefix, in no particular order. Blobs may be put and deleted meanwhile. */
  keys(prefix: string): AsyncIterable<ListedBlob>;
  /**
   * What interrupted puts of dead processes left behind and was not written to for that many milliseconds. Absent where puts
   * leave nothing behind, or nothing that this process could find.
   */
  leftovers?(unchangedForMs: number): AsyncIterable<Leftover>;
  /** The space of the file system. Absent where blobs are not files of this machine. */
  space?(): Promise<FileSystemSpace>;
  /** Rejects while the store cannot be reached or used. */
  ping(): Promise<void>;
  /** Closes idle connections. No method may be called afterwards. Open streams continue to their end. */
  close(): Promise<void>;
}

export interface PutOptions {
  readonly signal?: AbortSignal;
  /** A body with more bytes is MEDIA_TOO_LARGE. Absent: no limit. */
  readonly maxBytes?: number;
}

export interface StoredBlob {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** The expected size of the whole blob. A blob of another size is not the one that is meant: BlobNotFound. */
  readonly sizeBytes?: number;
  readonly range?: ByteRange;
}

export interface PresignOptions {
  /** Whole seconds, from one to a week. */
  readonly expiresInS: number;
  readonly contentType: string;
  readonly contentDisposition: string;
  readonly cacheControl: string;
}

/** A range of a blob. The size of a blob is known, so the range always has an end. */
export type ByteRange = ByteSpan;

export interface ListedBlob {
  readonly key: BlobKey;
  readonly modifiedAt: Date;
}

/** A file of a put that its process did not finish. */
export interface Leftover {
  readonly name: string;
  /** Removing what is already gone is success. */
  remove(): Promise<void>;
}

export class BlobNotFound extends Error {
  override readonly name = 'BlobNotFound';

  constructor(options?: { cause?: unknown }) {
    super('there is no such blob (any more)', options);
  }
}

/**
 * The store failed: disk full, no permission, no connection. `message` contains no path, host or credential, but
 * `cause` may.
 */
export class BlobStoreError extends Error {
  override readonly name = 'BlobStoreError';

  /**
   * @param expected what the store should have done, to follow "expected the blob store to"
   * @param got a code, such as `ENOSPC` or `AccessDenied`
   */
  constructor(expected: string, got: string, options?: { cause?: unknown }) {
    super(`expected the blob store to ${expected}, got ${got}`, options);
  }
}

/** S3's limit, in bytes ("Naming Amazon S3 objects"). */
const MAX_KEY_LENGTH = 1_024;
/** File names have at most 255 bytes, and stores and tools append suffixes of their own. */
const MAX_PART_LENGTH = 200;
const ORIGINAL = '.original';

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;
const MEDIA_KEY =
  /^media\/[0-9a-f]{2}((?:\/t-[A-Za-z0-9_-]{1,200})+)((?:\/i-[A-Za-z0-9_-]{1,200})+)\.(?:original|[a-z0-9-]{1,40}\.[a-z0-9]{1,8})$/;

/**
 * The key under which one attempt stores a media's bytes: `media/<shard>/t-<tenant in base64url>/i-<media
 * id>.<attempt>.original`. No two attempts share a key, so that a late attempt cannot overwrite the bytes that a row
 * names. A tenant or id that is longer than a file name may be continues in further `t-` or `i-` folders. A rendition
 * lies beside its original, with another suffix: no id contains a dot, so the key up to its first dot is a prefix of
 * the blobs of this media only. The shard keeps folders small. Keys are case-sensitive.
 * @throws RangeError for an invalid tenant or media id, or a tenant above {@link MAX_TENANT_BYTES}
 */
export function attemptBlobKey(tenant: TenantId, id: MediaId): BlobKey {
  const key = `${stemOf(mediaBlobKey(tenant, id))}${randomUUID()}${ORIGINAL}`;
  assertBlobKey(key);
  return key;
}

/**
 * The key under which version 0.1 stored a media's bytes. Rows of that time name it.
 * @throws RangeError as {@link attemptBlobKey}
 */
export function mediaBlobKey(tenant: TenantId, id: MediaId): BlobKey {
  const fault = faultOf(tenant, id);
  if (fault !== null) throw new RangeError(fault);
  const key = formatMediaBlobKey(tenant, id);
  assertBlobKey(key);
  return key;
}

/**
 * The key of something made from a media, beside its original. `name` has up to 40 lower-case letters, digits and
 * dashes; `extension` has up to 8 letters and digits, and is not `original`.
 */
export function derivedBlobKey(original: BlobKey, name: string, extension: string): BlobKey {
  const key = `${stemOf(original)}${name}.${extension}`;
  if (!MEDIA_KEY.test(key) || isOriginal(key))
    throw new RangeError('expected the name and extension of a derived blob, got other text');
  assertBlobKey(key);
  return key;
}

/** The prefix of the keys of a media's originals and of everything derived from them, and of no other keys. */
export function stemOf(original: BlobKey): string {
  return original.slice(0, original.indexOf('.', original.lastIndexOf('/')) + 1);
}

/** True for the key of an original; false for that of something derived. */
export function isOriginal(key: string): boolean {
  return key.endsWith(ORIGINAL);
}

/** The media to which a key belongs. Null: none of the functions above can have created the key. */
export function parseMediaBlobKey(key: string): { tenant: TenantId; id: MediaId } | null {
  const [, tenantParts, idParts] = (isBlobKey(key) && MEDIA_KEY.exec(key)) || [];
  if (tenantParts === undefined || idParts === undefined) return null;
  const tenant = Buffer.from(tenantParts.replaceAll('/t-', ''), 'base64url').toString();
  const id = idParts.replaceAll('/i-', '');
  if (faultOf(tenant, id) !== null) return null;
  const original = formatMediaBlobKey(tenant, id);
  return key.startsWith(original.slice(0, -ORIGINAL.length + 1)) ? { tenant, id } : null;
}

/**
 * Whether a text is a valid key: no empty, dotted or overlong segment, and no character with a meaning in a path or a
 * URL.
 */
export function isBlobKey(text: string): text is BlobKey {
  return text.length <= MAX_KEY_LENGTH && text.split('/').every((segment) => SEGMENT.test(segment));
}

/** Drivers check again, in spite of the type, since a key becomes a path. @throws RangeError */
export function assertBlobKey(text: string): asserts text is BlobKey {
  if (!isBlobKey(text)) throw new RangeError('expected a blob key, got other text');
}

/** NaN or a fraction would reach the store as another range. @throws RangeError */
export function assertByteRange({ start, end }: ByteRange): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end) return;
  throw new RangeError(`expected a range of whole bytes, start to end, got ${start} to ${end}`);
}

function faultOf(tenant: TenantId, id: MediaId): string | null {
  if (tenant === '' || !tenant.isWellFormed()) return 'expected a tenant of well-formed text';
  const bytes = Buffer.byteLength(tenant);
  if (bytes > MAX_TENANT_BYTES) return `expected a tenant of at most ${MAX_TENANT_BYTES} bytes, got ${bytes}`;
  if (id.length <= MAX_ID_LENGTH && /^[A-Za-z0-9_-]+$/.test(id)) return null;
  return `expected a media id of 1 to ${MAX_ID_LENGTH} characters of base64url`;
}

function formatMediaBlobKey(tenant: TenantId, id: MediaId): string {
  const shard = createHash('sha256').update(`${tenant}\n${id}`).digest('hex').slice(0, 2);
  const folders = [...inParts('t-', Buffer.from(tenant).toString('base64url')), ...inParts('i-', id)];
  return `media/${shard}/${folders.join('/')}${ORIGINAL}`;
}

function inParts(prefix: string, text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += MAX_PART_LENGTH) parts.push(prefix + text.slice(at, at + MAX_PART_LENGTH));
  return parts;
}
