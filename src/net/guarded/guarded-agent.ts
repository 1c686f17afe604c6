import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { MediagraphError } from '../../model/errors.js';
import { NetError } from '../../streams/net-error.js';
import type { AddressPolicy } from './public-address.js';

export interface GuardedAgentOptions {
  readonly policy: AddressPolicy;
  /**
   * Limits the time until the connection is established, including name resolution and TLS. undici's timer ticks every
   * half second.
   */
  readonly connectTimeoutMs: number;
  /** Resolves host names, with the signature of `dns.lookup`, which is the default. */
  readonly lookup?: LookupFunction;
  /** CA certificates (PEM) to trust instead of the bundled ones. */
  readonly ca?: string;
}

/**
 * Creates an undici Agent that connects only to addresses the policy allows. The connector checks them, so the policy
 * covers every hop and every new connection: literal addresses (Node does not look these up), names within the
 * connection's own lookup (a second resolution could answer differently), and the peer address of the connected socket.
 *
 * Requests reject with `MediagraphError URL_NOT_ALLOWED`. The agent's timeouts for headers and bodies are off; the
 * caller sets exact ones. Use one agent per policy: an open connection is not checked again.
 */
export function createGuardedAgent(options: GuardedAgentOptions): Agent {
  return new Agent({
    connect: guardedConnector(options),
    headersTimeout: 0,
    bodyTimeout: 0,
    // An untrusted server's Keep-Alive hint must not keep our sockets open for minutes.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
  });
}

function guardedConnector(options: GuardedAgentOptions): buildConnector.connector {
  const { policy, connectTimeoutMs, lookup = systemLookup, ca } = options;
  return (target, callback) => {
    const port = Number(target.port || (target.protocol === 'https:' ? 443 : 80));
    if (isIP(target.hostname) !== 0) {
      const refusal = policy.refusal(target.hostname, port);
      if (refusal !== null) {
        callback(notAllowed(`connection to ${target.hostname} port ${port}: ${refusal}`), null);
        return;
      }
    }
    // Each connection gets its own connector, because the lookup must know the port. It caches no TLS session:
    // resumption would carry state from one untrusted peer to the next and save little.
    const connect = buildConnector({
      timeout: connectTimeoutMs,
      maxCachedSessions: 0,
      lookup: guardLookup(lookup, policy, port),
      ...(ca === undefined ? {} : { ca }),
    });
    connect(target, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const fault = peerFault(socket.remoteAddress, policy, port);
      if (fault === null) {
        callback(null, socket);
        return;
      }
      socket.destroy();
      callback(fault, null);
    });
  };
}

/** Resolves all addresses of a name and returns them only if the policy allows every one. */
function guardLookup(lookup: LookupFunction, policy: AddressPolicy, port: number): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, answer) => {
      if (error) {
        callback(error, []);
        return;
      }
      const addresses = (typeof answer === 'string' ? [answer] : answer.map((entry) => entry.address)).map(
        (address) => ({
          address,
          family: isIP(address),
        }),
      );
      const fault = answerFault(addresses, policy, port);
      const [first] = addresses;
      if (fault !== null || first === undefined) callback(fault ?? noAddress(), []);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/**
 * Refuses a name with one forbidden address among allowed ones: which of them is used would be chance, or an attack.
 */
function answerFault(addresses: readonly { address: string }[], policy: AddressPolicy, port: number): Error | null {
  for (const { address } of addresses) {
    const refusal = policy.refusal(address, port);
    if (refusal !== null) return notAllowed(`host resolved to ${address} port ${port}: ${refusal}`);
  }
  return null;
}

function peerFault(remoteAddress: string | undefined, policy: AddressPolicy, port: number): Error | null {
  if (remoteAddress === undefined) return new NetError('CONNECTION', 'expected a connection, but it was lost at once');
  const refusal = policy.refusal(remoteAddress, port);
  return refusal === null ? null : notAllowed(`connected to ${remoteAddress} port ${port}: ${refusal}`);
}

function noAddress(): NetError {
  return new NetError('CONNECTION', 'expected the host to have an address, got none');
}

/** The caller learns the rule. The address is for the log only, since it may reveal the structure of our network. */
function notAllowed(detail: string): MediagraphError {
  const message = 'the URL is not allowed: expected a host with public addresses on an allowed port';
  return new MediagraphError('URL_NOT_ALLOWED', message, {}, { cause: new Error(detail) });
}
