import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { MediagraphError } from '../../model/errors.js';
import { NetError } from '../../streams/net-error.js';
import type { AddressPolicy } from './public-address.js';

export interface GuardedAgentOptions {
  readonly policy: AddressPolicy;
  /** Until the connection stands, name resolution and TLS included; undici's clock ticks every half second. */
  readonly connectTimeoutMs: number;
  /** Resolves host names; the shape of `dns.lookup`, which is the default. */
  readonly lookup?: LookupFunction;
  /** Certificates (PEM) to trust instead of the bundled ones. */
  readonly ca?: string;
}

/**
 * An undici Agent whose every connection leads to an address that the policy allows. The judgement is made in the
 * connector, so it holds for each hop and each new connection, whatever made the request: literal addresses there
 * (Node asks no lookup for them), names in the connection's own lookup (no second resolution that could answer
 * differently), and the peer once more when the socket stands.
 *
 * Requests reject with `MediagraphError URL_NOT_ALLOWED`. Its timeouts for headers and bodies are off: they are the
 * caller's, with exact timers. Never share an agent between policies: an open connection is not judged again.
 */
export function createGuardedAgent(options: GuardedAgentOptions): Agent {
  return new Agent({
    connect: guardedConnector(options),
    headersTimeout: 0,
    bodyTimeout: 0,
    // A stranger's Keep-Alive hint must not keep our sockets for minutes.
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
    // One connector per connection, since the lookup must know the port. It takes no session cache along: a resumed TLS
    // session would spare a stranger's host little and carry state from one peer to the next.
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

/** Asks for all addresses of a name and hands them on only if every one is allowed. */
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

/** A name with one bad address among good ones is refused whole: which of them is used would be chance, or an attack. */
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

/** The caller learns the rule; the address, which may tell about our network, is for the log alone. */
function notAllowed(detail: string): MediagraphError {
  const message = 'the URL is not allowed: expected a host with public addresses on an allowed port';
  return new MediagraphError('URL_NOT_ALLOWED', message, {}, { cause: new Error(detail) });
}
