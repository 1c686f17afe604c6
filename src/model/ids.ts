import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { CHANNEL_ID_PATTERN, type ChannelId, type TenantId } from './channel.js';
import { MediagraphError } from './errors.js';
import type { MediaId, MessageKey } from './media.js';

/** UTF-8 bytes. WhatsApp's longest ids have about 100. The limit keeps a media id below {@link MAX_ID_LENGTH}. */
export const MAX_PROVIDER_MESSAGE_ID_BYTES = 240;
/** UTF-8 bytes of a provider's media id, where it is a part of our media id. */
export const MAX_PROVIDER_MEDIA_ID_BYTES = 70;
/** Characters in any id that a caller sends. */
export const MAX_ID_LENGTH = 512;

/**
 * A message id as a caller wrote it. `qualified` is `channelId:providerMessageId`, separated at the first colon. `bare`
 * is any other text and counts as a provider's message id without a channel.
 */
export type ParsedMessageId =
  | ({ readonly form: 'qualified' } & MessageKey)
  | { readonly form: 'bare'; readonly providerMessageId: string };

/**
 * @throws MediagraphError BAD_USER_INPUT for an id that is empty, too long, or has control characters or dot segments
 */
export function parseMessageId(id: string): ParsedMessageId {
  if (id.length > MAX_ID_LENGTH) throw badMessageId(`more than ${MAX_ID_LENGTH} characters`);
  const colon = id.indexOf(':');
  const channelId = id.slice(0, Math.max(colon, 0));
  if (CHANNEL_ID_PATTERN.test(channelId)) {
    const providerMessageId = id.slice(colon + 1);
    assertProviderMessageId(providerMessageId);
    return { form: 'qualified', channelId, providerMessageId };
  }
  if (colon === 0) throw badMessageId('no channel id before the colon');
  assertProviderMessageId(id);
  return { form: 'bare', providerMessageId: id };
}

declare const MESSAGE_ID: unique symbol;
/**
 * `channelId:providerMessageId`: the id of a message in public, and its one key inside the process. No two messages share
 * one, because no channel id holds a colon; `MessageSource` refuses those of a router that do.
 */
export type MessageId = string & { readonly [MESSAGE_ID]: true };

export function formatMessageId(key: MessageKey): MessageId {
  return `${key.channelId}:${key.providerMessageId}` as MessageId;
}

declare const TENANT_MESSAGE_ID: unique symbol;
/** The key of a message where messages of several tenants meet. No message id holds a line break. */
export type TenantMessageId = string & { readonly [TENANT_MESSAGE_ID]: true };

export function tenantMessageId(tenant: TenantId, key: MessageKey): TenantMessageId {
  return `${tenant}\n${formatMessageId(key)}` as TenantMessageId;
}

/** @throws MediagraphError BAD_USER_INPUT */
export function assertProviderMessageId(id: string): void {
  if (id === '') throw badMessageId('nothing');
  if (id.length > MAX_ID_LENGTH) throw badMessageId(`more than ${MAX_ID_LENGTH} characters`);
  const fault = faultOfPathPart(id, MAX_PROVIDER_MESSAGE_ID_BYTES);
  if (fault) throw badMessageId(fault);
}

/** The check of {@link assertProviderMessageId} without the cost of an Error. */
export function isProviderMessageId(id: string): boolean {
  return id !== '' && faultOfPathPart(id, MAX_PROVIDER_MESSAGE_ID_BYTES) === null;
}

/**
 * Returns why a text must not become a part of a provider's path, or null. Slashes are allowed: Base64 ids contain
 * them, and paths encode them. The segments `.` and `..` are not allowed, no matter how often they were
 * percent-encoded.
 */
function faultOfPathPart(text: string, maxBytes: number): string | null {
  if (Buffer.byteLength(text) > maxBytes) return `more than ${maxBytes} bytes`;
  if (!text.isWellFormed()) return 'a lone surrogate';
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) return 'a control character';
  return hasDotSegment(text) ? 'a dot segment' : null;
}

function hasDotSegment(text: string): boolean {
  if (!/[.%]/.test(text)) return false;
  for (let decoded = text; ; ) {
    if (decoded.split(/[/\\]/).some((part) => part === '.' || part === '..')) return true;
    const next = decoded.replace(/%(2e|2f|5c|25)/gi, (encoded) =>
      String.fromCharCode(Number.parseInt(encoded.slice(1), 16)),
    );
    if (next === decoded) return false;
    decoded = next;
  }
}

function badMessageId(came: string): MediagraphError {
  return new MediagraphError(
    'BAD_USER_INPUT',
    `expected a message id such as "<channelId>:<providerMessageId>", got ${came}`,
  );
}

/** The content of a provider media's id. Every replica derives the same id, with or without a catalogue. */
export interface MediaIdParts extends MessageKey {
  /** null where the message id alone identifies the media. */
  readonly providerMediaId: string | null;
}

export type DecodedMediaId = MediaIdParts | UploadIdParts;

/** The content of an upload's id. Only the catalogue knows the upload itself. */
export interface UploadIdParts {
  readonly channelId: ChannelId;
  /** 16 random bytes in hex. */
  readonly uploadId: string;
}

/**
 * Version 1, a provider's media: base64url of `0x01, len(channelId), channelId, len(providerMessageId),
 * providerMessageId, providerMediaId, crc32 of all before`; an empty providerMediaId stands for null. Version 2, an
 * upload: base64url of `0x02, len(channelId), channelId, 16 random bytes, crc32 of all before`. The checksum is not a
 * secret: it catches mistyped ids. Access to a media is decided by its channel's tenant and the provider's listing.
 */
const VERSION = 1;
const UPLOAD_VERSION = 2;
const UPLOAD_ID_BYTES = 16;
const CHECKSUM_BYTES = 4;

/** The caller has checked the parts with {@link assertProviderMessageId} and the adapter's wire schema. */
export function encodeMediaId(parts: MediaIdParts): MediaId {
  const { channelId, providerMessageId, providerMediaId } = parts;
  const messageBytes = Buffer.byteLength(providerMessageId);
  const mediaBytes = providerMediaId === null ? 0 : Buffer.byteLength(providerMediaId);
  const bytes = Buffer.allocUnsafe(3 + channelId.length + messageBytes + mediaBytes + CHECKSUM_BYTES);
  let at = bytes.writeUInt8(VERSION, 0);
  at = bytes.writeUInt8(channelId.length, at);
  at += bytes.write(channelId, at, 'latin1');
  at = bytes.writeUInt8(messageBytes, at);
  at += bytes.write(providerMessageId, at);
  if (providerMediaId !== null) at += bytes.write(providerMediaId, at);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, at)), at);
  return bytes.toString('base64url');
}

/** Creates a random id for a new upload to a channel. */
export function createUploadId(channelId: ChannelId): MediaId {
  return encodeUploadId({ channelId, uploadId: randomBytes(UPLOAD_ID_BYTES).toString('hex') });
}

function encodeUploadId({ channelId, uploadId }: UploadIdParts): MediaId {
  const channel = Buffer.from(channelId, 'latin1');
  const checked = Buffer.concat([Buffer.of(UPLOAD_VERSION, channel.length), channel, Buffer.from(uploadId, 'hex')]);
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32BE(crc32(checked));
  return Buffer.concat([checked, checksum]).toString('base64url');
}

/**
 * Decodes a media id. Returns null for anything that {@link encodeMediaId} and {@link createUploadId} cannot have
 * written, including other spellings of a valid id: each media has exactly one.
 */
export function decodeMediaId(id: string): DecodedMediaId | null {
  if (id.length > MAX_ID_LENGTH || !/^[A-Za-z0-9_-]+$/.test(id)) return null;
  const bytes = Buffer.from(id, 'base64url');
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < 5 || bytes.readUInt32BE(end) !== crc32(bytes.subarray(0, end))) return null;
  switch (bytes[0]) {
    case VERSION:
      return decodeProviderMedia(id, bytes, end);
    case UPLOAD_VERSION:
      return decodeUpload(id, bytes, end);
    default:
      return null;
  }
}

function decodeUpload(id: string, bytes: Buffer, end: number): UploadIdParts | null {
  const start = end - UPLOAD_ID_BYTES;
  const parts = { channelId: bytes.toString('latin1', 2, start), uploadId: bytes.toString('hex', start, end) };
  return CHANNEL_ID_PATTERN.test(parts.channelId) && encodeUploadId(parts) === id ? parts : null;
}

function decodeProviderMedia(id: string, bytes: Buffer, end: number): MediaIdParts | null {
  const channelEnd = 2 + (bytes[1] ?? 0);
  const messageEnd = channelEnd + 1 + (bytes[channelEnd] ?? 0);
  if (messageEnd > end) return null;
  const parts: MediaIdParts = {
    channelId: bytes.toString('latin1', 2, channelEnd),
    providerMessageId: bytes.toString('utf8', channelEnd + 1, messageEnd),
    providerMediaId: messageEnd === end ? null : bytes.toString('utf8', messageEnd, end),
  };
  return isSound(parts) && encodeMediaId(parts) === id ? parts : null;
}

function isSound({ channelId, providerMessageId, providerMediaId }: MediaIdParts): boolean {
  return (
    CHANNEL_ID_PATTERN.test(channelId) &&
    providerMessageId !== '' &&
    faultOfPathPart(providerMessageId, MAX_PROVIDER_MESSAGE_ID_BYTES) === null &&
    (providerMediaId === null || faultOfPathPart(providerMediaId, MAX_PROVIDER_MEDIA_ID_BYTES) === null)
  );
}
