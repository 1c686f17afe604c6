import { fileTypeFromBuffer } from 'file-type';
import { essenceOf, normalizeMimeType } from '../../model/mime-type.js';
import { isPlainText, readText, textType } from './text.js';

/** As much as file-type wants to see of a file that it cannot read as a whole. */
export const SNIFF_BYTES = 4_100;
/** Where it is worth more to be sure: an office document says what it is some entries into its archive. */
export const UPLOAD_SNIFF_BYTES = 65_536;
/** A tag before sound may hold pictures of the cover; where it is longer, what the sound is stays with the claim. */
const MAX_SNIFF_BYTES = 1_048_576;
/** Behind a tag, for its padding and the first frame. */
const BYTES_BEHIND_TAG = 4_096;

/**
 * The type to serve bytes as, decided by the bytes: what they are if their signature tells, else text if they read as
 * text. `declared` only ever refines that verdict (which text, which office document); alone it decides nothing. Takes
 * time in proportion to the bytes, whatever they are.
 */
export async function sniffMimeType(head: Buffer, declared: string | null): Promise<string> {
  const claim = normalizeMimeType(declared);
  const found = await signatureOf(head, claim);
  if (found !== null) return found;
  const sample = head.subarray(0, UPLOAD_SNIFF_BYTES);
  const isCut = head.length >= SNIFF_BYTES;
  const text = readText(sample, { isCut, claim });
  return text === null ? 'application/octet-stream' : textType(text, claim);
}

/** How many bytes of a file {@link sniffMimeType} wants to see, as far as these tell; `usual` but for tagged sound. */
export function bytesToSniff(head: Buffer, usual: number = SNIFF_BYTES): number {
  const end = endOfTags(head);
  return end === 0 ? usual : Math.min(Math.max(usual, end + BYTES_BEHIND_TAG), MAX_SNIFF_BYTES);
}

/** Of a format that tells itself from text; null: there is none, or one of text, which the text itself tells best. */
async function signatureOf(head: Buffer, claim: string | null): Promise<string | null> {
  const found = await fileTypeFromBuffer(head).catch(() => undefined);
  const mime = found === undefined ? null : essenceOf(found.mime);
  if (mime === 'application/x-ms-regedit') return mime;
  if (isTextual(mime) || isUtf16Marked(head)) return mime === 'application/vnd.sketchup.skp' ? mime : null;
  if (mime !== null && WEAK_SIGNATURES.has(mime) && !isGif(head) && isPlainText(head.subarray(0, UPLOAD_SNIFF_BYTES)))
    return null;
  const type = compoundType(head) ?? taggedSoundType(head, claim);
  if (type !== null) return type;
  if (found !== undefined) return refine(normalizeMimeType(found.mime) ?? 'application/octet-stream', claim);
  return isTiff(head) ? 'image/tiff' : null;
}

function isTextual(mime: string | null): boolean {
  return mime !== null && (mime.startsWith('text/') || mime.endsWith('/xml') || mime.endsWith('+xml'));
}

/** Told by two or three letters, which may begin a text as well: "BMW;3", "MZ-12", "GIFT". */
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

/** By its byte order mark: file-type takes it for sound of MPEG-1 layer I, which has the same two bytes. */
function isUtf16Marked(head: Buffer): boolean {
  return head.length >= 2 && (head.readUInt16BE(0) === 0xfffe || head.readUInt16BE(0) === 0xfeff);
}

/** TIFF 6.0, section 2, and BigTIFF; the directory, which tells a camera's raw from a picture, may be far behind. */
function isTiff(head: Buffer): boolean {
  const signature = head.toString('latin1', 0, 4);
  return ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(signature);
}

/** Editors leave two, seldom three. */
const MAX_TAGS = 4;

/** Where the ID3 tags before a sound end (id3.org, "ID3v2.4.0", sections 3.1 and 3.4); 0: there is none. */
function endOfTags(head: Buffer): number {
  let end = 0;
  for (let tags = 0; tags < MAX_TAGS && end + 10 <= head.length && isTag(head, end); tags++) {
    const footerBytes = (head.readUInt8(end + 5) & 0x10) === 0 ? 0 : 10;
    const size = [6, 7, 8, 9].reduce((bytes, at) => bytes * 128 + head.readUInt8(end + at), 0);
    end += 10 + size + footerBytes;
  }
  return end;
}

/** Its version, 2 to 4, is what no text has. */
function isTag(head: Buffer, at: number): boolean {
  const version = head.readUInt8(at + 3);
  if (head.toString('latin1', at, at + 3) !== 'ID3' || version < 2 || version > 4) return false;
  return [6, 7, 8, 9].every((byte) => head.readUInt8(at + byte) < 0x80);
}

/** The first byte behind tags and the zeros that fill them up. */
function startOfSound(head: Buffer): number {
  let at = endOfTags(head);
  if (at === 0) return 0;
  const limit = Math.min(head.length, at + BYTES_BEHIND_TAG);
  while (at < limit && head.readUInt8(at) === 0) at += 1;
  return at;
}

/** Sounds that bear ID3 tags although only MP3 was meant to. */
const TAGGED_SOUNDS: ReadonlySet<string> = new Set(['audio/aac', 'audio/flac', 'audio/mpeg']);

/** null: no tag, or something behind it that file-type may know. */
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

/** ISO 11172-3 and 13818-7 share their sync word; a layer of zero is ADTS. null: no frame. */
function frameType(head: Buffer, at: number): string | null {
  const sync = head.readUInt16BE(at);
  if ((sync & 0xfff6) === 0xfff0) return 'audio/aac';
  return (sync & 0xffe0) === 0xffe0 && (sync & 0x0006) !== 0 ? 'audio/mpeg' : null;
}

/** What file-type reads before it asks whether bytes look like one of its rarer types, which may be told far into a file. */
const SIGNATURE_BYTES = 36;
const RARE_SIGNATURE_BYTES = 512;
/**
 * Types that file-type tells from these bytes alone, and that nothing above refines: JPEG, GIF, PDF, FLAC, AMR, Ogg with
 * its codec, WebP, WAV, AVI, and the MP4 family by its major brand. Not PNG, which may be found to be animated.
 */
const SIGNATURES =
  /^(\xff\xd8\xff|GIF8[79]a|%PDF|fLaC|#!AMR|OggS|RIFF.{4}(WEBP|WAVE|AVI )|\0\0.{2}(ftyp[\x20-\x7f]|moov|mdat|free|wide))/s;

/**
 * Whether {@link sniffMimeType} would say the same of these bytes with any others behind them, so that there is no need
 * to wait for {@link bytesToSniff}. Texts, archives and office documents are never sure of themselves before.
 */
export function isVerdictFinal(head: Buffer): boolean {
  if (head.length >= bytesToSniff(head)) return true;
  if (head.length < SIGNATURE_BYTES) return false;
  return SIGNATURES.test(head.toString('latin1', 0, SIGNATURE_BYTES)) || isDecidedPng(head) || isDecidedSound(head);
}

/** PNG 3rd edition, section 5.3: animated ones (`acTL`) say so before their pixels (`IDAT`). */
function isDecidedPng(head: Buffer): boolean {
  if (head.readBigUInt64BE(0) !== 0x89504e470d0a1a0an) return false;
  for (let at = 8; at + 8 < head.length; at += 12 + head.readUInt32BE(at))
    if (['IDAT', 'acTL'].includes(head.toString('latin1', at + 4, at + 8))) return true;
  return false;
}

/** A tag that is longer than any sample, or a frame where no rarer type can be meant. */
function isDecidedSound(head: Buffer): boolean {
  const end = endOfTags(head);
  if (end >= MAX_SNIFF_BYTES) return true;
  const start = startOfSound(head);
  return start + RARE_SIGNATURE_BYTES <= head.length && frameType(head, start) !== null;
}

/** The stream that each has below the root of its compound file, and the others do not: [MS-DOC], [MS-XLS], [MS-PPT], [MS-OXMSG]. */
const COMPOUND_STREAMS = new Map([
  ['WordDocument', 'application/msword'],
  ['Workbook', 'application/vnd.ms-excel'],
  ['Book', 'application/vnd.ms-excel'],
  ['PowerPoint Document', 'application/vnd.ms-powerpoint'],
  ['__properties_version1.0', 'application/vnd.ms-outlook'],
]);
const DIRECTORY_ENTRY_BYTES = 128;

/** Decided by the directory, [MS-CFB] sections 2.2 and 2.6; null where it is not in the sample: the claim decides then. */
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

/** Containers whose signature is shared: the claim chooses among what they may hold, by the start of its essence. */
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

function refine(found: string, claim: string | null): string {
  if (claim !== null && mayHold(essenceOf(found), essenceOf(claim))) return claim;
  return found === 'application/x-cfb' ? 'application/octet-stream' : found;
}

function mayHold(container: string, essence: string): boolean {
  // Some end in a dot: a family of types. The others are meant to the letter.
  return (CONTAINED[container] ?? []).some((held) =>
    held.endsWith('.') ? essence.startsWith(held) && essence.length > held.length : essence === held,
  );
}
