import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The value of `Host` (RFC 9110 section 7.2): a name or an address, with an optional port. */
const HOST = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?$/i;
const MAX_HOST_LENGTH = 300;
/** The start of an absolute request target, whose host replaces that of `Host` (RFC 9112 section 3.2.2). */
const ABSOLUTE_TARGET = /^[a-z][a-z0-9+.-]{0,15}:\/\/([^/?#]{0,300})/i;
const MAX_SCHEME_AND_HOST_LENGTH = 320;
const MAX_FORWARDED_HOSTS = 20;

export interface KnownHosts {
  /** `server.publicUrl`; null: only loopback names are known. */
  readonly publicUrl: string | null;
  /** `server.trustProxy`: `X-Forwarded-Host` is used, so its names must be known, too. */
  readonly trustProxy: boolean;
}

/**
 * Whether a request is addressed to this server by a known name. In a DNS rebinding attack, a name of the attacker's
 * resolves to this machine, so every host in the request must be a loopback name or the public one. Ports are ignored.
 */
export function isForKnownHost({ headers, rawHeaders, url = '' }: IncomingMessage, known: KnownHosts): boolean {
  const publicName = known.publicUrl === null ? null : nameOf(new URL(known.publicUrl).host);
  const hosts = hostsOf(rawHeaders);
  // Node reports one of several `Host` headers, and a proxy in front may have routed by another.
  if (hosts.length !== 1) return false;
  const [, absolute] = ABSOLUTE_TARGET.exec(url.slice(0, MAX_SCHEME_AND_HOST_LENGTH)) ?? [];
  if (absolute !== undefined) hosts.push(absolute);
  if (known.trustProxy) hosts.push(...forwardedHosts(headers['x-forwarded-host']));
  return hosts.every((host) => {
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

function forwardedHosts(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return String(header)
    .split(',', MAX_FORWARDED_HOSTS)
    .map((host) => host.trim());
}

/** Normalizes a host to one spelling. Returns null for text that is no host. */
function nameOf(host: string): string | null {
  if (host.length > MAX_HOST_LENGTH) return null;
  const [, address, name] = HOST.exec(host) ?? [];
  if (address !== undefined) return isIP(address) === 6 ? ipaddr.parse(address).toNormalizedString() : null;
  // A trailing dot makes a name absolute, and it remains the same name (RFC 1034 section 3.1).
  return name?.toLowerCase().replace(/\.$/, '') ?? null;
}

/** `localhost` and the names below it resolve to no other machine (RFC 6761 section 6.3). */
function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return isIP(name) !== 0 && ipaddr.process(name).range() === 'loopback';
}
