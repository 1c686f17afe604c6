import type { ErrorCode } from '../../model/errors.js';
import type { MediaFault } from '../../model/media.js';
import { kindOfMessageType } from './announced-media.js';
import { JsonObject, type JsonPart } from './json-walk.js';

const ERROR = ['code', 'title', 'message', 'details', 'error_data'];
/** The longest documented title has 160. */
const MAX_TEXT_CHARACTERS = 1_000;

/** Error codes from developers.facebook.com, WhatsApp error codes. */
const UNSUPPORTED_TYPE = 131051;
const MEDIA_DOWNLOAD = 131052;
const MEDIA_UPLOAD = 131053;

/** Types of unsupported messages that are media: a round video, and a picture that can be viewed once. */
const UNSUPPORTED_MEDIA_TYPES: ReadonlySet<unknown> = new Set(['video_note', 'view_once']);

/**
 * In a history, media of more than 14 days ago stay placeholders for ever; a later webhook may bring the id of newer
 * ones.
 */
export const PLACEHOLDER_FAULT: MediaFault = {
  code: 'MEDIA_NOT_FOUND',
  message: 'expected the id of a media, got a placeholder: WhatsApp delivers the media of a history for 14 days only',
  retryable: false,
};

export interface AnnouncedFailure {
  /** The first elements of `errors`. */
  readonly errors: readonly JsonPart[];
  /** The type that an unsupported message states. */
  readonly unsupported: JsonPart | undefined;
  /** Whether the message's type has media, or the message contains one. */
  readonly hasMedia: boolean;
}

/**
 * Whether a message has a media that WhatsApp could not deliver. Polls, for example, are unsupported too, but have no
 * media.
 */
export function isMetaFailure({ errors, unsupported, hasMedia }: AnnouncedFailure): boolean {
  if (kindOfMessageType(unsupported) !== null || UNSUPPORTED_MEDIA_TYPES.has(unsupported)) return true;
  if (errors.length === 0) return false;
  return hasMedia || errors.some((error) => [MEDIA_DOWNLOAD, MEDIA_UPLOAD].includes(codeOf(error) ?? 0));
}

/** @param hasId whether a media id exists, by which the media may still be fetched */
export function metaFailure(errors: readonly JsonPart[], hasId: boolean): MediaFault {
  const codes = errors.map(codeOf);
  const metaCode = codes.find((code) => code !== null) ?? UNSUPPORTED_TYPE;
  const fault = (code: ErrorCode, came: string, retryable: boolean): MediaFault => ({
    code,
    message: `expected a media that WhatsApp delivers, got ${came} (error ${metaCode})`,
    retryable,
  });
  if (errors.some(isAboutSize)) return fault('MEDIA_TOO_LARGE', 'one that is too large', false);
  if (metaCode === UNSUPPORTED_TYPE) return fault('CONTENT_TYPE_NOT_ALLOWED', 'one of an unsupported type', false);
  return fault('PROVIDER_REJECTED', 'one that it could not fetch from its sender', hasId);
}

function codeOf(error: JsonPart): number | null {
  const code = error instanceof JsonObject ? error.pick(ERROR).get('code') : undefined;
  const number = typeof code === 'string' && /^\d{1,9}$/.test(code) ? Number(code) : code;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

// 131052 means "too large" as well as "could not be downloaded". Only the text differs: "The media file is too large.
// The maximum file size currently accepted is 100 MB."
function isAboutSize(error: JsonPart): boolean {
  if (!(error instanceof JsonObject)) return false;
  const fields = error.pick(ERROR);
  const data = fields.get('error_data');
  const details = data instanceof JsonObject ? data.pick(['details']).get('details') : undefined;
  return [fields.get('title'), fields.get('message'), fields.get('details'), details].some((words) => {
    const text = typeof words === 'string' ? words.slice(0, MAX_TEXT_CHARACTERS).toLowerCase() : '';
    return text.includes('too large') || text.includes('file size');
  });
}
