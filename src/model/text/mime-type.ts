import type { MediaKind } from '../media.js';
import { EXTENSIONS } from './file-extensions.js';

/**
 * The media type without its parameters, lower-case: `audio/ogg` of `Audio/OGG; codecs=opus` (RFC 9110 section 8.3.1).
 */
export function essenceOf(mimeType: string): string {
  return (mimeType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Longer than any media type with parameters seen in practice. */
const MAX_CLAIM_CHARACTERS = 1_024;
const TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
const PARAMETER = /^[A-Za-z0-9!#$&^_.+-]{1,64}=("[\x20-\x21\x23-\x5b\x5d-\x7e]{0,128}"|[A-Za-z0-9!#$&^_.+'-]{1,128})$/;

/** Unregistered names that providers use for a type with a registered name. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'image/jpg': 'image/jpeg',
    'image/pjpeg': 'image/jpeg',
    'video/3gp': 'video/3gpp',
    'audio/3gp': 'audio/3gpp',
    'audio/mp3': 'audio/mpeg',
    'audio/x-m4a': 'audio/mp4',
    'audio/m4a': 'audio/mp4',
    'audio/x-wav': 'audio/wav',
    'audio/vnd.wav': 'audio/wav',
    'audio/vnd.wave': 'audio/wav',
    'text/x-vcard': 'text/vcard',
    'application/ogg': 'audio/ogg',
    'audio/x-flac': 'audio/flac',
    'audio/x-aac': 'audio/aac',
    'audio/aacp': 'audio/aac',
    'video/x-matroska': 'video/matroska',
    'video/avi': 'video/vnd.avi',
    'video/x-msvideo': 'video/vnd.avi',
    'video/mp1s': 'video/mpeg',
    'video/mp2p': 'video/mpeg',
    'video/3g2': 'video/3gpp2',
    'image/tif': 'image/tiff',
    'image/x-png': 'image/png',
    'image/x-ms-bmp': 'image/bmp',
    'image/vnd.mozilla.apng': 'image/apng',
    'application/csv': 'text/csv',
    'text/x-csv': 'text/csv',
    'text/comma-separated-values': 'text/csv',
    'text/json': 'application/json',
    'text/xml': 'application/xml',
    'application/x-pdf': 'application/pdf',
    'application/x-zip-compressed': 'application/zip',
  }),
);

/**
 * Normalizes a provider's media type: registered essence, parameters kept. Returns null for an invalid media type, and
 * for `application/octet-stream`, which means that the sender does not know the type.
 */
export function normalizeMimeType(claim: string | null | undefined): string | null {
  if (!claim || claim.length > MAX_CLAIM_CHARACTERS) return null;
  if (isCommon(claim)) return claim;
  const essence = essenceOf(claim);
  const parameters = parametersOf(claim);
  if (!TYPE.test(essence) || parameters === null) return null;
  if (essence === 'application/octet-stream' || essence === 'binary/octet-stream') return null;
  if (essence === 'audio/opus') return 'audio/ogg; codecs=opus';
  return [ALIASES.get(essence) ?? essence, ...parameters].join('; ');
}

/** A known type without an alias and without parameters needs no parsing. */
function isCommon(claim: string): boolean {
  return EXTENSIONS.has(claim) && !ALIASES.has(claim);
}

/** Returns the parameters as `name=value`, or null if one is malformed (RFC 9110 section 5.6.6). */
function parametersOf(mimeType: string): readonly string[] | null {
  const parameters: string[] = [];
  for (let at = mimeType.indexOf(';'); at !== -1 && at < mimeType.length; ) {
    const end = endOfParameter(mimeType, at + 1);
    const parameter = mimeType.slice(at + 1, end).trim();
    if (parameter !== '' && !PARAMETER.test(parameter)) return null;
    if (parameter !== '') parameters.push(parameter);
    at = end;
  }
  return parameters;
}

/** Returns the offset of the next unquoted semicolon, or of the end. */
function endOfParameter(mimeType: string, start: number): number {
  let isQuoted = false;
  for (let at = start; at < mimeType.length; at++) {
    const character = mimeType.charAt(at);
    if (character === '"') isQuoted = !isQuoted;
    else if (character === ';' && !isQuoted) return at;
  }
  return mimeType.length;
}

/** Types that are special cases of another type: a decoder of image/png also reads image/apng. */
const SPECIAL_CASES: ReadonlyMap<string, string> = new Map([
  ['image/apng', 'image/png'],
  ['video/x-m4v', 'video/mp4'],
]);

/** Returns the more general type, or null. */
export function generalTypeOf(mimeType: string): string | null {
  return SPECIAL_CASES.get(essenceOf(mimeType)) ?? null;
}

/** Returns the `charset` parameter as written, or null. */
export function charsetOf(mimeType: string): string | null {
  const parameter = parametersOf(mimeType)?.find((text) => text.toLowerCase().startsWith('charset='));
  return parameter?.slice('charset='.length).replaceAll('"', '') ?? null;
}

/** Derives the kind from the type, for messages that do not state it. Returns null without a type. */
export function kindOfMimeType(mimeType: string | null): MediaKind | null {
  if (mimeType === null) return null;
  const essence = essenceOf(mimeType);
  if (essence.startsWith('image/')) return 'IMAGE';
  if (essence.startsWith('video/')) return 'VIDEO';
  if (essence.startsWith('audio/')) return 'AUDIO';
  return 'DOCUMENT';
}

/** Returns the extension without its dot, or null for an unknown type. */
export function extensionOf(mimeType: string | null): string | null {
  return mimeType === null ? null : (EXTENSIONS.get(essenceOf(mimeType)) ?? null);
}

/**
 * Types that browsers display without executing content. All other types are served as attachments. SVG, HTML and XML
 * are missing because they can carry scripts.
 */
const INLINE_SAFE = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/heic',
  'image/heif',
  'image/bmp',
  'video/mp4',
  'video/x-m4v',
  'video/3gpp',
  'video/3gpp2',
  'video/quicktime',
  'video/webm',
  'audio/ogg',
  'audio/mpeg',
  'audio/mp4',
  'audio/aac',
  'audio/amr',
  'audio/3gpp',
  'audio/wav',
  'audio/flac',
  'application/pdf',
  'text/plain',
]);

export function isInlineSafe(mimeType: string): boolean {
  return INLINE_SAFE.has(essenceOf(mimeType));
}
