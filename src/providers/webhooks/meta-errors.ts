import type { ErrorCode } from '../../model/errors.js';
import type { MediaFault } from '../../model/media.js';
import { kindOfMessageType } from './announced-media.js';
import { JsonObject, type JsonPart } from './json-walk.js';

const ERROR = ['code', 'title', 'message', 'details', 'error_data'];
/** The longest title that is documented has 160. */
const MAX_WORDS = 1_000;

/** developers.facebook.com, WhatsApp error codes. */
const UNSUPPORTED_TYPE = 131051;
const MEDIA_DOWNLOAD = 131052;
const MEDIA_UPLOAD = 131053;

/** What an unsupported message calls itself where it is a media: a round video, or a picture to be seen once. */
const MEDIA_WORDS: ReadonlySet<unknown> = new Set(['video_note', 'view_once']);

/** history: messages of more than 14 days ago keep this for ever; for the others an id may follow. */
export const PLACEHOLDER_FAULT: MediaFault = {
  code: 'MEDIA_NOT_FOUND',
  message: 'expected the id of a media, got a placeholder: WhatsApp hands on the media of a history for 14 days',
  retryable: false,
};

export interface ToldFailure {
  /** The first of `errors`. */
  readonly errors: readonly JsonPart[];
  /** What an unsupported message says that it is. */
  readonly unsupported: JsonPart | undefined;
  /** Whether the message is of a type with media, or has one in it. */
  readonly hasMedia: boolean;
}

/** Whether a message tells of a media that could not be handed on: polls and the like are unsupported too, and have none. */
export function isMetaFailure({ errors, unsupported, hasMedia }: ToldFailure): boolean {
  if (kindOfMessageType(unsupported) !== null || MEDIA_WORDS.has(unsupported)) return true;
  if (errors.length === 0) return false;
  return hasMedia || errors.some((error) => [MEDIA_DOWNLOAD, MEDIA_UPLOAD].includes(codeOf(error) ?? 0));
}

/** @param hasId whether there is an id by which it may be had after all */
export function metaFailure(errors: readonly JsonPart[], hasId: boolean): MediaFault {
  const codes = errors.map(codeOf);
  const told = codes.find((code) => code !== null) ?? UNSUPPORTED_TYPE;
  const fault = (code: ErrorCode, came: string, retryable: boolean): MediaFault => ({
    code,
    message: `expected a media that WhatsApp hands on, got ${came} (error ${told})`,
    retryable,
  });
  if (errors.some(isAboutSize)) return fault('MEDIA_TOO_LARGE', 'one that is too large', false);
  if (told === UNSUPPORTED_TYPE) return fault('CONTENT_TYPE_NOT_ALLOWED', 'one of a type that it does not', false);
  return fault('PROVIDER_REJECTED', 'one that it could not fetch from its sender', hasId);
}

function codeOf(error: JsonPart): number | null {
  const code = error instanceof JsonObject ? error.pick(ERROR).get('code') : undefined;
  const number = typeof code === 'string' && /^\d{1,9}$/.test(code) ? Number(code) : code;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

// 131052 has one code for "too large" and "could not be downloaded"; its words tell them apart: "The media file is too
// large. The maximum file size currently accepted is 100 MB."
function isAboutSize(error: JsonPart): boolean {
  if (!(error instanceof JsonObject)) return false;
  const fields = error.pick(ERROR);
  const data = fields.get('error_data');
  const details = data instanceof JsonObject ? data.pick(['details']).get('details') : undefined;
  return [fields.get('title'), fields.get('message'), fields.get('details'), details].some((words) => {
    const text = typeof words === 'string' ? words.slice(0, MAX_WORDS).toLowerCase() : '';
    return text.includes('too large') || text.includes('file size');
  });
}
