import type { MediaKind } from './media.js';

/** The part before the parameters, lower-case: `audio/ogg` of `Audio/OGG; codecs=opus`. RFC 9110 section 8.3.1. */
export function essenceOf(mimeType: string): string {
  return (mimeType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

const TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
const PARAMETERS =
  /^(\s*;\s*[A-Za-z0-9!#$&^_.+-]{1,64}=("[\x20-\x21\x23-\x5b\x5d-\x7e]{0,128}"|[A-Za-z0-9!#$&^_.+'-]{1,128}))*\s*;?\s*$/;

/** Names that providers use for a type which has a registered one. */
const ALIASES: Readonly<Record<string, string>> = {
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
};

/**
 * A provider's claim in a form that may stand in an answer: registered essence, parameters kept. null for what is no
 * media type at all, and for `application/octet-stream`, which says that the sender does not know either.
 */
export function normalizeMimeType(claim: string | null | undefined): string | null {
  if (!claim) return null;
  if (Object.hasOwn(EXTENSIONS, claim)) return claim;
  const essence = essenceOf(claim);
  const parameters = claim.slice(claim.indexOf(';') === -1 ? claim.length : claim.indexOf(';'));
  if (!TYPE.test(essence) || !PARAMETERS.test(parameters)) return null;
  if (essence === 'application/octet-stream' || essence === 'binary/octet-stream') return null;
  if (essence === 'audio/opus') return 'audio/ogg; codecs=opus';
  const rest = parameters
    .split(';')
    .map((parameter) => parameter.trim())
    .filter((parameter) => parameter !== '');
  return [ALIASES[essence] ?? essence, ...rest].join('; ');
}

/** What a type shows itself as, where the message did not say: null for no type. */
export function kindOfMimeType(mimeType: string | null): MediaKind | null {
  if (mimeType === null) return null;
  const essence = essenceOf(mimeType);
  if (essence.startsWith('image/')) return 'IMAGE';
  if (essence.startsWith('video/')) return 'VIDEO';
  if (essence.startsWith('audio/')) return 'AUDIO';
  return 'DOCUMENT';
}

/** File extensions by essence, for names that people see; the first column of what messaging carries. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'image/avif': 'avif',
  'image/heic': 'heic',
  'image/heif': 'heif',
  'image/bmp': 'bmp',
  'image/tiff': 'tiff',
  'image/svg+xml': 'svg',
  'video/mp4': 'mp4',
  'video/3gpp': '3gp',
  'video/quicktime': 'mov',
  'video/webm': 'webm',
  'video/mpeg': 'mpg',
  'audio/ogg': 'ogg',
  'audio/mpeg': 'mp3',
  'audio/mp4': 'm4a',
  'audio/aac': 'aac',
  'audio/amr': 'amr',
  'audio/3gpp': '3gp',
  'audio/wav': 'wav',
  'audio/midi': 'mid',
  'application/pdf': 'pdf',
  'application/zip': 'zip',
  'application/json': 'json',
  'application/xml': 'xml',
  'application/msword': 'doc',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.ms-powerpoint': 'ppt',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': 'pptx',
  'text/plain': 'txt',
  'text/html': 'html',
  'text/csv': 'csv',
  'text/vcard': 'vcf',
  'text/calendar': 'ics',
};

/** Without the dot; null where none is known. */
export function extensionOf(mimeType: string | null): string | null {
  return mimeType === null ? null : (EXTENSIONS[essenceOf(mimeType)] ?? null);
}

/**
 * The types that browsers show without running anything in them; everything else is handed out as an attachment.
 * SVG, HTML and XML are left out because they carry script.
 */
const INLINE_SAFE = new Set([
  'image/jpeg',
  'image/png',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/heic',
  'image/heif',
  'image/bmp',
  'video/mp4',
  'video/3gpp',
  'video/quicktime',
  'video/webm',
  'audio/ogg',
  'audio/mpeg',
  'audio/mp4',
  'audio/aac',
  'audio/amr',
  'audio/3gpp',
  'audio/wav',
  'application/pdf',
  'text/plain',
]);

export function isInlineSafe(mimeType: string): boolean {
  return INLINE_SAFE.has(essenceOf(mimeType));
}
