import { domainToASCII, domainToUnicode } from 'node:url';
import { MediagraphError } from '../../model/errors.js';
import { parseUrl } from '../../model/text/parse-url.js';
import type { AddressPolicy } from './public-address.js';

/** Signed URLs of object stores reach 2 to 4 kB. Common servers refuse request lines beyond 8 kB. */
export const MAX_URL_LENGTH = 8_192;
/**
 * Without the trailing dot (RFC 1035 section 2.3.4). A resolver fails for a longer name instead of reporting it as
 * unknown.
 */
const MAX_NAME_LENGTH = 253;
/** A label in the ASCII form of other letters (RFC 5890, A-label). */
const ENCODED_LABEL = /(^|\.)xn--/;

/**
 * Parses a URL if it may be fetched. The text is checked before it is parsed, because the parser (WHATWG URL) is
 * lenient: it drops tabs, turns backslashes into slashes, and reads `0177.1` or full-width digits as 127.0.0.1. Another
 * parser may read the same text differently. The parsed URL must then match the text.
 *
 * Host names are not resolved here: the connector checks their addresses.
 * @throws MediagraphError URL_NOT_ALLOWED, which names the rule but never the URL
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
 * Resolves a `Location` against `base` (RFC 9110 section 10.2.2). A reference with its own scheme or host is judged
 * like any untrusted URL; another one cannot leave the origin of `base`.
 * @param header as Node reads it, one character per byte; servers send UTF-8 although the grammar forbids it
 * @throws MediagraphError URL_NOT_ALLOWED, which names the rule but never the URL
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

/** Percent-encodes the bytes beyond ASCII once. Those of a host are decoded, since they are letters of its name. */
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

/** Accepts the plainest form of RFC 3986 section 3.2 only: scheme, two slashes, a host and an optional port. */
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
 * Requires the host in canonical form: an IPv4 address exactly as the parser prints it, a name in ASCII or in the
 * Unicode letters of its IDNA form (UTS 46). Circled or full-width letters, invisible characters, ideographic dots, and
 * IPv4 in octal, hexadecimal, short or padded form are refused.
 */
function assertSameHost(written: string, parsed: string): void {
  if (written.startsWith('[')) {
    // The parser compresses IPv6, so the spelling may differ. Only an embedded dotted quad is an alternative notation.
    if (written.includes('.')) throw refused('expected an IPv6 address without an IPv4 address inside');
    return;
  }
  const lower = written.normalize('NFC').toLowerCase();
  const unicode = domainToUnicode(parsed);
  if (lower !== parsed && lower !== unicode) throw refused('expected the host in its canonical spelling');
  if (!ENCODED_LABEL.test(parsed)) return;
  // Node 24 parses labels that IDNA cannot decode, and leaves them as they are. Earlier versions fail.
  if (ENCODED_LABEL.test(unicode) || domainToASCII(unicode) !== parsed)
    throw refused('expected a host whose labels IDNA can decode');
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
  // While private networks are allowed, a name on any port may lead into one of them. The connector then decides, and
  // still limits public addresses to the allowed ports.
  if (policy.opensPrivate) return;
  if (!policy.allowsPort(port)) throw refused('expected an allowed port');
  if (isLocalName(url.hostname)) throw refused('expected a public host name');
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** Returns the literal address of a parsed URL's host name, without brackets; null for a name. */
function addressOf(hostname: string): string | null {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  // The parser turns every numeric host into an IPv4 address in dotted decimal, or fails.
  return /^\d+\.\d+\.\d+\.\d+$/.test(hostname) ? hostname : null;
}

/**
 * Names of this host or this network (RFC 6761, RFC 6762, RFC 8375, and `.internal`, reserved by ICANN). Their
 * addresses would be refused anyway; this check saves a DNS query.
 */
function isLocalName(hostname: string): boolean {
  return /(^|\.)(localhost|localdomain|local|internal|home\.arpa|ip6-localhost|ip6-loopback)\.?$/.test(hostname);
}
