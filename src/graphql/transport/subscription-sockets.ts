import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from 'graphql';
import { handleProtocols, makeServer, type Server } from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { clientDisconnected } from '../../http/client-gone.js';
import { isForKnownHost, type KnownHosts } from '../../http/known-host.js';
import { MediagraphError } from '../../model/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import { contextOfEachResult, type OperationEntrance, type StreamedResult } from './operations-port.js';

export interface SubscriptionSocketsOptions<Context> extends OperationEntrance<Context> {
  /** For graphql-ws, which wants one; documents are checked by `operations`. */
  readonly schema: GraphQLSchema;
  /** Of one message. */
  readonly maxBytes: number;
  /** Operations at once over one socket. */
  readonly maxOperations: number;
  /** Whether pages of other sites are kept out: needed where a socket asks for no credentials. */
  readonly refusesForeignPages: boolean;
  /** Whose names a handshake has to use; null: any. */
  readonly knownHosts: KnownHosts | null;
  /** Whose pages are not kept out: `server.allowedOrigins`. */
  readonly allowedOrigins: readonly string[];
  readonly logger: Logger;
}

const PATH = '/graphql';
const PING_MS = 12_000;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

/** `connection_init`: credentials for clients that cannot set headers, as browsers cannot. */
const initPayload = z
  .record(z.string(), z.unknown())
  .transform((given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value])))
  .pipe(z.object({ authorization: z.string().optional(), 'x-router-secret': z.string().optional() }));

interface Connection {
  /** Of the handshake, and of the first message. */
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the socket is closed. */
  readonly signal: AbortSignal;
  /** Its credentials are good. */
  readonly accepted: () => void;
}

/** What graphql-ws hands from its `onSubscribe` to its `execute` and `subscribe`. */
class AcceptedOperation {
  constructor(readonly start: () => Promise<AsyncIterableIterator<StreamedResult>>) {}
}

/** One that is fit to be sent as it is, which graphql-ws asks it for. */
class FormattedError extends GraphQLError {
  constructor(private readonly formatted: GraphQLFormattedError) {
    super(formatted.message);
  }

  override toJSON(): GraphQLFormattedError {
    return this.formatted;
  }
}

/**
 * `GET /graphql` with `Upgrade: websocket`: the protocol `graphql-transport-ws` (graphql-ws, PROTOCOL.md), for operations
 * of every kind. Credentials come in the headers or in `connection_init`; without good ones the socket is closed with
 * 4403. The next result of an operation is made when the one before was sent. When the server closes, sockets are closed
 * with 1001, upon which clients connect anew.
 */
export function serveSubscriptionSockets<Context>(
  http: FastifyInstance,
  options: SubscriptionSocketsOptions<Context>,
): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: options.maxBytes, handleProtocols });
  const protocol = protocolServer(options);
  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => attach(socket, request, protocol, options));
  http.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refusal = refusalOf(request, options);
    if (refusal !== null) {
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (opened) => {
      boundUnknown(socket, request);
      sockets.emit('connection', opened, request);
    });
  });
  http.addHook('preClose', async () => {
    for (const socket of sockets.clients) socket.close(GOING_AWAY, 'the server is going away');
    sockets.close();
  });
}

// A page may open a socket to anywhere; only its Origin tells (RFC 6455 section 10.2).
function refusalOf<Context>(
  request: IncomingMessage,
  { refusesForeignPages, knownHosts, allowedOrigins }: SubscriptionSocketsOptions<Context>,
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
  return origin.length < 100 && /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(origin);
}

/** What a socket may send before it has said who it is: a `connection_init`. */
const MAX_BYTES_OF_UNKNOWN = 65_536;
const unbound = new WeakMap<IncomingMessage, () => void>();

/** Cuts a connection that sends more before its credentials were found good. */
function boundUnknown(socket: Duplex, request: IncomingMessage): void {
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BYTES_OF_UNKNOWN) socket.destroy();
  };
  socket.on('data', onData);
  unbound.set(request, () => socket.off('data', onData));
}

function attach<Context>(
  socket: WebSocket,
  request: IncomingMessage,
  protocol: Server<Connection>,
  { logger, metrics }: SubscriptionSocketsOptions<Context>,
): void {
  const closing = new AbortController();
  const ended = metrics?.streamOpened('websocket');
  let isAlive = true;
  const ping = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, PING_MS);
  socket.on('pong', () => {
    isAlive = true;
  });
  // A message too long, or no WebSocket frame: `close` follows.
  socket.on('error', ({ message }) => logger.debug({ reason: message }, 'a subscription socket failed'));
  const closed = protocol.opened(
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
    { headers: request.headers, signal: closing.signal, accepted: () => unbound.get(request)?.() },
  );
  socket.once('close', (code: number, reason: Buffer) => {
    clearInterval(ping);
    closing.abort(clientDisconnected());
    ended?.();
    void closed(code, reason.toString());
  });
}

// Private: resolves when it went to the operating system, so that a slow reader is given no more than it takes.
function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) return resolve();
    socket.send(text, () => resolve());
  });
}

function protocolServer<Context>({
  operations,
  schema,
  admit,
  createContext,
  maxOperations,
}: SubscriptionSocketsOptions<Context>): Server<Connection> {
  const run = async ({ contextValue }: ExecutionArgs) => {
    if (contextValue instanceof AcceptedOperation) return executionResults(await contextValue.start());
    throw new Error('expected an operation that was accepted');
  };
  return makeServer<Record<string, unknown>, Connection>({
    schema,
    onConnect: async ({ connectionParams, extra }) => {
      try {
        await admit(credentialsOf(extra.headers, connectionParams));
        extra.accepted();
        return true;
      } catch (thrown) {
        if (thrown instanceof MediagraphError) return false;
        throw thrown;
      }
    },
    onSubscribe: ({ connectionParams, extra, subscriptions }, _id, payload) => {
      const requestId = randomUUID();
      const { length: count } = Object.keys(subscriptions);
      if (count > maxOperations) return [tooMany(maxOperations, requestId)];
      const prepared = operations.prepare(payload, requestId);
      if ('errors' in prepared) return prepared.errors.map((error) => new FormattedError(error));
      const credentials = credentialsOf(extra.headers, connectionParams);
      const { document } = prepared;
      const context = contextOfEachResult(
        { admit, createContext },
        { headers: credentials, requestId, signal: extra.signal },
      );
      const contextValue = new AcceptedOperation(() => prepared.start(context));
      return { schema, document, operationName: payload.operationName, contextValue };
    },
    execute: run,
    subscribe: run,
  });
}

function executionResults(results: AsyncIterableIterator<StreamedResult>): AsyncIterableIterator<ExecutionResult> {
  return {
    async next() {
      const { value, done } = await results.next();
      if (done) return { value: undefined, done };
      const { errors, ...result } = value;
      return { value: { ...result, ...(errors && { errors: errors.map((error) => new FormattedError(error)) }) } };
    },
    async return() {
      await results.return?.();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function credentialsOf(headers: IncomingHttpHeaders, params: unknown): IncomingHttpHeaders {
  const given = initPayload.safeParse(params ?? {}).data ?? {};
  return {
    ...headers,
    ...(given.authorization !== undefined && { authorization: given.authorization }),
    ...(given['x-router-secret'] !== undefined && { 'x-router-secret': given['x-router-secret'] }),
  };
}

function tooMany(maxOperations: number, requestId: string): FormattedError {
  return new FormattedError({
    message: `expected at most ${maxOperations} operations at once over one connection, got another`,
    extensions: { code: 'RATE_LIMITED', retryable: false, requestId },
  });
}
