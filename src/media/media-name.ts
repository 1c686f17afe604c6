import type { Media } from '../model/media.js';
import { extensionOf } from '../model/mime-type.js';

const MAX_NAME_CHARACTERS = 100;

/** The name that a delivery URL shows: the media's own, made safe, or one that says what it is. */
export function nameInUrl(media: Media): string {
  return safeFilename(media.filename) ?? withExtension((media.kind ?? 'media').toLowerCase(), media.mimeType);
}

/** `name` with the extension of the type that the bytes turned out to have; kept where it already agrees or none is known. */
export function withExtension(name: string, mimeType: string | null): string {
  const extension = extensionOf(mimeType);
  if (extension === null) return name;
  const current = /\.([A-Za-z0-9]{1,8})$/.exec(name)?.[1]?.toLowerCase();
  if (current === extension || SYNONYMS.get(current ?? '') === extension) return name;
  // A name that ends in another known type's extension lies; any other dot is a part of the name.
  const stem = current !== undefined && KNOWN_EXTENSIONS.has(current) ? name.slice(0, -current.length - 1) : name;
  return `${stem || 'media'}.${extension}`;
}

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
  'jpg jpeg png gif webp avif heic heif bmp tif tiff svg mp4 m4v 3gp mov webm mpg mpeg ogg oga opus mp3 m4a aac amr wav mid pdf zip json xml doc xls ppt docx xlsx pptx txt html htm csv vcf ics bin dat file exe'.split(
    ' ',
  ),
);

/**
 * A provider's file name without what could mislead a file system or a reader: no folders, no control or format
 * characters (right-to-left overrides among them; joiners stay, scripts and emoji need them), no leading dots. null when nothing is left.
 */
export function safeFilename(name: string | null): string | null {
  if (name === null) return null;
  const lastPart = name.toWellFormed().split(/[/\\]/).at(-1) ?? '';
  const cleaned = lastPart
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu, '')
    .replace(/["<>|:*?]/g, '_')
    .replace(/^[.\s]+|[.\s]+$/g, '');
  const characters = [...cleaned];
  if (characters.length <= MAX_NAME_CHARACTERS) return cleaned || null;
  const extension = /\.[A-Za-z0-9]{1,8}$/.exec(cleaned)?.[0] ?? '';
  return characters.slice(0, MAX_NAME_CHARACTERS - extension.length).join('') + extension;
}
