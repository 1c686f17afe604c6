import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { isForKnownHost, type KnownHosts } from '../../http/known-host.js';

const PATH = '/graphql';
/** Before its credentials are accepted, a client sends a `connection_init` and nothing else. */
const MAX_BYTES_BEFORE_ADMISSION = 65_536;
const MAX_ORIGIN_LENGTH = 100;

export interface HandshakeRules {
  /** Pages of other sites are refused: needed where a socket opens without credentials. */
  readonly refusesForeignPages: boolean;
  /** Names of this server that a handshake may use; null: any. */
  readonly knownHosts: KnownHosts | null;
  /** `server.allowedOrigins`: pages that are not refused. */
  readonly allowedOrigins: readonly string[];
}

/**
 * The status line of a refused handshake; null: it is accepted. A browser lets a page open a socket to any server, and
 * only the Origin header tells which page it was (RFC 6455 section 10.2).
 */
export function handshakeRefusal(
  request: IncomingMessage,
  { refusesForeignPages, knownHosts, allowedOrigins }: HandshakeRules,
): string | null {
  const { url = '', headers } = request;
  if (url.split('?', 1)[0] !== PATH) return '404 Not Found';
  const { origin, host = '' } = headers;
  if (knownHosts && !isForKnownHost(request, knownHosts)) return '403 Forbidden';
  if (!refusesForeignPages || origin === undefined || origin === `http://${host}` || isLoopbackPage(origin))
    return null;
  return allowedOrigins.includes(origin) || allowedOrigins.includes('*') ? null : '403 Forbidden';
}

function isLoopbackPage(origin: string): boolean {
  return origin.length < MAX_ORIGIN_LENGTH && /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(origin);
}

/** Cuts a connection that sends too much before its credentials are accepted. @returns called when they are */
export function boundUntilAdmission(socket: Duplex): () => void {
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BYTES_BEFORE_ADMISSION) socket.destroy();
  };
  socket.on('data', onData);
  return () => socket.off('data', onData);
}
