import type { Media } from '../model/media.js';
import { ALTERNATIVE_EXTENSIONS } from '../model/text/file-extensions.js';
import { extensionOf } from '../model/text/mime-type.js';
import { isAtLeastAsSpecific, isKnownExtension, isMarkupExtension } from './extension-rules.js';

const MAX_NAME_CHARACTERS = 100;
/** Linux allows 255 bytes per name (NAME_MAX). The margin is for other systems and for programs that append " (1)". */
const MAX_NAME_BYTES = 200;

/** The file name in a delivery URL: the media's own name, made safe, or its kind. */
export function nameInUrl(media: Media): string {
  return safeFilename(media.filename) ?? withExtension((media.kind ?? 'media').toLowerCase(), media.mimeType);
}

/**
 * Gives a name the extension of the detected type. The extension stays if it agrees with the type, is more specific
 * than a generic type (text, XML, ZIP), or belongs to no known type. Systems open a file by its last extension, so a
 * wrong one is removed together with those before it: a picture named `photo.jpg.exe` becomes `photo.jpg`. An extension
 * before a correct last one (`setup.exe.jpg`) has no effect and stays.
 */
export function withExtension(name: string, mimeType: string | null): string {
  const extension = extensionOf(mimeType);
  if (extension === null || mimeType === null) return name;
  let stem = name;
  for (let last = lastExtension(stem); ; last = lastExtension(stem)) {
    if (last === extension || SYNONYMS.get(last) === extension || isAtLeastAsSpecific(last, mimeType)) return stem;
    // An unknown extension is a part of the name.
    if (!isKnownExtension(last)) break;
    stem = trimmed(stem.slice(0, -last.length - 1));
  }
  const suffix = `.${extension}`;
  return (cut(stem, suffix) || 'media') + suffix;
}

/** Whether a browser would render a file of this name and execute scripts in it. */
export function isMarkupName(name: string): boolean {
  return isMarkupExtension(lastExtension(name));
}

/** Returns the last extension in lower case without its dot, or an empty text. */
function lastExtension(name: string): string {
  return EXTENSION.exec(name)?.[0].slice(1).toLowerCase() ?? '';
}

const EXTENSION = /\.[A-Za-z0-9]{1,8}$/;

const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ...ALTERNATIVE_EXTENSIONS,
  ['htm', 'html'],
  ['text', 'txt'],
  ['vcard', 'vcf'],
]);

/**
 * Makes a provider's file name safe for file systems and readers. It removes folders, control and format characters
 * (right-to-left overrides, for example; joiners stay, since scripts and emoji need them), runs of spaces that push an
 * extension out of sight, and leading dots. It renames Windows devices and limits the length. Returns null when nothing
 * is left.
 */
export function safeFilename(name: string | null): string | null {
  if (name === null) return null;
  const lastPart = name.toWellFormed().split(/[/\\]/).at(-1) ?? '';
  const cleaned = trimmed(
    lastPart
      .replace(/[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu, '')
      .replace(/["<>|:*?]/g, '_')
      .replace(/\s{2,}/g, ' '),
  );
  const named = DEVICE.test(cleaned) ? `_${cleaned}` : cleaned;
  const extension = EXTENSION.exec(named)?.[0] ?? '';
  const stem = cut(named.slice(0, named.length - extension.length), extension);
  return stem === '' ? null : stem + extension;
}

/**
 * Names that Windows opens as devices, whatever follows the first dot (learn.microsoft.com, "Naming Files, Paths, and
 * Namespaces").
 */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|$)/i;

/**
 * Windows drops trailing dots and spaces, and Unix hides files with a leading dot. Joiners have no function at either
 * end.
 */
function trimmed(name: string): string {
  let start = 0;
  let end = name.length;
  while (start < end && isTrimmed(name.charAt(start))) start += 1;
  while (end > start && isTrimmed(name.charAt(end - 1))) end -= 1;
  return name.slice(start, end);
}

function isTrimmed(character: string): boolean {
  return /^[.\s\u200c\u200d]$/.test(character);
}

const GRAPHEMES = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Shortens a name to leave room for its suffix, without splitting a grapheme. */
function cut(stem: string, suffix: string): string {
  let characters = MAX_NAME_CHARACTERS - suffix.length;
  let bytes = MAX_NAME_BYTES - suffix.length;
  // A text has at most as many characters as code units, and a code unit takes three bytes at most.
  if (stem.length <= characters && stem.length * 3 <= bytes) return stem;
  let end = 0;
  for (const { segment, index } of GRAPHEMES.segment(stem)) {
    characters -= [...segment].length;
    bytes -= Buffer.byteLength(segment);
    if (characters < 0 || bytes < 0) return trimmed(stem.slice(0, end));
    end = index + segment.length;
  }
  return stem;
}
