import { domainToUnicode } from 'node:url';
import { MediagraphError } from '../../model/errors.js';
import { parseUrl } from '../../model/parse-url.js';
import type { AddressPolicy } from './public-address.js';

/** Signed URLs of object stores reach 2 to 4 kB; request lines beyond 8 kB are refused by common servers. */
export const MAX_URL_LENGTH = 8_192;
/** Without a dot at the end: RFC 1035 section 2.3.4. A resolver does not take a longer one for a name that is not there. */
const MAX_NAME_LENGTH = 253;

/**
 * The URL that this text says, if it may be asked for. The text is judged before it is parsed, because the parser (WHATWG
 * URL) forgives much: it drops tabs, turns backslashes, and reads `0177.1` or full-width digits as 127.0.0.1. What it
 * forgives, another reader of the same text may read differently. Then the parsed URL must say what the text said.
 *
 * Host names are not resolved here: their addresses are judged when a connection is made.
 * @throws MediagraphError URL_NOT_ALLOWED, naming the rule, never the URL.
 */
export function judgeUrl(text: string, policy: AddressPolicy): URL {
  assertPlainText(text);
  const authority = authorityOf(text);
  const url = parse(text);
  if (url.username !== '' || url.password !== '') throw refused('expected no user information');
  assertSameHost(authority.host, url.hostname);
  assertAllowedTarget(url, policy);
  return url;
}

/**
 * The URL that a `Location` leads to, seen from `base` (RFC 9110 section 10.2.2). A reference with a scheme or with a
 * host of its own is judged like a stranger's URL; any other cannot leave the origin of `base`.
 * @param header as Node gives it: a character for a byte, which servers write in UTF-8 against the grammar
 * @throws MediagraphError URL_NOT_ALLOWED, naming the rule, never the URL.
 */
export function judgeRedirect(header: string, base: URL, policy: AddressPolicy): URL {
  const location = inAscii(header);
  assertPlainText(location);
  if (/^[a-z][a-z0-9+.-]*:/i.test(location)) return judgeUrl(location, policy);
  if (location.startsWith('//')) return judgeUrl(base.protocol + location, policy);
  const url = parse(location, base);
  if (url.origin !== base.origin) throw refused('expected a relative reference to stay on its host');
  return judgeUrl(url.href, policy);
}

/** Its bytes beyond ASCII percent-encoded, once; those of a host are letters of its name. */
function inAscii(header: string): string {
  if (header.length > MAX_URL_LENGTH || !/^[\0-\xff]*$/.test(header)) return header;
  const authorityStart = /^(?:[a-z][a-z0-9+.-]*:)?\/\//i.exec(header)?.[0].length ?? 0;
  const authority = authorityStart === 0 ? '' : (/^[^/?#]*/.exec(header.slice(authorityStart))?.[0] ?? '');
  const pathStart = authorityStart + authority.length;
  const host = Buffer.from(authority, 'latin1').toString('utf8');
  return header.slice(0, authorityStart) + host + percentEncoded(header.slice(pathStart));
}

function percentEncoded(bytes: string): string {
  return bytes.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

function refused(rule: string): MediagraphError {
  return new MediagraphError('URL_NOT_ALLOWED', `the URL is not allowed: ${rule}`);
}

function assertPlainText(text: string): void {
  if (text.length > MAX_URL_LENGTH) throw refused(`expected at most ${MAX_URL_LENGTH} characters, got ${text.length}`);
  if (/[\s\p{Cc}]/u.test(text)) throw refused('expected no spaces or control characters');
  if (text.includes('\\')) throw refused('expected no backslashes');
}

/** RFC 3986 section 3.2 as plainly as it can be written: scheme, two slashes, a host, perhaps a port. */
function authorityOf(text: string): { host: string } {
  const [, scheme = '', authority = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text) ?? [];
  if (!/^https?$/i.test(scheme)) throw refused('expected http:// or https://');
  if (authority.includes('@')) throw refused('expected no user information');
  if (authority.includes('%')) throw refused('expected a host without percent-encoding');
  const [, host, port] = /^(\[[^[\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(authority) ?? [];
  if (host === undefined || host === '') throw refused('expected a host');
  if (port !== undefined && !/^[1-9]\d{0,4}$/.test(port)) throw refused('expected a port as a plain decimal number');
  return { host };
}

function parse(text: string, base?: URL): URL {
  const url = parseUrl(text, base);
  if (!url) throw refused('expected a well-formed URL');
  return url;
}

/**
 * The host must be written as it is meant: an IPv4 address exactly as the parser prints it, a name in ASCII or in the
 * very Unicode letters that its IDNA form (UTS 46) stands for. Circled or full-width letters, invisible characters,
 * ideographic dots, and IPv4 in octal, hex, short or padded form all fail here.
 */
function assertSameHost(written: string, parsed: string): void {
  if (written.startsWith('[')) {
    // The parser compresses IPv6; only a dotted quad inside the brackets is a spelling of something else.
    if (written.includes('.')) throw refused('expected an IPv6 address without an IPv4 address inside');
    return;
  }
  const lower = written.normalize('NFC').toLowerCase();
  if (lower !== parsed && lower !== domainToUnicode(parsed))
    throw refused('expected the host in its canonical spelling');
}

function assertAllowedTarget(url: URL, policy: AddressPolicy): void {
  const port = portOf(url);
  const address = addressOf(url.hostname);
  if (address !== null) {
    const refusal = policy.refusal(address, port);
    if (refusal !== null) throw refused(`expected a public address on an allowed port, got ${refusal}`);
    return;
  }
  if (url.hostname.replace(/\.$/, '').length > MAX_NAME_LENGTH)
    throw refused(`expected a host name of at most ${MAX_NAME_LENGTH} characters`);
  // With private networks open, a name on any port may lead into one of them: the connector decides, which also holds
  // public addresses to the allowed ports.
  if (policy.opensPrivate) return;
  if (!policy.allowsPort(port)) throw refused('expected an allowed port');
  if (isLocalName(url.hostname)) throw refused('expected a public host name');
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** The literal address in a parsed URL's host name, without brackets; null for a name. */
function addressOf(hostname: string): string | null {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  // The parser has made every number-like host an IPv4 address in dotted decimal, or has failed.
  return /^\d+\.\d+\.\d+\.\d+$/.test(hostname) ? hostname : null;
}

/**
 * Names that mean this host or this network (RFC 6761, RFC 6762, RFC 8375, and `.internal`, reserved by ICANN). Their
 * addresses would be refused anyway; this only spares the resolver the question.
 */
function isLocalName(hostname: string): boolean {
  return /(^|\.)(localhost|localdomain|local|internal|home\.arpa|ip6-localhost|ip6-loopback)\.?$/.test(hostname);
}
