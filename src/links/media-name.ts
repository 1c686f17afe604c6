import { FURTHER_EXTENSIONS } from '../model/file-extensions.js';
import type { Media } from '../model/media.js';
import { extensionOf } from '../model/mime-type.js';
import { isKnownExtension, isMarkupExtension, outlives } from './told-extension.js';

const MAX_NAME_CHARACTERS = 100;
/** Linux takes 255 bytes for a name (NAME_MAX), other systems and whoever adds " (1)" somewhat fewer. */
const MAX_NAME_BYTES = 200;

/** The name that a delivery URL shows: the media's own, made safe, or one that says what it is. */
export function nameInUrl(media: Media): string {
  return safeFilename(media.filename) ?? withExtension((media.kind ?? 'media').toLowerCase(), media.mimeType);
}

/**
 * `name` with the extension of the type that the bytes turned out to have; kept where it already agrees, where it says
 * more than a type that many kinds of files share (text, XML, ZIP), or where none is known. What ends a name last is what
 * a system opens it by, so an extension that lies goes, and those that it stood behind: `photo.jpg.exe` is a picture, so
 * it is `photo.jpg`. One before a true last one (`setup.exe.jpg`) starts nothing.
 */
export function withExtension(name: string, mimeType: string | null): string {
  const extension = extensionOf(mimeType);
  if (extension === null || mimeType === null) return name;
  let stem = name;
  for (let last = lastExtension(stem); ; last = lastExtension(stem)) {
    if (last === extension || SYNONYMS.get(last) === extension || outlives(last, mimeType)) return stem;
    // Any other dot is a part of the name.
    if (!isKnownExtension(last)) break;
    stem = trimmed(stem.slice(0, -last.length - 1));
  }
  const suffix = `.${extension}`;
  return (cut(stem, suffix) || 'media') + suffix;
}

/** Whether a browser would render what is saved by this name, and run what is in it. */
export function isMarkupName(name: string): boolean {
  return isMarkupExtension(lastExtension(name));
}

/** Lower-case, without the dot; empty where there is none. */
function lastExtension(name: string): string {
  return EXTENSION.exec(name)?.[0].slice(1).toLowerCase() ?? '';
}

const EXTENSION = /\.[A-Za-z0-9]{1,8}$/;

const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ...FURTHER_EXTENSIONS,
  ['htm', 'html'],
  ['text', 'txt'],
  ['vcard', 'vcf'],
]);

/**
 * A provider's file name without what could mislead a file system or a reader: no folders, no control or format
 * characters (right-to-left overrides among them; joiners stay, scripts and emoji need them), no gaps that push an
 * extension out of sight, no leading dots, no device of Windows, of a length that every file system takes. null when
 * nothing is left.
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

/** What Windows opens in place of a file, whatever follows the first dot (learn.microsoft.com, "Naming Files, Paths, and Namespaces"). */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|$)/i;

/** Windows drops dots and spaces at the end, others hide a file for a dot at its start; joiners join nothing there. */
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

/** As much of a name as leaves room for what is put behind it; what readers see as one character is never split. */
function cut(stem: string, suffix: string): string {
  let characters = MAX_NAME_CHARACTERS - suffix.length;
  let bytes = MAX_NAME_BYTES - suffix.length;
  // Code units are at least as many as characters, and have three bytes at most.
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
