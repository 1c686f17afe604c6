import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface AddressPolicyOptions {
  /** Non-public CIDRs that are allowed, on any port. */
  readonly allowPrivate: readonly string[];
  /** Allowed TCP ports of public addresses. */
  readonly allowedPorts: readonly number[];
}

/** The rule that an address violates, in words for callers. */
export type AddressRefusal = 'not an address' | 'not a public address' | 'not an allowed port';

type Range4 = [ipaddr.IPv4, number];
type Range6 = [ipaddr.IPv6, number];

/**
 * Decides which addresses an untrusted URL may lead to. It is an allow-list by class: an address is public only if the
 * IANA registries declare it globally reachable unicast. Reserved, special and unknown addresses are not public.
 */
export class AddressPolicy {
  /** Whether a private network is allowed, so that a host name on an unusual port may turn out to be allowed. */
  readonly opensPrivate: boolean;
  readonly #allowed4: readonly Range4[];
  readonly #allowed6: readonly Range6[];
  readonly #ports: ReadonlySet<number>;

  /** @throws RangeError if `allowPrivate` holds anything but CIDRs. */
  constructor(options: AddressPolicyOptions) {
    for (const cidr of options.allowPrivate) {
      if (!ipaddr.isValidCIDR(cidr)) throw new RangeError(`expected allowPrivate to hold CIDRs, got "${cidr}"`);
    }
    this.opensPrivate = options.allowPrivate.length > 0;
    this.#allowed4 = ranges4(options.allowPrivate.filter((cidr) => !cidr.includes(':')));
    this.#allowed6 = ranges6(options.allowPrivate.filter((cidr) => cidr.includes(':')));
    this.#ports = new Set(options.allowedPorts);
  }

  allowsPort(port: number): boolean {
    return this.#ports.has(port);
  }

  /**
   * Returns the rule that forbids an address (an IP address as text, without brackets) at a port; null if it is
   * allowed.
   */
  refusal(address: string, port: number): AddressRefusal | null {
    const judged = this.#judge(address);
    if (judged === 'opened') return null;
    if (judged !== 'public') return judged;
    return this.allowsPort(port) ? null : 'not an allowed port';
  }

  #judge(address: string): 'opened' | 'public' | AddressRefusal {
    // Node accepts only canonical dotted decimal (no zero padding, no short form); ipaddr.js accepts more.
    if (isIPv4(address)) return this.#judge4(ipaddr.IPv4.parse(address));
    // A zone (RFC 4007) names an interface of this host; public addresses have none.
    if (isIPv6(address) && !address.includes('%')) return this.#judge6(ipaddr.IPv6.parse(address), address);
    return 'not an address';
  }

  #judge4(address: ipaddr.IPv4): 'opened' | 'public' | AddressRefusal {
    if (this.#allowed4.some((range) => address.match(range))) return 'opened';
    return isPublic4(address) ? 'public' : 'not a public address';
  }

  #judge6(address: ipaddr.IPv6, text: string): 'opened' | 'public' | AddressRefusal {
    // Checked before the operator's list, because an IPv6 CIDR must not allow IPv4 addresses in another notation.
    if (text.includes('.') || embedsIPv4(address)) return 'not a public address';
    if (this.#allowed6.some((range) => address.match(range))) return 'opened';
    return isPublic6(address) ? 'public' : 'not a public address';
  }
}

/**
 * The IANA IPv4 Special-Purpose Address Registry and the multicast space. ipaddr.js knows most of it; an address must
 * pass both checks. 192.0.0.9, 192.0.0.10 and the AS112 and AMT blocks are reachable but serve no media.
 */
const SPECIAL_4 = ranges4([
  '0.0.0.0/8', // this network, RFC 791
  '10.0.0.0/8', // private use, RFC 1918
  '100.64.0.0/10', // shared address space, RFC 6598
  '127.0.0.0/8', // loopback, RFC 1122
  '169.254.0.0/16', // link local, RFC 3927
  '172.16.0.0/12', // private use, RFC 1918
  '192.0.0.0/24', // IETF protocol assignments, RFC 6890
  '192.0.2.0/24', // documentation, RFC 5737
  '192.31.196.0/24', // AS112-v4, RFC 7535
  '192.52.193.0/24', // AMT, RFC 7450
  '192.88.99.0/24', // 6to4 relay anycast, deprecated by RFC 7526
  '192.168.0.0/16', // private use, RFC 1918
  '192.175.48.0/24', // AS112, RFC 7534
  '198.18.0.0/15', // benchmarking, RFC 2544
  '198.51.100.0/24', // documentation, RFC 5737
  '203.0.113.0/24', // documentation, RFC 5737
  '224.0.0.0/4', // multicast, RFC 5771
  '240.0.0.0/4', // reserved, RFC 1112, with limited broadcast, RFC 8190
  '168.63.129.16/32', // in public space, but the platform endpoint of every Azure virtual network
]);

/** The only global unicast space that IANA assigns from (RFC 4291 section 2.4). */
const GLOBAL_UNICAST_6 = ranges6(['2000::/3']);

/** The entries of the IANA IPv6 Special-Purpose Address Registry within 2000::/3. */
const SPECIAL_6 = ranges6([
  '2001::/23', // IETF protocol assignments, RFC 2928: Teredo, benchmarking, AMT, AS112, ORCHID, drone ids
  '2001:db8::/32', // documentation, RFC 3849
  '2002::/16', // 6to4, RFC 3056
  '2620:4f:8000::/48', // AS112, RFC 7534
  '3ffe::/16', // 6bone, returned by RFC 3701
  '3fff::/20', // documentation, RFC 9637
]);

/** Prefixes of IPv6 addresses that embed an IPv4 address. */
const EMBEDDING_6 = ranges6([
  '::/96', // IPv4-compatible, RFC 4291
  '::ffff:0:0/96', // IPv4-mapped, RFC 4291
  '::ffff:0:0:0/96', // IPv4-translated, RFC 7915
  '64:ff9b::/96', // NAT64, RFC 6052
  '64:ff9b:1::/48', // local-use NAT64, RFC 8215
  '2001::/32', // Teredo, RFC 4380
  '2002::/16', // 6to4, RFC 3056
]);

const LOOPBACK_6 = ipaddr.IPv6.parse('::1');

function isPublic4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast' && !SPECIAL_4.some((range) => address.match(range));
}

function isPublic6(address: ipaddr.IPv6): boolean {
  return (
    GLOBAL_UNICAST_6.some((range) => address.match(range)) &&
    address.range() === 'unicast' &&
    !SPECIAL_6.some((range) => address.match(range))
  );
}

/**
 * Such addresses are refused for any embedded IPv4 address, because a translator on the path decides where the packet
 * goes.
 */
function embedsIPv4(address: ipaddr.IPv6): boolean {
  // ::1 lies in ::/96, but it is loopback, which an operator may allow.
  if (address.match([LOOPBACK_6, 128])) return false;
  return EMBEDDING_6.some((range) => address.match(range)) || hasIsatapInterfaceId(address);
}

/**
 * ISATAP (RFC 5214 section 6.1): interface identifier [02]00:5EFE:a.b.c.d below any prefix; the u and g bits may be
 * set.
 */
function hasIsatapInterfaceId(address: ipaddr.IPv6): boolean {
  const [, , , , flags = 0, marker = 0] = address.parts;
  return (flags & 0xfcff) === 0 && marker === 0x5efe;
}

function ranges4(cidrs: readonly string[]): Range4[] {
  return cidrs.map((cidr) => ipaddr.IPv4.parseCIDR(cidr));
}

function ranges6(cidrs: readonly string[]): Range6[] {
  return cidrs.map((cidr) => ipaddr.IPv6.parseCIDR(cidr));
}
