import { isUtf8 } from 'node:buffer';
import { fileTypeFromBuffer } from 'file-type';
import { essenceOf, normalizeMimeType } from '../model/mime-type.js';

/** As much as file-type wants to see of a file that it cannot read as a whole. */
export const SNIFF_BYTES = 4_100;
/** Where it is worth more to be sure: an office document says what it is some entries into its archive. */
export const UPLOAD_SNIFF_BYTES = 65_536;

/**
 * The type to serve bytes as, decided by the bytes: what they are if their signature tells, else text if they read as
 * text. `declared` only ever refines that verdict (which text, which office document); alone it decides nothing.
 */
export async function sniffMimeType(head: Buffer, declared: string | null): Promise<string> {
  const found = await fileTypeFromBuffer(head).catch(() => undefined);
  const claim = normalizeMimeType(declared);
  // file-type knows some texts by their first word; which text it is, markup above all, is decided below.
  if (found && !/^text\/|xml$/.test(found.mime) && !isMarkedUtf16(head))
    return compoundType(head) ?? refine(normalizeMimeType(found.mime) ?? 'application/octet-stream', claim);
  return isText(head) ? textType(head, claim) : 'application/octet-stream';
}

/** Little-endian, by its byte order mark: the same two bytes begin sound of MPEG-1 layer I, which nobody sends. */
function isMarkedUtf16(head: Buffer): boolean {
  return head.length >= 2 && head.readUInt16BE(0) === 0xfffe;
}

/** What file-type reads before it asks whether bytes look like one of its rarer types, which may be told far into a file. */
const SIGNATURE_BYTES = 36;
const RARE_SIGNATURE_BYTES = 512;
/**
 * Types that file-type tells from these bytes alone, and that nothing above refines: JPEG, GIF, PDF, FLAC, AMR, Ogg with
 * its codec, WebP, WAV, AVI, and the MP4 family by its major brand. Not PNG, which may be found to be animated.
 */
const SIGNATURES =
  /^(\xff\xd8\xff|GIF|%PDF|fLaC|#!AMR|OggS|RIFF.{4}(WEBP|WAVE|AVI )|\0\0.{2}(ftyp[\x20-\x7f]|moov|mdat|free|wide))/s;

/**
 * Whether {@link sniffMimeType} would say the same of these bytes with any others behind them, so that nobody need wait
 * for {@link SNIFF_BYTES}. Texts, archives and office documents are never sure of themselves before.
 */
export function isVerdictFinal(head: Buffer): boolean {
  if (head.length >= SNIFF_BYTES) return true;
  if (head.length < SIGNATURE_BYTES) return false;
  return SIGNATURES.test(head.toString('latin1', 0, SIGNATURE_BYTES)) || isDecidedPng(head) || isDecidedMp3(head);
}

/** PNG 3rd edition, section 5.3: animated ones (`acTL`) say so before their pixels (`IDAT`). */
function isDecidedPng(head: Buffer): boolean {
  if (head.readBigUInt64BE(0) !== 0x89504e470d0a1a0an) return false;
  for (let at = 8; at + 8 < head.length; at += 12 + head.readUInt32BE(at))
    if (/^(IDAT|acTL)$/.test(head.toString('latin1', at + 4, at + 8))) return true;
  return false;
}

/** A tag that is longer than a sample (id3.org, "ID3v2.4.0", section 3.1), or a frame where no rarer type can be meant. */
function isDecidedMp3(head: Buffer): boolean {
  const isTagged = /^ID3.{3}[\0-\x7f]{4}/s.test(head.toString('latin1', 0, 10));
  const tagBytes = [6, 7, 8, 9].reduce((size, at) => size * 128 + head.readUInt8(at), 0);
  const start = isTagged ? 10 + tagBytes : 0;
  if (start > SNIFF_BYTES) return true;
  return start + RARE_SIGNATURE_BYTES <= head.length && (head.readUInt16BE(start) & 0xffe0) === 0xffe0;
}

/** Containers whose signature is shared: the claim chooses among what they may hold. */
const CONTAINED: Readonly<Record<string, RegExp>> = {
  'application/x-cfb': /^application\/(msword|vnd\.ms-(excel|powerpoint|outlook))$/,
  'application/zip':
    /^application\/(vnd\.openxmlformats-officedocument\.[a-z.]+|vnd\.oasis\.opendocument\.[a-z]+|epub\+zip)$/,
  'video/mp4': /^audio\/mp4$/,
  'video/3gpp': /^audio\/3gpp$/,
};

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

function refine(found: string, claim: string | null): string {
  if (claim !== null && CONTAINED[essenceOf(found)]?.test(essenceOf(claim))) {
    return essenceOf(found) === essenceOf(claim) && !claim.includes(';') ? found : claim;
  }
  return found === 'application/x-cfb' ? 'application/octet-stream' : found;
}

function isText(head: Buffer): boolean {
  if (head.length === 0 || head.some(isBinaryByte)) return false;
  // The sample's end may split a character: up to three bytes of it are forgiven, if it is a sample of more.
  const forgiven = head.length < SNIFF_BYTES ? [0] : [0, 1, 2, 3];
  return forgiven.some((cut) => isUtf8(head.subarray(0, head.length - cut)));
}

/** WHATWG MIME Sniffing, section 3: "binary data byte". */
function isBinaryByte(byte: number): boolean {
  return byte < 0x09 || byte === 0x0b || (byte > 0x0d && byte < 0x20 && byte !== 0x1b);
}

/** Markup is called what it is, so that nobody serves it inline for a lie (WHATWG MIME Sniffing, section 7.1). */
function textType(head: Buffer, claim: string | null): string {
  const start = head
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart()
    .slice(0, 1_024)
    .toLowerCase();
  if (/^(<!--[\s\S]*?-->\s*|<\?xml[^>]*>\s*|<!doctype svg[^>]*>\s*)*<svg[\s>]/.test(start)) return 'image/svg+xml';
  if (
    /^(<!--[\s\S]*?-->\s*)*<(!doctype html|html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p)[\s>]/.test(
      start,
    )
  )
    return 'text/html';
  if (start.startsWith('<?xml') || start.startsWith('<!doctype')) return 'application/xml';
  if (start.startsWith('begin:vcard')) return 'text/vcard; charset=utf-8';
  if (start.startsWith('begin:vcalendar')) return 'text/calendar; charset=utf-8';
  if (claim !== null && essenceOf(claim) === 'application/json') return 'application/json';
  return claim !== null && essenceOf(claim) === 'text/csv' ? 'text/csv; charset=utf-8' : 'text/plain; charset=utf-8';
}
