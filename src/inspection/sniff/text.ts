import { isUtf8 } from 'node:buffer';
import { charsetOf, essenceOf } from '../../model/text/mime-type.js';
import { readWindows1252 } from '../../model/text/windows-1252.js';
import { markupType } from './markup.js';

/** Bytes that decode as text. */
export interface ReadableText {
  /** The decoded text, without a byte order mark. */
  readonly text: string;
  /** The encoding, as browsers name it (WHATWG Encoding, section 4.2). */
  readonly charset: string;
  /** True: the text goes on beyond the sample. */
  readonly isCut: boolean;
}

interface Sampled {
  /** True: more bytes follow the sample. */
  readonly isCut: boolean;
  readonly claim: string | null;
}

/**
 * Decodes bytes as text, in the first encoding that fits: that of their byte order mark, UTF-16 or UTF-8, the claimed
 * one, UTF-8 with errors, Windows-1252. Null: the bytes are no text.
 */
export function readText(sample: Buffer, { isCut, claim }: Sampled): ReadableText | null {
  if (sample.length === 0) return null;
  const read = (text: string | null, charset: string) => (text === null ? null : { text, charset, isCut });
  if (sample.length >= 2) {
    const mark = sample.readUInt16BE(0);
    if (mark === 0xfffe) return read(utf16(sample.subarray(2), 'utf-16le', isCut), 'utf-16le');
    if (mark === 0xfeff) return read(utf16(sample.subarray(2), 'utf-16be', isCut), 'utf-16be');
  }
  if (hasBinaryBytes(sample)) return unmarkedUtf16(sample, isCut);
  if (isUtf8Sample(sample, isCut)) return read(utf8(sample), 'utf-8');
  const claimed = claimedText(sample, claim, isCut);
  if (claimed !== null) return { ...claimed, isCut };
  if (isMostlyUtf8(sample)) return read(utf8(sample), 'utf-8');
  return isWindows1252(sample) ? read(readWindows1252(sample), 'windows-1252') : null;
}

/** Whether the bytes are text for certain: UTF-8 without control characters. */
export function isPlainText(sample: Buffer): boolean {
  return sample.length > 0 && !hasBinaryBytes(sample) && isUtf8Sample(sample, true);
}

/**
 * Markup is recognised whatever is claimed, so that it is never served inline as another type (WHATWG MIME Sniffing,
 * section 7.1).
 */
export function textType({ text, charset, isCut }: ReadableText, claim: string | null): string {
  const markup = markupType(text, isCut);
  if (markup !== null) return markup;
  const start = text.slice(0, 64).trimStart().toLowerCase();
  if (start.startsWith('begin:vcard')) return `text/vcard; charset=${charset}`;
  if (start.startsWith('begin:vcalendar')) return `text/calendar; charset=${charset}`;
  const essence = claim === null ? '' : essenceOf(claim);
  // RFC 8259 section 8.1 allows no other encoding.
  if (essence === 'application/json' && charset === 'utf-8') return 'application/json';
  return `${essence === 'text/csv' ? essence : 'text/plain'}; charset=${charset}`;
}

/** WHATWG MIME Sniffing, section 3: "binary data byte". */
function hasBinaryBytes(sample: Buffer): boolean {
  for (const byte of sample) if (byte < 0x20 && (BINARY_CONTROLS & (1 << byte)) !== 0) return true;
  return false;
}

/** The bits of all characters below a space, except tab, line feed, form feed, carriage return and escape. */
const BINARY_CONTROLS = ~((1 << 0x09) | (1 << 0x0a) | (1 << 0x0c) | (1 << 0x0d) | (1 << 0x1b));

/**
 * Whether the bytes are UTF-8. The end of a cut sample may split a character, so up to three bytes of it are ignored.
 */
function isUtf8Sample(sample: Buffer, isCut: boolean): boolean {
  const ignorable = isCut ? [0, 1, 2, 3] : [0];
  return ignorable.some((bytes) => isUtf8(sample.subarray(0, sample.length - bytes)));
}

function utf8(sample: Buffer): string {
  return new TextDecoder().decode(sample);
}

/** Null: the bytes are not well-formed, or hold characters that do not occur in text. */
function utf16(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be', isCut: boolean): string | null {
  if (!isCut && bytes.length % 2 !== 0) return null;
  const text = decode(bytes, encoding, isCut);
  return text === null || NO_TEXT.test(text) ? null : text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control characters.
const NO_TEXT = /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\ufdd0-\ufdef\ufffe\uffff]/;
/** Unassigned and private-use characters. */
const NO_CHARACTER = /[\p{Cn}\p{Co}]/u;
/**
 * The least share of ASCII in an unmarked text. In every script, spaces, line ends, digits and separators are ASCII.
 */
const MIN_ASCII_SHARE = 1 / 8;

/** UTF-16 without a byte order mark. Null: neither byte order gives a text with enough ASCII. */
function unmarkedUtf16(sample: Buffer, isCut: boolean): ReadableText | null {
  for (const charset of ['utf-16le', 'utf-16be'] as const) {
    const text = utf16(sample, charset, isCut);
    if (text === null || text.length < 2 || NO_CHARACTER.test(text)) continue;
    let ascii = 0;
    for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) < 0x80) ascii += 1;
    if (ascii / text.length >= MIN_ASCII_SHARE) return { text, charset, isCut };
  }
  return null;
}

/**
 * Encodings that are not believed: their bytes below 128 may be other characters than ASCII, or they decode nothing.
 */
const UNTRUSTED_ENCODINGS: ReadonlySet<string> = new Set([
  'utf-16le',
  'utf-16be',
  'iso-2022-jp',
  'replacement',
  'x-user-defined',
]);

/** The text in the claimed encoding. Null: none is claimed, or the bytes are not well-formed in it. */
function claimedText(sample: Buffer, claim: string | null, isCut: boolean): Omit<ReadableText, 'isCut'> | null {
  const label = claim === null ? null : charsetOf(claim);
  if (label === null) return null;
  const charset = encodingOf(label);
  if (charset === null || UNTRUSTED_ENCODINGS.has(charset)) return null;
  const text = decode(sample, charset, isCut);
  return text === null ? null : { text, charset };
}

/** The encoding's name for a label (WHATWG Encoding, section 4.2). Null: this platform has no such encoding. */
function encodingOf(label: string): string | null {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return null;
  }
}

/** Null: the bytes are not well-formed. A character that the end of a cut sample splits is ignored. */
function decode(bytes: Buffer, encoding: string, isCut: boolean): string | null {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
  } catch {
    return null;
  }
}

/** Whether the bytes are UTF-8 with some broken characters, rather than another encoding. */
function isMostlyUtf8(sample: Buffer): boolean {
  let broken = 0;
  let whole = 0;
  for (const character of utf8(sample)) {
    if (character === '\ufffd') broken += 1;
    else if (character > '\x7f') whole += 1;
  }
  return whole > broken;
}

/** Most letters in a text of Western Europe are ASCII. Runs of this many other characters indicate another script. */
const LONG_RUN = 5;
const MIN_USUAL_SHARE = 0.9;

/**
 * Whether the bytes hold only what texts of Western Europe have: their letters, quotes, dashes and signs. 20 random
 * bytes fail this test with near certainty.
 */
function isWindows1252(sample: Buffer): boolean {
  let nonAscii = 0;
  let usual = 0;
  let inLongRuns = 0;
  let run = 0;
  for (const byte of sample) {
    if (byte < 0x80) {
      run = 0;
      continue;
    }
    if (UNASSIGNED_1252.has(byte)) return false;
    nonAscii += 1;
    run += 1;
    if (byte >= 0xc0 || USUAL_SIGNS_1252.has(byte)) usual += 1;
    if (run >= LONG_RUN) inLongRuns += run === LONG_RUN ? LONG_RUN : 1;
  }
  return nonAscii < sample.length && usual >= nonAscii * MIN_USUAL_SHARE && inLongRuns <= nonAscii / 2;
}

const UNASSIGNED_1252: ReadonlySet<number> = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);
/** € ‚ „ … Š Œ Ž ‘ ’ “ ” • – — ™ š œ ž Ÿ, no-break space, ¡ £ § © ª « ® ° ± ² ³ ´ µ · º » ½ ¿ */
const USUAL_SIGNS_1252: ReadonlySet<number> = new Set([
  0x80, 0x82, 0x84, 0x85, 0x8a, 0x8c, 0x8e, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x99, 0x9a, 0x9c, 0x9e, 0x9f,
  0xa0, 0xa1, 0xa3, 0xa7, 0xa9, 0xaa, 0xab, 0xae, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb7, 0xba, 0xbb, 0xbd, 0xbf,
]);
