import { isUtf8 } from 'node:buffer';
import { readWindows1252 } from '../../model/text/windows-1252.js';

/** Servers and Node refuse longer headers, so a longer text is not a received header. */
const MAX_HEADER_CHARACTERS = 16_384;
/** Longer than any file system allows, in any unit. */
const MAX_NAME_CHARACTERS = 1_024;
/** RFC 2231 section 3. A name of a thousand characters has about a dozen parts. */
const MAX_PARTS = 64;

/**
 * Reads the file name of a Content-Disposition header; `filename*` wins over `filename` (RFC 6266 section 4.3). It
 * accepts what servers send beyond the grammar: other charsets, raw UTF-8 or Latin-1, encoded words (RFC 2047), percent
 * escapes, unquoted spaces and unterminated quotes. The result has no control characters; null where there is no name.
 * The running time is linear in the length of the header.
 * @param header as Node reads it, one character per byte
 */
export function dispositionName(header: string): string | null {
  const parameters = parametersOf(header.slice(0, MAX_HEADER_CHARACTERS));
  const plain = parameters.get('filename') ?? null;
  const extended = parameters.get('filename*') ?? null;
  const name =
    (extended === null ? null : extendedName(extended)) ??
    continuedName(parameters) ??
    (plain === null ? null : plainName(plain)) ??
    // Malformed, but there is no other name.
    (extended === null ? null : readText(percentDecoded(afterCharset(extended))));
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

/** Maps lower-case parameter names to values without quotes, still as bytes. The first of two equal names wins. */
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

/** Returns the offset of the next equals sign or semicolon, or of the end. */
function endOfName(header: string, start: number): number {
  let at = start;
  while (at < header.length && header[at] !== '=' && header[at] !== ';') at += 1;
  return at;
}

interface Value {
  readonly text: string;
  /** Offset of the following semicolon, or of the end. */
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

/** Reads a quoted string (RFC 9110 section 5.6.4). In a Windows path a backslash escapes nothing. */
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

/**
 * Reads an extended value: a charset, a language and percent-encoded bytes (RFC 8187 section 3.2). Returns null for a
 * malformed one.
 */
function extendedName(value: string): string | null {
  const quote = value.indexOf("'");
  const second = value.indexOf("'", quote + 1);
  if (quote === -1 || second === -1) return null;
  return decode(percentDecoded(value.slice(second + 1)), value.slice(0, quote)) || null;
}

function afterCharset(value: string): string {
  const second = value.indexOf("'", value.indexOf("'") + 1);
  return value.slice(second + 1);
}

/** Joins a name in numbered parts; parts with an asterisk are percent-encoded (RFC 2231 section 3). */
function continuedName(parameters: ReadonlyMap<string, string>): string | null {
  const parts: Buffer[] = [];
  let charset = '';
  for (let number = 0; number < MAX_PARTS; number++) {
    const encoded = parameters.get(`filename*${number}*`);
    const part = encoded ?? parameters.get(`filename*${number}`);
    if (part === undefined) break;
    if (number === 0 && encoded !== undefined) charset = encoded.slice(0, Math.max(0, encoded.indexOf("'")));
    const text = number === 0 && encoded !== undefined ? afterCharset(part) : part;
    parts.push(encoded === undefined ? Buffer.from(text, 'latin1') : percentDecoded(text));
  }
  if (parts.length === 0) return null;
  const bytes = Buffer.concat(parts);
  return (charset === '' ? null : decode(bytes, charset)) ?? readText(bytes);
}

function plainName(value: string): string | null {
  const text = readText(Buffer.from(value, 'latin1'));
  const name = text.includes('=?') ? decodeWords(text) : percentText(text);
  return name || null;
}

/** Decodes percent escapes only if all of them are valid UTF-8: `100% cotton.pdf` is meant literally. */
function percentText(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Decodes valid UTF-8 as such, anything else as Windows-1252 (WHATWG Encoding, section 4.2). */
function readText(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : readWindows1252(bytes);
}

/** Returns null for an unknown charset, or bytes that are invalid in it. */
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

/** Decodes a byte from two hexadecimal digits behind each mark. A mark without them stands for itself. */
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
  /** Offset behind the word. */
  readonly end: number;
}

/**
 * Decodes encoded words (RFC 2047 section 2). Adjacent words that only white space separates form one text (section
 * 6.2).
 */
function decodeWords(text: string): string {
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

/**
 * Reads an encoded word. Returns null if there is none here, and `unfinished` if no later text can contain one either.
 */
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
  // A language may follow the charset (RFC 2231 section 5).
  const [charset = ''] = head.slice(0, charsetEnd).split('*', 1);
  const bytes = encoding === 'b' ? Buffer.from(encoded, 'base64') : bytesOf(encoded.replaceAll('_', ' '), '=');
  return { charset: charset.toLowerCase(), bytes, end: textEnd + 2 };
}
