import type { Media } from '../model/media.js';
import { extensionOf } from '../model/mime-type.js';

const MAX_NAME_CHARACTERS = 100;
/** Linux takes 255 bytes for a name (NAME_MAX), other systems and whoever adds " (1)" somewhat fewer. */
const MAX_NAME_BYTES = 200;

/** The name that a delivery URL shows: the media's own, made safe, or one that says what it is. */
export function nameInUrl(media: Media): string {
  return safeFilename(media.filename) ?? withExtension((media.kind ?? 'media').toLowerCase(), media.mimeType);
}

/**
 * `name` with the extension of the type that the bytes turned out to have; kept where it already agrees or none is known.
 * What ends a name last is what a system opens it by, so an extension that lies goes, and those that it stood behind:
 * `photo.jpg.exe` is a picture, so it is `photo.jpg`. One before a true last one (`setup.exe.jpg`) starts nothing.
 */
export function withExtension(name: string, mimeType: string | null): string {
  const extension = extensionOf(mimeType);
  if (extension === null) return name;
  let stem = name;
  for (let last = lastExtension(stem); ; last = lastExtension(stem)) {
    if (last === extension || SYNONYMS.get(last) === extension) return stem;
    // Any other dot is a part of the name.
    if (!KNOWN_EXTENSIONS.has(last)) break;
    stem = trimmed(stem.slice(0, -last.length - 1));
  }
  const suffix = `.${extension}`;
  return (cut(stem, suffix) || 'media') + suffix;
}

/** Lower-case, without the dot; empty where there is none. */
function lastExtension(name: string): string {
  return EXTENSION.exec(name)?.[0].slice(1).toLowerCase() ?? '';
}

const EXTENSION = /\.[A-Za-z0-9]{1,8}$/;

const SYNONYMS = new Map([
  ['jpeg', 'jpg'],
  ['jpe', 'jpg'],
  ['tif', 'tiff'],
  ['oga', 'ogg'],
  ['opus', 'ogg'],
  ['mpeg', 'mpg'],
  ['m4v', 'mp4'],
  ['htm', 'html'],
  ['3gpp', '3gp'],
  ['text', 'txt'],
  ['log', 'txt'],
  ['md', 'txt'],
  ['vcard', 'vcf'],
]);

const KNOWN_EXTENSIONS = new Set(
  'jpg jpeg png gif webp avif heic heif bmp tif tiff svg mp4 m4v 3gp mov webm mpg mpeg ogg oga opus mp3 m4a aac amr wav mid pdf zip json xml doc xls ppt docx xlsx pptx txt html htm csv vcf ics bin dat file exe scr pif msi lnk apk jar'.split(
    ' ',
  ),
);

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
  // Looking behind keeps a long run in the middle from being tried from each of its characters.
  return name.replace(/^[.\s\u200c\u200d]+|(?<![.\s\u200c\u200d])[.\s\u200c\u200d]+$/g, '');
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
