import { isUtf8 } from 'node:buffer';
import { readWindows1252 } from '../../model/windows-1252.js';

/** Servers and Node alike refuse headers that are longer; a longer text is no header that came. */
const MAX_HEADER_CHARACTERS = 16_384;
/** No file system takes a longer name, in whatever it counts. */
const MAX_NAME_CHARACTERS = 1_024;
/** RFC 2231 section 3; names of a thousand characters have about a dozen parts. */
const MAX_PARTS = 64;

/**
 * The file name that a Content-Disposition tells: `filename*` wins over `filename` (RFC 6266 section 4.3). Takes what
 * servers send beyond the grammar: other charsets, raw UTF-8 or Latin-1, encoded words of mail (RFC 2047), percent
 * escapes, spaces without quotes, quotes that do not end. Without control characters; null for none. Takes time in
 * proportion to the header.
 * @param header as Node gives it: a character for a byte
 */
export function dispositionName(header: string): string | null {
  const parameters = parametersOf(header.slice(0, MAX_HEADER_CHARACTERS));
  const plain = parameters.get('filename') ?? null;
  const extended = parameters.get('filename*') ?? null;
  const name =
    (extended === null ? null : extendedName(extended)) ??
    continuedName(parameters) ??
    (plain === null ? null : plainName(plain)) ??
    // Broken, and yet all that is told.
    (extended === null ? null : readText(percentDecoded(behindCharset(extended))));
  return name === null ? null : harmless(name);
}

function harmless(name: string): string | null {
  return (
    name
      .slice(0, MAX_NAME_CHARACTERS)
      .toWellFormed()
      .replace(/\p{Cc}/gu, '')
      .trim() || null
  );
}

/** By their names in lower case; of two with one name the first. Values without their quotes, still in bytes. */
function parametersOf(header: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (let at = 0; at < header.length; ) {
    const end = endOfName(header, at);
    const name = header.slice(at, end).trim().toLowerCase();
    if (header[end] !== '=') {
      at = end + 1;
      continue;
    }
    const value = valueAt(header, end + 1);
    if (!parameters.has(name)) parameters.set(name, value.text);
    at = value.end + 1;
  }
  return parameters;
}

/** An equals sign, a semicolon, or the end. */
function endOfName(header: string, start: number): number {
  let at = start;
  while (at < header.length && header[at] !== '=' && header[at] !== ';') at += 1;
  return at;
}

interface Value {
  readonly text: string;
  /** Of the semicolon behind it, or of the end. */
  readonly end: number;
}

function valueAt(header: string, start: number): Value {
  let at = start;
  while (header[at] === ' ' || header[at] === '\t') at += 1;
  if (header[at] === '"') return quotedAt(header, at + 1);
  const end = endOrLength(header, at);
  return { text: header.slice(at, end).trim(), end };
}

function endOrLength(header: string, from: number): number {
  const end = header.indexOf(';', from);
  return end === -1 ? header.length : end;
}

/** RFC 9110 section 5.6.4. A path of Windows has backslashes that escape nothing. */
function quotedAt(header: string, start: number): Value {
  const isWindowsPath = /^([A-Za-z]:\\|\\\\)[^"\\]/.test(header.slice(start, start + 4));
  const pieces: string[] = [];
  let at = start;
  for (; at < header.length && header[at] !== '"'; at++) {
    if (header[at] === '\\' && !isWindowsPath) at += 1;
    pieces.push(header.charAt(at));
  }
  return { text: pieces.join(''), end: endOrLength(header, at) };
}

/** RFC 8187 section 3.2: a charset, a language and percent-encoded bytes. null: not well-formed. */
function extendedName(value: string): string | null {
  const quote = value.indexOf("'");
  const second = value.indexOf("'", quote + 1);
  if (quote === -1 || second === -1) return null;
  return decode(percentDecoded(value.slice(second + 1)), value.slice(0, quote)) || null;
}

function behindCharset(value: string): string {
  const second = value.indexOf("'", value.indexOf("'") + 1);
  return value.slice(second + 1);
}

/** RFC 2231 section 3: a name in numbered parts, of which those with an asterisk are percent-encoded. */
function continuedName(parameters: ReadonlyMap<string, string>): string | null {
  const parts: Buffer[] = [];
  let charset = '';
  for (let number = 0; number < MAX_PARTS; number++) {
    const encoded = parameters.get(`filename*${number}*`);
    const part = encoded ?? parameters.get(`filename*${number}`);
    if (part === undefined) break;
    if (number === 0 && encoded !== undefined) charset = encoded.slice(0, Math.max(0, encoded.indexOf("'")));
    const text = number === 0 && encoded !== undefined ? behindCharset(part) : part;
    parts.push(encoded === undefined ? Buffer.from(text, 'latin1') : percentDecoded(text));
  }
  if (parts.length === 0) return null;
  const bytes = Buffer.concat(parts);
  return (charset === '' ? null : decode(bytes, charset)) ?? readText(bytes);
}

function plainName(value: string): string | null {
  const text = readText(Buffer.from(value, 'latin1'));
  const name = text.includes('=?') ? wordsDecoded(text) : percentText(text);
  return name || null;
}

/** Decoded where every escape is one, and all of them are UTF-8: `100% cotton.pdf` is meant as it stands. */
function percentText(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** UTF-8 where the bytes are, else Latin-1, which stands for Windows-1252 (WHATWG Encoding, section 4.2). */
function readText(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : readWindows1252(bytes);
}

/** null: a charset that the platform does not have, or bytes that are not of it. */
function decode(bytes: Uint8Array, charset: string): string | null {
  try {
    const decoder = new TextDecoder(charset, { fatal: true });
    return decoder.encoding === 'windows-1252' ? readWindows1252(bytes) : decoder.decode(bytes);
  } catch {
    return null;
  }
}

function percentDecoded(text: string): Buffer {
  return bytesOf(text, '%');
}

/** What follows the mark is a byte in two hexadecimal digits; else it stands for itself. */
function bytesOf(text: string, mark: '%' | '='): Buffer {
  const bytes = Buffer.alloc(Buffer.byteLength(text));
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const digits = text[at] === mark ? text.slice(at + 1, at + 3) : '';
    if (/^[0-9A-Fa-f]{2}$/.test(digits)) {
      length = bytes.writeUInt8(Number.parseInt(digits, 16), length);
      at += 2;
    } else length += bytes.write(text.charAt(at), length, 'latin1');
  }
  return bytes.subarray(0, length);
}

interface EncodedWord {
  readonly charset: string;
  readonly bytes: Buffer;
  /** Behind it. */
  readonly end: number;
}

/** RFC 2047 section 2; words with nothing but spaces between them belong together (section 6.2). */
function wordsDecoded(text: string): string {
  let decoded = '';
  let done = 0;
  let run: { charset: string; bytes: Buffer[] } | null = null;
  const flush = () => {
    if (run !== null) decoded += decode(Buffer.concat(run.bytes), run.charset) ?? readText(Buffer.concat(run.bytes));
    run = null;
  };
  for (let start = text.indexOf('=?'); start !== -1; ) {
    const word = wordAt(text, start);
    if (word === 'unfinished') break;
    if (word === null) {
      start = text.indexOf('=?', start + 2);
      continue;
    }
    const between = text.slice(done, start);
    const isJoined = run !== null && between.trim() === '';
    if (!isJoined || run?.charset !== word.charset) flush();
    if (!isJoined) decoded += between;
    run ??= { charset: word.charset, bytes: [] };
    run.bytes.push(word.bytes);
    done = word.end;
    start = text.indexOf('=?', done);
  }
  flush();
  return decoded + text.slice(done);
}

const MAX_CHARSET_CHARACTERS = 40;

/** null: no encoded word; `unfinished`: none here or further on, since nothing ends one. */
function wordAt(text: string, start: number): EncodedWord | 'unfinished' | null {
  const head = text.slice(start + 2, start + 2 + MAX_CHARSET_CHARACTERS + 3);
  const charsetEnd = head.indexOf('?');
  const encoding = head.charAt(charsetEnd + 1).toLowerCase();
  const isWord = charsetEnd > 0 && (encoding === 'b' || encoding === 'q') && head[charsetEnd + 2] === '?';
  if (!isWord) return null;
  const textStart = start + 2 + charsetEnd + 3;
  const textEnd = text.indexOf('?=', textStart);
  if (textEnd === -1) return 'unfinished';
  const encoded = text.slice(textStart, textEnd);
  // RFC 2231 section 5: a language may follow the charset.
  const [charset = ''] = head.slice(0, charsetEnd).split('*', 1);
  const bytes = encoding === 'b' ? Buffer.from(encoded, 'base64') : bytesOf(encoded.replaceAll('_', ' '), '=');
  return { charset: charset.toLowerCase(), bytes, end: textEnd + 2 };
}
