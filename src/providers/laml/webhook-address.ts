/** Each spelling costs an HMAC over a form of up to 256 KiB. */
const MAX_SPELLINGS = 48;
/**
 * Up to this number of ambiguous characters, all combinations are tried; beyond it, only those that treat equal
 * characters equally.
 */
const MAX_COMBINED = 5;

/** Characters that RFC 3986 and common proxies and clients escape differently. */
const AMBIGUOUS = /%([0-9a-f]{2})|[!'()*"<>`{}|^\\[\]~]/gi;
const IS_AMBIGUOUS = /^[!'()*"<>`{}|^\\[\]~]$/;

/** A character that may appear raw or escaped. */
interface Occurrence {
  readonly start: number;
  readonly end: number;
  readonly raw: string;
  readonly escaped: string;
}

/**
 * Returns the address and the spellings that it may have had before a proxy rewrote it. One of them is the address that
 * the provider signed. All of them identify the same resource (RFC 3986 section 6.2.2).
 */
export function addressSpellings(address: string): string[] {
  const origin = /^[a-z]+:\/\/[^/?#]*/i.exec(address)?.[0] ?? '';
  const target = address.slice(origin.length);
  const targets = new Set([target]);
  for (const spelling of [...combinations(target), ...restyled(target)]) targets.add(spelling);
  for (const spelling of [...targets]) {
    targets.add(inCase(spelling, (triplet) => triplet.toUpperCase()));
    targets.add(inCase(spelling, (triplet) => triplet.toLowerCase()));
  }
  const spellings = [...targets]
    .slice(0, MAX_SPELLINGS)
    .flatMap((spelling) => portsOf(origin).map((at) => at + spelling));
  return [...new Set([address, ...spellings])];
}

/** Returns the origin unchanged, without a port, and with its scheme's default port: the backends disagree on it. */
function portsOf(origin: string): string[] {
  const lower = origin.toLowerCase();
  const standard = lower.startsWith('https://') ? ':443' : lower.startsWith('http://') ? ':80' : null;
  if (standard === null) return [origin];
  // The last colon of an IPv6 address may be within its brackets.
  const colon = origin.lastIndexOf(':');
  const hasPort = colon > lower.indexOf('//') && /^\d+$/.test(origin.slice(colon + 1));
  const bare = hasPort ? origin.slice(0, colon) : origin;
  return [origin, bare, bare + standard];
}

function combinations(target: string): string[] {
  const occurrences = occurrencesIn(target);
  if (occurrences.length === 0) return [];
  if (occurrences.length <= MAX_COMBINED) {
    return Array.from({ length: 2 ** occurrences.length }, (_, mask) =>
      spelled(target, occurrences, (_raw, index) => (mask & (1 << index)) === 0),
    );
  }
  const kinds = [...new Set(occurrences.map(({ raw }) => raw))];
  const rules: Array<(raw: string) => boolean | null> = [
    () => true,
    () => false,
    // The rules of encodeURIComponent, and of the URL standard's query of a special scheme.
    (raw) => "!'()*~".includes(raw),
    (raw) => !`'"<>`.includes(raw),
    ...kinds.flatMap((kind) => [true, false].map((isRaw) => (raw: string) => (raw === kind ? isRaw : null))),
  ];
  return rules.map((rule) => spelled(target, occurrences, rule));
}

function occurrencesIn(target: string): Occurrence[] {
  const occurrences: Occurrence[] = [];
  for (const { 0: text, 1: hex, index } of target.matchAll(AMBIGUOUS)) {
    const raw = hex === undefined ? text : String.fromCharCode(Number.parseInt(hex, 16));
    if (!IS_AMBIGUOUS.test(raw)) continue;
    const escaped = `%${raw.charCodeAt(0).toString(16).toUpperCase()}`;
    occurrences.push({ start: index, end: index + text.length, raw, escaped });
  }
  return occurrences;
}

/** @param isRaw null leaves the character unchanged */
function spelled(
  target: string,
  occurrences: readonly Occurrence[],
  isRaw: (raw: string, index: number) => boolean | null,
): string {
  let text = '';
  let at = 0;
  occurrences.forEach(({ start, end, raw, escaped }, index) => {
    const keepRaw = isRaw(raw, index);
    text += target.slice(at, start) + (keepRaw === null ? target.slice(start, end) : keepRaw ? raw : escaped);
    at = end;
  });
  return text + target.slice(at);
}

/**
 * Returns the address as it reads after its query was parsed and serialized, or its non-ASCII characters were
 * (un)escaped.
 */
function restyled(target: string): string[] {
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? null : target.slice(question + 1);
  const readable = target.replace(/(%[89a-f][0-9a-f])+/gi, (run) => decodedOr(run, run));
  const ascii = target.replace(/[^\x20-\x7e]+/g, (run) => encodeURI(run.toWellFormed()));
  const styles = [readable, ascii];
  if (query === null) return styles;
  const decoded = (part: string) => decodedOr(part.replaceAll('+', ' '), part).toWellFormed();
  const component = (part: string) => encodeURIComponent(decoded(part));
  const plain = (part: string) => encodeURI(decoded(part)).replace(/[&=+#]/g, escapedAscii);
  const parts = query.split('&').map((pair) => pair.split('='));
  const joined = (style: (part: string) => string) =>
    `${path}?${parts.map((pair) => pair.map(style).join('=')).join('&')}`;
  const strict = (part: string) => component(part).replace(/[!'()*]/g, escapedAscii);
  return [
    ...styles,
    joined(plain),
    joined(component),
    joined(strict),
    joined((part) => component(part).replaceAll('%20', '+')),
    joined((part) =>
      component(part)
        .replace(/[!'()~]/g, escapedAscii)
        .replaceAll('%20', '+'),
    ),
    target.replaceAll('%20', '+'),
    `${path}?${query.replaceAll('+', '%20')}`,
  ];
}

function escapedAscii(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function decodedOr(text: string, otherwise: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return otherwise;
  }
}

function inCase(text: string, change: (triplet: string) => string): string {
  return text.replace(/%[0-9a-f]{2}/gi, change);
}
