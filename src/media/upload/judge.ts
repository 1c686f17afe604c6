import { createHash } from 'node:crypto';
import type { ChannelId } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import { parseMessageId } from '../../model/ids.js';
import { normalizeMimeType } from '../../model/text/mime-type.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import { limitOf } from './limits.js';

/** An upload in the caller's own words. */
export interface UploadRequest {
  readonly channelId: ChannelId;
  readonly url: string;
  readonly filename: string | null;
  readonly mimeType: string | null;
  readonly messageId: string | null;
  readonly idempotencyKey: string | null;
}

const MAX_KEY_CHARACTERS = 255;
const MAX_FILENAME_CHARACTERS = 1_024;

export interface JudgedInput {
  /** The provider's id of the message. */
  readonly messageId: string | null;
  readonly filename: string | null;
  readonly mimeType: string | null;
}

/**
 * Validates the caller's input before anything is stored.
 * @throws MediagraphError BAD_USER_INPUT; CONTENT_TYPE_NOT_ALLOWED for a type that the provider does not accept
 */
export function judgeInput(request: UploadRequest, channel: ConnectedChannel): JudgedInput {
  const { filename, idempotencyKey } = request;
  if (filename !== null && filename.length > MAX_FILENAME_CHARACTERS)
    throw badInput(`filename of at most ${MAX_FILENAME_CHARACTERS} characters`, `${filename.length}`);
  if (idempotencyKey !== null && (idempotencyKey === '' || idempotencyKey.length > MAX_KEY_CHARACTERS))
    throw badInput(`idempotencyKey of 1 to ${MAX_KEY_CHARACTERS} characters`, `${idempotencyKey.length}`);
  if (idempotencyKey !== null && (/\p{Cc}/u.test(idempotencyKey) || !idempotencyKey.isWellFormed()))
    throw badInput('idempotencyKey without control characters', 'one with some');
  return { messageId: messageOf(request, channel), filename, mimeType: mimeTypeOf(request, channel) };
}

function messageOf({ messageId }: UploadRequest, channel: ConnectedChannel): string | null {
  if (messageId === null) return null;
  const parsed = parseMessageId(messageId);
  if (parsed.form === 'qualified' && parsed.channelId === channel.id) return parsed.providerMessageId;
  throw badInput(`messageId of the same channel, "${channel.id}:<providerMessageId>"`, 'another');
}

function mimeTypeOf({ mimeType }: UploadRequest, channel: ConnectedChannel): string | null {
  if (mimeType === null) return null;
  const normalized = normalizeMimeType(mimeType);
  if (normalized === null) throw badInput('mimeType such as image/jpeg', 'another text');
  limitOf(channel, normalized, 0);
  return normalized;
}

function badInput(expected: string, got: string): MediagraphError {
  return new MediagraphError('BAD_USER_INPUT', `expected ${expected}, got ${got}`);
}

/** The idempotency key, with a digest of the input that it was used with. */
export function idempotencyOf(request: UploadRequest): { key: string; inputSha256: string } | null {
  const { channelId, url, filename, mimeType, messageId, idempotencyKey: key } = request;
  if (key === null) return null;
  const input = JSON.stringify([channelId, url, filename, mimeType, messageId]);
  return { key, inputSha256: createHash('sha256').update(input).digest('hex') };
}
