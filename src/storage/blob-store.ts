import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ByteSpan } from '../model/byte-range.js';
import { MAX_TENANT_BYTES, type TenantId } from '../model/channel.js';
import { MAX_ID_LENGTH } from '../model/ids.js';
import type { MediaId } from '../model/media.js';

declare const blobKeyBrand: unique symbol;

/** Where a blob lies in its store: made by the functions below and by listings. */
export type BlobKey = string & { readonly [blobKeyBrand]: true };

/** The stored bytes of media. Every method rejects {@link BlobStoreError} when the store itself fails. */
export interface BlobStore {
  /**
   * Stores what `body` yields, hashed on its way, in place of what was there. All or nothing: readers see the blob as it
   * was before or the whole new one, and of several puts at once one wins whole. `body` is read to its end or destroyed.
   * Rejects, and leaves nothing behind, with the body's own error, the signal's reason, MediagraphError MEDIA_TOO_LARGE,
   * or BlobStoreError. (An object store whose answer to the last request was lost may have the whole blob nevertheless.)
   */
  put(key: BlobKey, body: Readable, options: PutOptions): Promise<StoredBlob>;
  /**
   * The bytes. Whoever holds the stream drains or destroys it; an abort destroys it with the signal's reason.
   * Rejects BlobNotFound, or RangeError for a range that starts after the last byte.
   */
  open(key: BlobKey, options: OpenOptions): Promise<Readable>;
  /** null = there is no such blob. */
  stat(key: BlobKey): Promise<{ readonly sizeBytes: number } | null>;
  /**
   * A URL that gives the bytes, and ranges of them, to whoever has it, with these headers; present only where the store can.
   * Nothing is asked: of a blob that is not there the URL gives the store's own 404. Deletion ends it at once, and so does
   * the end of the credentials that it was signed with. Rejects RangeError for a time that is no such time.
   */
  presign?(key: BlobKey, options: PresignOptions): Promise<URL>;
  /** Deleting what is already gone is success. */
  delete(key: BlobKey): Promise<void>;
  /** All blobs whose keys start so, in no promised order. Blobs may be put and deleted meanwhile. */
  keys(prefix: string): AsyncIterable<ListedBlob>;
  /**
   * Removes what puts of processes that are gone left half written, if nothing wrote to it for so many milliseconds. Absent
   * where puts leave nothing. @returns how many
   */
  removeLeftovers?(unchangedForMs: number): Promise<number>;
  /** Rejects when the store cannot be reached or used. */
  ping(): Promise<void>;
  /** Ends idle connections. Nothing is called afterwards; streams in use end by themselves. */
  close(): Promise<void>;
}

export interface PutOptions {
  readonly signal?: AbortSignal;
  /** One byte more is MEDIA_TOO_LARGE; absent: no limit. */
  readonly maxBytes?: number;
}

export interface StoredBlob {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** Of the whole blob: one of another size is not the one that is meant, and rejects BlobNotFound. */
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

/** Of a blob, whose size is known: what is asked for has an end. */
export type ByteRange = ByteSpan;

export interface ListedBlob {
  readonly key: BlobKey;
  readonly modifiedAt: Date;
}

export class BlobNotFound extends Error {
  override readonly name = 'BlobNotFound';

  constructor(options?: { cause?: unknown }) {
    super('there is no such blob (any more)', options);
  }
}

/** The store failed: disk full, no permission, no connection. `message` names no path, host or credential; `cause` may. */
export class BlobStoreError extends Error {
  override readonly name = 'BlobStoreError';

  /** @param expected what the store should have done, to follow "expected the blob store to"
   *  @param got a code, such as `ENOSPC` or `AccessDenied` */
  constructor(expected: string, got: string, options?: { cause?: unknown }) {
    super(`expected the blob store to ${expected}, got ${got}`, options);
  }
}

/** S3's limit, in bytes ("Naming Amazon S3 objects"). */
const MAX_KEY_LENGTH = 1_024;
/** File names end at 255 bytes; stores and tools append suffixes of their own. */
const MAX_PART_LENGTH = 200;
const ORIGINAL = '.original';

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;
const MEDIA_KEY =
  /^media\/[0-9a-f]{2}((?:\/t-[A-Za-z0-9_-]{1,200})+)((?:\/i-[A-Za-z0-9_-]{1,200})+)\.(?:original|[a-z0-9-]{1,40}\.[a-z0-9]{1,8})$/;

/**
 * Where one attempt to store a media's bytes puts them: `media/<shard>/t-<tenant in base64url>/i-<media
 * id>.<attempt>.original`. No two attempts share a key, so that a late one touches nothing that a row names. What is longer
 * than a file name may be goes on in further `t-` or `i-` folders. What is derived from a media (a thumbnail) belongs
 * beside it, with another suffix: no id has a dot, so the key up to its first dot is a prefix of this media's blobs and of
 * no other's. The shard keeps folders small. Letters' case matters.
 * @throws RangeError for a tenant or media id that cannot be, or a tenant above {@link MAX_TENANT_BYTES}
 */
export function attemptBlobKey(tenant: TenantId, id: MediaId): BlobKey {
  const key = `${stemOf(mediaBlobKey(tenant, id))}${randomUUID()}${ORIGINAL}`;
  assertBlobKey(key);
  return key;
}

/** Where version 0.1 stored a media's bytes; rows of that time name these keys. @throws RangeError as {@link attemptBlobKey} */
export function mediaBlobKey(tenant: TenantId, id: MediaId): BlobKey {
  const fault = faultOf(tenant, id);
  if (fault !== null) throw new RangeError(fault);
  const key = formatMediaBlobKey(tenant, id);
  assertBlobKey(key);
  return key;
}

/**
 * Where something that was made from a media lies: beside its original. `name` is up to 40 lower-case letters, digits and
 * dashes, `extension` up to 8 letters and digits, and not `original`.
 */
export function derivedBlobKey(original: BlobKey, name: string, extension: string): BlobKey {
  const key = `${stemOf(original)}${name}.${extension}`;
  if (!MEDIA_KEY.test(key) || isOriginal(key))
    throw new RangeError('expected the name of something derived, got a text that none can be');
  assertBlobKey(key);
  return key;
}

/** What starts the keys of a media's originals and of everything derived from them, and of nothing else. */
export function stemOf(original: BlobKey): string {
  return original.slice(0, original.indexOf('.', original.lastIndexOf('/')) + 1);
}

/** Whether a key of a media is that of an attempt to store it; else it is of something derived. */
export function isOriginal(key: string): boolean {
  return key.endsWith(ORIGINAL);
}

/** Whose bytes a key names; null for what none of the functions above can have written. */
export function parseMediaBlobKey(key: string): { tenant: TenantId; id: MediaId } | null {
  const [, tenantParts, idParts] = (isBlobKey(key) && MEDIA_KEY.exec(key)) || [];
  if (tenantParts === undefined || idParts === undefined) return null;
  const tenant = Buffer.from(tenantParts.replaceAll('/t-', ''), 'base64url').toString();
  const id = idParts.replaceAll('/i-', '');
  if (faultOf(tenant, id) !== null) return null;
  const original = formatMediaBlobKey(tenant, id);
  return key.startsWith(original.slice(0, -ORIGINAL.length + 1)) ? { tenant, id } : null;
}

/** Whether a text may be a key: no empty, dotted or over-long segment, nothing that a file system or a URL reads otherwise. */
export function isBlobKey(text: string): text is BlobKey {
  return text.length <= MAX_KEY_LENGTH && text.split('/').every((segment) => SEGMENT.test(segment));
}

/** Drivers ask again, whatever the type says: a key becomes a path. @throws RangeError */
export function assertBlobKey(text: string): asserts text is BlobKey {
  if (!isBlobKey(text)) throw new RangeError('expected a blob key, got a text that none can be');
}

/** @throws RangeError: NaN or a fraction would reach the store as a range of something else. */
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

function inParts(mark: string, text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += MAX_PART_LENGTH) parts.push(mark + text.slice(at, at + MAX_PART_LENGTH));
  return parts;
}
