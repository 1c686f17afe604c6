import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { handleProtocols, type Server } from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { clientDisconnected } from '../../http/client-gone.js';
import { withDistinctCredentials } from '../../http/distinct-credentials.js';
import { retryAfterSeconds } from '../../http/error-response.js';
import type { Caller } from '../../model/caller.js';
import { MACHINE_CLOCK } from '../../model/clock.js';
import type { Logger } from '../../telemetry/logger.js';
import { whenCredentialsEnd } from './credentials-end.js';
import { PING_INTERVAL_MS } from './entrance.js';
import { boundUntilAdmission, type HandshakeRules, handshakeRefusal } from './socket-handshake.js';
import { createSocketProtocol, type SocketConnection, type SocketProtocolOptions } from './socket-protocol.js';

export interface SubscriptionSocketsOptions extends SocketProtocolOptions, HandshakeRules {
  /** The longest message. */
  readonly maxBytes: number;
  readonly logger: Logger;
}

/** Close codes of RFC 6455 section 7.4.1. */
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;
/** The registry of close codes that RFC 6455 section 11.7 set up. Clients connect again later. */
const TRY_AGAIN_LATER = 1013;
/** graphql-transport-ws: "Unauthorized". */
const UNAUTHORIZED = 4401;

/**
 * `GET /graphql` with `Upgrade: websocket`, for operations of every kind. The next result of an operation is made after
 * the previous one was sent. When the server closes, it closes its sockets with 1001, and clients connect again. A socket
 * whose credentials expire is closed with 4401.
 */
export function serveSubscriptionSockets(http: FastifyInstance, options: SubscriptionSocketsOptions): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: options.maxBytes, handleProtocols });
  const protocol = createSocketProtocol(options);
  http.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refusal = handshakeRefusal(request, options);
    if (refusal !== null) {
      refuseHandshake(socket, refusal);
      return;
    }
    const overloaded = options.overload?.refusal('graphql');
    if (overloaded) {
      refuseHandshake(socket, '503 Service Unavailable', `Retry-After: ${retryAfterSeconds(overloaded)}\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const { clock = MACHINE_CLOCK } = options;
      const unbound = boundUntilAdmission(socket);
      const onAdmitted = (caller: Caller) => {
        unbound();
        const cancel = whenCredentialsEnd(caller, clock, () => webSocket.close(UNAUTHORIZED, 'the token has expired'));
        webSocket.once('close', cancel);
      };
      const onUnverifiable = () => webSocket.close(TRY_AGAIN_LATER, 'tokens cannot be verified at the moment');
      const headers = withDistinctCredentials(request);
      serve(webSocket, protocol, { headers, onAdmitted, onUnverifiable }, options);
    });
  });
  http.addHook('preClose', async () => {
    for (const socket of sockets.clients) socket.close(GOING_AWAY, 'the server is going away');
    sockets.close();
  });
}

function refuseHandshake(socket: Duplex, status: string, headers = ''): void {
  socket.end(`HTTP/1.1 ${status}\r\n${headers}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Serves one socket until it closes. */
function serve(
  socket: WebSocket,
  protocol: Server<SocketConnection>,
  connection: Omit<SocketConnection, 'signal'>,
  { logger, metrics }: SubscriptionSocketsOptions,
): void {
  const closing = new AbortController();
  const onClosed = metrics?.streamOpened('websocket');
  const stopPings = pingRegularly(socket);
  // A message that is too long, or no WebSocket frame. `close` follows.
  socket.on('error', ({ message }) => logger.debug({ reason: message }, 'a subscription socket failed'));
  const onProtocolClosed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (text) => send(socket, text),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (read) =>
        socket.on('message', (data: RawData) => {
          read(data.toString()).catch((err: unknown) => {
            logger.error({ err }, 'unexpected error in a message of a subscription socket');
            socket.close(INTERNAL_ERROR, 'internal error');
          });
        }),
    },
    { ...connection, signal: closing.signal },
  );
  socket.once('close', (code: number, reason: Buffer) => {
    stopPings();
    closing.abort(clientDisconnected());
    onClosed?.();
    void onProtocolClosed(code, reason.toString());
  });
}

/** Terminates a socket that has not answered a ping before the next one is due. @returns stops the pings */
function pingRegularly(socket: WebSocket): () => void {
  let hasAnswered = true;
  const timer = setInterval(() => {
    if (!hasAnswered) return socket.terminate();
    hasAnswered = false;
    socket.ping();
  }, PING_INTERVAL_MS);
  socket.on('pong', () => {
    hasAnswered = true;
  });
  return () => clearInterval(timer);
}

/** Resolves when the operating system has taken the text, so that a slow reader is not sent more than it reads. */
function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) return resolve();
    socket.send(text, () => resolve());
  });
}
