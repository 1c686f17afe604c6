import { isUtf8 } from 'node:buffer';

/** What deeper containers hold is not looked at. */
const MAX_DEPTH = 64;
/** UTF-16 units of a text; what follows is cut off. More than any field that is read can use. */
const MAX_TEXT = 65_536;
/** The longest name that is asked for is far below; escapes take six bytes a letter. */
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
  /** Whether something in it lies deeper than 64 containers. */
  readonly isTooDeep: boolean;
}

/**
 * A body of JSON (RFC 8259) that stays bytes: three megabytes of empty objects, or of names whose hashes collide, cost
 * `JSON.parse` a second and a hundred times their size. Here they are checked once, and read where they are asked for.
 * null: no JSON in UTF-8.
 */
export function openJson(body: Buffer): JsonBody | null {
  if (!isUtf8(body)) return null;
  // A character for each byte: engines read those faster than a buffer's.
  const bytes = body.toString('latin1');
  const check = new JsonCheck(bytes);
  if (!check.passes()) return null;
  return { value: partAt(bytes, afterSpace(bytes, 0)), isTooDeep: check.isTooDeep };
}

/** An object whose members are looked for anew with every call. */
export class JsonObject {
  constructor(
    private readonly bytes: string,
    private readonly start: number,
  ) {}

  /** The members of these names, as far as they are there; of several with one name the last, as `JSON.parse` has it. */
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
    const found = new Map<string, JsonPart>();
    for (const [name, place] of places) found.set(name, partAt(bytes, place));
    return found;
  }
}

/** A list whose elements are found while it is walked. */
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

  /** At most so many elements, the first ones. */
  first(count: number): JsonPart[] {
    const found: JsonPart[] = [];
    for (const part of this) {
      if (found.length === count) break;
      found.push(part);
    }
    return found;
  }
}

// All that follows reads bytes that were checked, but for JsonCheck itself.

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

/** Bytes of one character of a text: an escape, or a sequence of UTF-8. */
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

/** Behind the closing quote of the text that starts here; behind the last byte where there is none. */
function endOfText(bytes: string, start: number): number {
  let at = start + 1;
  while (at < bytes.length) {
    const byte = bytes.charCodeAt(at);
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return bytes.length + 1;
}

/** Behind the value that starts here. */
function endOf(bytes: string, start: number): number {
  const first = bytes.charCodeAt(start);
  if (first === QUOTE) return endOfText(bytes, start);
  if (first === OPEN_OBJECT || first === OPEN_LIST) return endOfContainer(bytes, start);
  let at = start;
  while (at < bytes.length && !isDelimiter(bytes.charCodeAt(at))) at += 1;
  return at;
}

/** Behind the container that starts here, whatever its brackets are paired with; past the end where it is not closed. */
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

/** Reads a text once, from its first byte to its last. */
class JsonCheck {
  isTooDeep = false;
  #at = 0;

  constructor(private readonly bytes: string) {}

  passes(): boolean {
    return this.#value(0) && Number.isNaN(this.#next());
  }

  /** The next byte that is no white space; NaN at the end. */
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
      // Not above: the end is no number.
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
