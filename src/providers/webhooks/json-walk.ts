import { isUtf8 } from 'node:buffer';

/** Containers below this depth are not read. */
const MAX_DEPTH = 64;
/** UTF-16 units of a text; the rest is cut off. No field that is read needs more. */
const MAX_TEXT = 65_536;
/** Longer names are never looked up. An escaped letter takes six bytes. */
const MAX_NAME_BYTES = 240;
const MAX_NUMBER_BYTES = 40;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export type JsonPart = string | number | boolean | null | JsonObject | JsonList;

export interface JsonBody {
  readonly value: JsonPart;
  /** Whether a part of the body is nested deeper than 64 containers. */
  readonly isTooDeep: boolean;
}

/**
 * Checks a JSON body (RFC 8259) once and leaves it as bytes; values are read on access. Three megabytes of empty
 * objects, or of names with colliding hashes, would cost `JSON.parse` a second and a hundred times their size in
 * memory. Returns null for a body that is not JSON in UTF-8.
 */
export function openJson(body: Buffer): JsonBody | null {
  if (!isUtf8(body)) return null;
  // One character per byte: engines read a string faster than a buffer.
  const bytes = body.toString('latin1');
  const check = new JsonCheck(bytes);
  if (!check.passes()) return null;
  return { value: partAt(bytes, afterSpace(bytes, 0)), isTooDeep: check.isTooDeep };
}

/** An object. Every `pick` scans its members again. */
export class JsonObject {
  constructor(
    private readonly bytes: string,
    private readonly start: number,
  ) {}

  /** Returns the members with these names that exist. The last of several equal names wins, as in `JSON.parse`. */
  pick(names: readonly string[]): ReadonlyMap<string, JsonPart> {
    const places = new Map<string, number>();
    const { bytes } = this;
    for (let at = afterSpace(bytes, this.start + 1); bytes.charCodeAt(at) !== CLOSE_OBJECT; ) {
      const nameEnd = endOfText(bytes, at);
      const value = afterSpace(bytes, afterSpace(bytes, nameEnd) + 1);
      const name = nameAt(bytes, at, nameEnd);
      if (names.includes(name)) places.set(name, value);
      at = afterSpace(bytes, endOf(bytes, value));
      if (bytes.charCodeAt(at) === COMMA) at = afterSpace(bytes, at + 1);
    }
    const members = new Map<string, JsonPart>();
    for (const [name, place] of places) members.set(name, partAt(bytes, place));
    return members;
  }
}

/** A list. Its elements are read while it is iterated. */
export class JsonList implements Iterable<JsonPart> {
  constructor(
    private readonly bytes: string,
    private readonly start: number,
  ) {}

  *[Symbol.iterator](): Generator<JsonPart, void, undefined> {
    const { bytes } = this;
    for (let at = afterSpace(bytes, this.start + 1); bytes.charCodeAt(at) !== CLOSE_LIST; ) {
      yield partAt(bytes, at);
      at = afterSpace(bytes, endOf(bytes, at));
      if (bytes.charCodeAt(at) === COMMA) at = afterSpace(bytes, at + 1);
    }
  }

  /** Returns at most `count` elements from the start. */
  first(count: number): JsonPart[] {
    const parts: JsonPart[] = [];
    for (const part of this) {
      if (parts.length === count) break;
      parts.push(part);
    }
    return parts;
  }
}

// The functions below, except JsonCheck, read bytes that have been checked.

function partAt(bytes: string, at: number): JsonPart {
  switch (bytes.charCodeAt(at)) {
    case OPEN_OBJECT:
      return new JsonObject(bytes, at);
    case OPEN_LIST:
      return new JsonList(bytes, at);
    case QUOTE:
      return textAt(bytes, at);
    case 0x74:
      return true;
    case 0x66:
      return false;
    case 0x6e:
      return null;
    default: {
      const end = endOf(bytes, at);
      return end - at > MAX_NUMBER_BYTES ? Number.NaN : Number(bytes.slice(at, end));
    }
  }
}

function nameAt(bytes: string, start: number, end: number): string {
  if (end - start > MAX_NAME_BYTES) return '';
  const name = bytes.slice(start + 1, end - 1);
  return /[\\\x80-\xff]/.test(name) ? textOf(bytes.slice(start, end)) : name;
}

function textAt(bytes: string, start: number): string {
  const end = endOfText(bytes, start);
  if (end - start <= MAX_TEXT) return textOf(bytes.slice(start, end));
  let at = start + 1;
  for (let units = 0; units < MAX_TEXT && at < end - 1; units += 1) at += lengthAt(bytes, at);
  return textOf(`${bytes.slice(start, at)}"`);
}

/** Length in bytes of one character of a text: an escape or a UTF-8 sequence. */
function lengthAt(bytes: string, at: number): number {
  const byte = bytes.charCodeAt(at);
  if (byte === BACKSLASH) return bytes.charCodeAt(at + 1) === 0x75 ? 6 : 2;
  if (byte < 0x80) return 1;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

function textOf(literal: string): string {
  const isAscii = !/[^\x20-\x7e]/.test(literal);
  const text: unknown = JSON.parse(isAscii ? literal : Buffer.from(literal, 'latin1').toString('utf8'));
  return typeof text === 'string' ? text : '';
}

function afterSpace(bytes: string, start: number): number {
  let at = start;
  for (
    let byte = bytes.charCodeAt(at);
    byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
    byte = bytes.charCodeAt(at)
  )
    at += 1;
  return at;
}

/** Returns the offset behind the closing quote of the text at `start`, or behind the last byte if there is none. */
function endOfText(bytes: string, start: number): number {
  let at = start + 1;
  while (at < bytes.length) {
    const byte = bytes.charCodeAt(at);
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return bytes.length + 1;
}

/** Returns the offset behind the value at `start`. */
function endOf(bytes: string, start: number): number {
  const first = bytes.charCodeAt(start);
  if (first === QUOTE) return endOfText(bytes, start);
  if (first === OPEN_OBJECT || first === OPEN_LIST) return endOfContainer(bytes, start);
  let at = start;
  while (at < bytes.length && !isDelimiter(bytes.charCodeAt(at))) at += 1;
  return at;
}

/**
 * Returns the offset behind the container at `start`, without matching bracket types, or past the end if it is not
 * closed.
 */
function endOfContainer(bytes: string, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; ) {
    const byte = bytes.charCodeAt(at);
    if (byte === QUOTE) {
      at = endOfText(bytes, at);
      continue;
    }
    at += 1;
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1;
    if (byte !== CLOSE_OBJECT && byte !== CLOSE_LIST) continue;
    depth -= 1;
    if (depth === 0) return at;
  }
  return bytes.length + 1;
}

function isDelimiter(byte: number): boolean {
  return byte <= 0x20 || byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT;
}

/** Validates a JSON text in one pass. */
class JsonCheck {
  isTooDeep = false;
  #at = 0;

  constructor(private readonly bytes: string) {}

  passes(): boolean {
    return this.#value(0) && Number.isNaN(this.#next());
  }

  /** Returns the next byte that is no white space; NaN at the end. */
  #next(): number {
    this.#at = afterSpace(this.bytes, this.#at);
    return this.bytes.charCodeAt(this.#at);
  }

  #value(depth: number): boolean {
    switch (this.#next()) {
      case OPEN_OBJECT:
        return depth < MAX_DEPTH ? this.#object(depth + 1) : this.#skip();
      case OPEN_LIST:
        return depth < MAX_DEPTH ? this.#list(depth + 1) : this.#skip();
      case QUOTE:
        return this.#text();
      case 0x74:
        return this.#word('true');
      case 0x66:
        return this.#word('false');
      case 0x6e:
        return this.#word('null');
      default:
        return this.#number();
    }
  }

  #skip(): boolean {
    this.isTooDeep = true;
    this.#at = endOfContainer(this.bytes, this.#at);
    return this.#at <= this.bytes.length;
  }

  #object(depth: number): boolean {
    this.#at += 1;
    if (this.#next() === CLOSE_OBJECT) return this.#step();
    for (;;) {
      if (this.#next() !== QUOTE || !this.#text() || this.#next() !== COLON) return false;
      this.#at += 1;
      if (!this.#value(depth)) return false;
      const next = this.#next();
      if (next === CLOSE_OBJECT) return this.#step();
      if (next !== COMMA) return false;
      this.#at += 1;
    }
  }

  #list(depth: number): boolean {
    this.#at += 1;
    if (this.#next() === CLOSE_LIST) return this.#step();
    for (;;) {
      if (!this.#value(depth)) return false;
      const next = this.#next();
      if (next === CLOSE_LIST) return this.#step();
      if (next !== COMMA) return false;
      this.#at += 1;
    }
  }

  #step(): boolean {
    this.#at += 1;
    return true;
  }

  #word(word: string): boolean {
    const start = this.#at;
    this.#at += word.length;
    return this.bytes.slice(start, this.#at) === word;
  }

  #text(): boolean {
    const { bytes } = this;
    let at = this.#at + 1;
    for (;;) {
      const byte = bytes.charCodeAt(at);
      // Written as a negation, because the byte is NaN at the end.
      if (!(byte >= 0x20)) return false;
      at += 1;
      if (byte === QUOTE) break;
      if (byte !== BACKSLASH) continue;
      const escaped = bytes.charCodeAt(at);
      at += 1;
      if (escaped === 0x75) {
        for (const end = at + 4; at < end; at += 1) if (!isHexDigit(bytes.charCodeAt(at))) return false;
      } else if (!ESCAPES.has(escaped)) return false;
    }
    this.#at = at;
    return true;
  }

  #number(): boolean {
    if (this.bytes.charCodeAt(this.#at) === 0x2d) this.#at += 1;
    const isZero = this.bytes.charCodeAt(this.#at) === 0x30;
    const whole = this.#digits();
    if (whole === 0 || (isZero && whole > 1)) return false;
    if (this.bytes.charCodeAt(this.#at) === 0x2e) {
      this.#at += 1;
      if (this.#digits() === 0) return false;
    }
    const exponent = this.bytes.charCodeAt(this.#at);
    if (exponent !== 0x65 && exponent !== 0x45) return true;
    this.#at += 1;
    const sign = this.bytes.charCodeAt(this.#at);
    if (sign === 0x2b || sign === 0x2d) this.#at += 1;
    return this.#digits() > 0;
  }

  #digits(): number {
    const start = this.#at;
    while (isDigit(this.bytes.charCodeAt(this.#at))) this.#at += 1;
    return this.#at - start;
  }
}

/** `"`, `\`, `/`, b, f, n, r, t. */
const ESCAPES: ReadonlySet<number> = new Set([QUOTE, BACKSLASH, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74]);

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
