import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** RFC 9110 section 7.2: a name or an address, and perhaps a port. */
const HOST = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i;
const MAX_HOST_LENGTH = 300;
/** RFC 9112 section 3.2.2: the name before a request's path, which then counts and not `Host`. */
const ABSOLUTE_TARGET = /^[a-z][a-z0-9+.-]{0,15}:\/\/([^/?#]{0,300})/i;
const MAX_SCHEME_AND_HOST_LENGTH = 320;

export interface KnownHosts {
  /** `server.publicUrl`; null: loopback alone. */
  readonly publicUrl: string | null;
  /** Whether `X-Forwarded-Host` is believed, and so has to be known as well. */
  readonly trustProxy: boolean;
}

/**
 * Whether a request was meant for this server, and not for a name that somewhere else was made to lead here (DNS
 * rebinding): every name that it gives is this machine's or the public one. Ports say nothing of that.
 */
export function isForKnownHost({ headers, rawHeaders, url = '' }: IncomingMessage, known: KnownHosts): boolean {
  const publicName = known.publicUrl === null ? null : nameOf(new URL(known.publicUrl).host);
  const named = hostsOf(rawHeaders);
  // Of two, Node hands on one: who is in between may have taken the other.
  if (named.length !== 1) return false;
  const [, absolute] = ABSOLUTE_TARGET.exec(url.slice(0, MAX_SCHEME_AND_HOST_LENGTH)) ?? [];
  if (absolute !== undefined) named.push(absolute);
  if (known.trustProxy) named.push(...forwardedHosts(headers['x-forwarded-host']));
  return named.every((host) => {
    const name = nameOf(host);
    return name !== null && (name === publicName || isLoopbackName(name));
  });
}

function hostsOf(rawHeaders: readonly string[]): string[] {
  const hosts: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const value = rawHeaders[at + 1];
    if (rawHeaders[at]?.toLowerCase() === 'host' && value !== undefined) hosts.push(value);
  }
  return hosts;
}

function forwardedHosts(given: string | string[] | undefined): string[] {
  if (given === undefined) return [];
  return String(given)
    .split(',', 20)
    .map((host) => host.trim());
}

/** In one spelling; null for what is no host. */
function nameOf(host: string): string | null {
  if (host.length > MAX_HOST_LENGTH) return null;
  const [, address, name] = HOST.exec(host) ?? [];
  if (address !== undefined) return isIP(address) === 6 ? ipaddr.parse(address).toNormalizedString() : null;
  // A dot at the end makes a name absolute, and no other (RFC 1034 section 3.1).
  return name?.toLowerCase().replace(/\.$/, '') ?? null;
}

/** RFC 6761 section 6.3 has names below `localhost` lead to no other machine. */
function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return isIP(name) !== 0 && ipaddr.process(name).range() === 'loopback';
}
