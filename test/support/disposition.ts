/** What a Content-Disposition header says. */
export interface ParsedDisposition {
  readonly type: string;
  /** `filename`, as a reader of RFC 2616's day takes it. */
  readonly plain: string;
  /** `filename*` where it is there, else {@link plain} (RFC 6266 section 4.3). */
  readonly name: string;
}

/** RFC 9110 section 5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** RFC 9110 section 5.6.4, of ASCII alone, since obs-text has no defined meaning. */
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\t \\x21-\\x7e])*"';
const PARAMETER = new RegExp(`\\s*;\\s*(${TOKEN})\\s*=\\s*(${TOKEN}|${QUOTED})`, 'y');
/** RFC 8187 section 3.2.1, for the one charset that every recipient must support. */
const EXTENDED = /^UTF-8''((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-F]{2})*)$/;

/**
 * By the grammar of RFC 6266 section 4.1 and nothing beyond it.
 * @throws Error for a header that is not of it, that names a parameter twice, or none of the two names
 */
export function parseDisposition(header: string): ParsedDisposition {
  const type = new RegExp(`^${TOKEN}`).exec(header)?.[0];
  if (type === undefined) throw new Error(`expected a disposition, got ${JSON.stringify(header)}`);
  const parameters = new Map<string, string>();
  for (let at = type.length; at < header.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const [, name = '', value = ''] = PARAMETER.exec(header) ?? [];
    if (name === '') throw new Error(`expected a parameter at ${at}, got ${JSON.stringify(header)}`);
    if (parameters.has(name.toLowerCase())) throw new Error(`expected ${name} once, got ${JSON.stringify(header)}`);
    parameters.set(name.toLowerCase(), value);
  }
  const given = parameters.get('filename');
  if (given === undefined) throw new Error(`expected a filename, got ${JSON.stringify(header)}`);
  const plain = given.startsWith('"') ? given.slice(1, -1).replace(/\\(.)/g, '$1') : given;
  const extended = parameters.get('filename*');
  return { type, plain, name: extended === undefined ? plain : decoded(extended) };
}

/** @throws Error for an ext-value that is none, URIError for octets that are no UTF-8 */
function decoded(extended: string): string {
  const octets = EXTENDED.exec(extended)?.[1];
  if (octets === undefined) throw new Error(`expected an ext-value of UTF-8, got ${extended}`);
  return decodeURIComponent(octets);
}
