import { fileTypeFromBuffer } from 'file-type';
import { essenceOf, normalizeMimeType } from '../../model/text/mime-type.js';
import { isPlainText, readText, textType } from './text.js';

/** The sample that file-type needs of a file that it cannot read whole. */
export const SNIFF_BYTES = 4_100;
/**
 * The sample of an upload. It is larger because the entry that tells an office document's type is not the first in its
 * archive.
 */
export const UPLOAD_SNIFF_BYTES = 65_536;
/**
 * The largest sample, for a tag with cover art before the sound. Behind a longer tag, the claim decides the type of
 * sound.
 */
const MAX_SNIFF_BYTES = 1_048_576;
/** The sample behind a tag: its padding and the first frame. */
const BYTES_BEHIND_TAG = 4_096;

/**
 * The type to serve bytes as. The bytes decide: by their signature if they have one, otherwise as text if they decode
 * as text. `declared` only refines that result (which text, which office document). It takes time linear in the bytes,
 * whatever they are.
 */
export async function sniffMimeType(head: Buffer, declared: string | null): Promise<string> {
  const claim = normalizeMimeType(declared);
  const signature = await signatureType(head, claim);
  if (signature !== null) return signature;
  const sample = head.subarray(0, UPLOAD_SNIFF_BYTES);
  const isCut = head.length >= SNIFF_BYTES;
  const text = readText(sample, { isCut, claim });
  return text === null ? 'application/octet-stream' : textType(text, claim);
}

/**
 * The size of the sample that {@link sniffMimeType} needs, as far as `head` tells: `usual`, or more for tagged sound.
 */
export function bytesToSniff(head: Buffer, usual: number = SNIFF_BYTES): number {
  const end = endOfTags(head);
  return end === 0 ? usual : Math.min(Math.max(usual, end + BYTES_BEHIND_TAG), MAX_SNIFF_BYTES);
}

/**
 * The type by a binary signature. Null: there is none, or it is that of a text, whose type the text itself tells
 * better.
 */
async function signatureType(head: Buffer, claim: string | null): Promise<string | null> {
  const fileType = await fileTypeFromBuffer(head).catch(() => undefined);
  const mime = fileType === undefined ? null : essenceOf(fileType.mime);
  if (mime === 'application/x-ms-regedit') return mime;
  if (isTextual(mime) || isUtf16Marked(head)) return mime === 'application/vnd.sketchup.skp' ? mime : null;
  if (mime !== null && WEAK_SIGNATURES.has(mime) && !isGif(head) && isPlainText(head.subarray(0, UPLOAD_SNIFF_BYTES)))
    return null;
  const type = compoundType(head) ?? taggedSoundType(head, claim);
  if (type !== null) return type;
  if (fileType !== undefined) return refine(normalizeMimeType(fileType.mime) ?? 'application/octet-stream', claim);
  return isTiff(head) ? 'image/tiff' : null;
}

function isTextual(mime: string | null): boolean {
  return mime !== null && (mime.startsWith('text/') || mime.endsWith('/xml') || mime.endsWith('+xml'));
}

/** Types with a signature of two or three letters, with which a text may begin too: "BMW;3", "MZ-12", "GIFT". */
const WEAK_SIGNATURES: ReadonlySet<string> = new Set([
  'image/bmp',
  'image/gif',
  'application/x-msdownload',
  'application/x-bzip2',
  'application/x-shockwave-flash',
  'application/x-arj',
  'audio/x-musepack',
  'audio/mpeg',
]);

function isGif(head: Buffer): boolean {
  const signature = head.toString('latin1', 0, 6);
  return signature === 'GIF87a' || signature === 'GIF89a';
}

/**
 * Whether the bytes begin with a UTF-16 byte order mark, which file-type takes for MPEG-1 layer I: its frames begin the
 * same.
 */
function isUtf16Marked(head: Buffer): boolean {
  return head.length >= 2 && (head.readUInt16BE(0) === 0xfffe || head.readUInt16BE(0) === 0xfeff);
}

/**
 * TIFF 6.0, section 2, and BigTIFF. The directory, which tells a raw picture from others, may lie beyond the sample.
 */
function isTiff(head: Buffer): boolean {
  const signature = head.toString('latin1', 0, 4);
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(signature);
}

/** Editors leave two tags, seldom three. */
const MAX_TAGS = 4;

/** The offset behind leading ID3 tags (id3.org, "ID3v2.4.0", sections 3.1 and 3.4). 0: there is none. */
function endOfTags(head: Buffer): number {
  let end = 0;
  for (let tags = 0; tags < MAX_TAGS && end + 10 <= head.length && isTag(head, end); tags++) {
    const footerBytes = (head.readUInt8(end + 5) & 0x10) === 0 ? 0 : 10;
    const size = [6, 7, 8, 9].reduce((bytes, at) => bytes * 128 + head.readUInt8(end + at), 0);
    end += 10 + size + footerBytes;
  }
  return end;
}

/** Whether an ID3 tag begins there. Its version, a byte of 2 to 4, does not occur in text. */
function isTag(head: Buffer, at: number): boolean {
  const version = head.readUInt8(at + 3);
  if (head.toString('latin1', at, at + 3) !== 'ID3' || version < 2 || version > 4) return false;
  return [6, 7, 8, 9].every((byte) => head.readUInt8(at + byte) < 0x80);
}

/** The offset behind leading tags and their padding with zeros. */
function startOfSound(head: Buffer): number {
  let at = endOfTags(head);
  if (at === 0) return 0;
  const limit = Math.min(head.length, at + BYTES_BEHIND_TAG);
  while (at < limit && head.readUInt8(at) === 0) at += 1;
  return at;
}

/** Types of sound that occur with ID3 tags. */
const TAGGED_SOUNDS: ReadonlySet<string> = new Set(['audio/aac', 'audio/flac', 'audio/mpeg']);

/** The type of sound behind a leading tag. Null: no tag, or no known frame behind it, so that file-type decides. */
function taggedSoundType(head: Buffer, claim: string | null): string | null {
  const end = endOfTags(head);
  if (end === 0) return null;
  const start = startOfSound(head);
  if (start + 2 > head.length) {
    const essence = claim === null ? '' : essenceOf(claim);
    return TAGGED_SOUNDS.has(essence) ? essence : 'audio/mpeg';
  }
  if (head.toString('latin1', start, start + 4) === 'fLaC') return 'audio/flac';
  return frameType(head, start);
}

/**
 * The type of the frame at that offset: MPEG audio and ADTS share a sync word, and ADTS has a layer of zero. Null: no
 * frame.
 */
function frameType(head: Buffer, at: number): string | null {
  const sync = head.readUInt16BE(at);
  if ((sync & 0xfff6) === 0xfff0) return 'audio/aac';
  return (sync & 0xffe0) === 0xffe0 && (sync & 0x0006) !== 0 ? 'audio/mpeg' : null;
}

/** The bytes that file-type reads for its common types, before it tries rarer ones further into the file. */
const SIGNATURE_BYTES = 36;
const RARE_SIGNATURE_BYTES = 512;
/**
 * Types that file-type recognises by {@link SIGNATURE_BYTES} alone, and that nothing above refines: JPEG, GIF, PDF,
 * FLAC, AMR, Ogg with its codec, WebP, WAV, AVI, and the MP4 family by its major brand. PNG is not among them, since it
 * may turn out to be animated.
 */
const SIGNATURES =
  /^(\xff\xd8\xff|GIF8[79]a|%PDF|fLaC|#!AMR|OggS|RIFF.{4}(WEBP|WAVE|AVI )|\0\0.{2}(ftyp[\x20-\x7f]|moov|mdat|free|wide))/s;

/**
 * Whether {@link sniffMimeType} gives the same result whatever bytes follow, so that there is no need to wait for
 * {@link bytesToSniff}. For texts, archives and office documents only the whole sample decides.
 */
export function isVerdictFinal(head: Buffer): boolean {
  if (head.length >= bytesToSniff(head)) return true;
  if (head.length < SIGNATURE_BYTES) return false;
  return SIGNATURES.test(head.toString('latin1', 0, SIGNATURE_BYTES)) || isDecidedPng(head) || isDecidedSound(head);
}

/**
 * Whether a PNG is known to be animated or not: `acTL` stands before the pixels, `IDAT` (PNG 3rd edition, section 5.3).
 */
function isDecidedPng(head: Buffer): boolean {
  if (head.readBigUInt64BE(0) !== 0x89504e470d0a1a0an) return false;
  for (let at = 8; at + 8 < head.length; at += 12 + head.readUInt32BE(at))
    if (['IDAT', 'acTL'].includes(head.toString('latin1', at + 4, at + 8))) return true;
  return false;
}

/** Whether the sample ends within a tag, or has a frame behind it and enough bytes to exclude rarer types. */
function isDecidedSound(head: Buffer): boolean {
  const end = endOfTags(head);
  if (end >= MAX_SNIFF_BYTES) return true;
  const start = startOfSound(head);
  return start + RARE_SIGNATURE_BYTES <= head.length && frameType(head, start) !== null;
}

/** The stream below the root of a compound file that only this type has: [MS-DOC], [MS-XLS], [MS-PPT], [MS-OXMSG]. */
const COMPOUND_STREAMS = new Map([
  ['WordDocument', 'application/msword'],
  ['Workbook', 'application/vnd.ms-excel'],
  ['Book', 'application/vnd.ms-excel'],
  ['PowerPoint Document', 'application/vnd.ms-powerpoint'],
  ['__properties_version1.0', 'application/vnd.ms-outlook'],
]);
const DIRECTORY_ENTRY_BYTES = 128;

/**
 * The type by the directory of a compound file ([MS-CFB], sections 2.2 and 2.6). Null: it is not in the sample, so that
 * the claim decides.
 */
function compoundType(head: Buffer): string | null {
  if (head.length < 512 || head.readBigUInt64BE(0) !== 0xd0cf11e0a1b11ae1n) return null;
  const sectorBytes = head.readUInt16LE(30) === 12 ? 4_096 : 512;
  const start = (head.readUInt32LE(48) + 1) * sectorBytes;
  const end = Math.min(start + sectorBytes, head.length);
  for (let at = start; at + DIRECTORY_ENTRY_BYTES <= end; at += DIRECTORY_ENTRY_BYTES) {
    const nameBytes = Math.min(Math.max(head.readUInt16LE(at + 64) - 2, 0), 62);
    const type = COMPOUND_STREAMS.get(head.toString('utf16le', at, at + nameBytes));
    if (type !== undefined) return type;
  }
  return null;
}

/**
 * The types that share a container's signature. The claim chooses among them. An entry that ends in a dot is a prefix.
 */
const CONTAINED: Readonly<Record<string, readonly string[]>> = {
  'application/x-cfb': [
    'application/msword',
    'application/vnd.ms-excel',
    'application/vnd.ms-powerpoint',
    'application/vnd.ms-outlook',
  ],
  'application/zip': [
    'application/vnd.openxmlformats-officedocument.',
    'application/vnd.oasis.opendocument.',
    'application/epub+zip',
  ],
  'video/mp4': ['audio/mp4'],
  'video/3gpp': ['audio/3gpp'],
};

function refine(signature: string, claim: string | null): string {
  if (claim !== null && mayContain(essenceOf(signature), essenceOf(claim))) return claim;
  return signature === 'application/x-cfb' ? 'application/octet-stream' : signature;
}

function mayContain(container: string, essence: string): boolean {
  return (CONTAINED[container] ?? []).some((type) =>
    type.endsWith('.') ? essence.startsWith(type) && essence.length > type.length : essence === type,
  );
}
