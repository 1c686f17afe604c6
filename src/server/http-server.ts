import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  LogController,
} from 'fastify';
import { HotAnswers } from '../delivery/http/hot-answers.js';
import { sendError } from '../http/error-response.js';
import { fromFastify } from '../http/from-fastify.js';
import { isForKnownHost, type KnownHosts } from '../http/known-host.js';
import { afterAdmission } from '../http/pending-admission.js';
import { type Clock, MACHINE_CLOCK } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { traceRequest } from '../telemetry/tracing.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from './settings.js';
import { StalledReaders } from './stalled-readers.js';

export interface HttpServerOptions {
  readonly logger: Logger;
  readonly trustProxy: boolean;
  /** `server.requestTimeout`: for a request's headers and body; after it, the connection is closed. */
  readonly requestTimeoutMs?: number;
  /** Whose names a request has to use, but on routes that anybody may reach; null: any. */
  readonly knownHosts?: KnownHosts | null;
  readonly metrics?: Pick<Metrics, 'requestAnswered'>;
  /** By which links end. */
  readonly clock?: Clock;
}

export interface HttpServer {
  readonly http: FastifyInstance;
  /** Asked before the router. */
  readonly hot: HotAnswers;
}

/** Stands where there is no pattern: the address itself is the caller's word. */
const NO_ROUTE = '(none)';
/** Where none was understood. */
const NO_METHOD = '(none)';
/** The pattern of the route that hot answers stand in for. */
const HOT_ROUTE = '/media/*';
/** The pattern of answers that end when their client leaves. */
const STREAM_ROUTE = '/graphql (events)';

/** How often Node looks for requests that take too long. */
const MAX_TIMEOUT_CHECK_MS = 1_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Links and webhooks are protected by what they carry, and health is nobody's secret. */
const ROUTES_OF_ANY_HOST = new Set([HOT_ROUTE, '/webhooks/:channelId', '/livez', '/readyz']);

/** A Fastify instance with what every route shares: request ids, one log line a request, errors as JSON. */
export function createHttpServer({
  logger,
  trustProxy,
  requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS,
  knownHosts = null,
  metrics,
  clock = MACHINE_CLOCK,
}: HttpServerOptions): HttpServer {
  const loggerInstance: FastifyBaseLogger = logger;
  // Its lines hold what stands below and nothing else: to look for secrets in them would cost more than to write them.
  const requestLog = logger.child({}, { redact: [] });
  const onAnswered = (requestId: string, route: string, method: string, status: number, ms: number) => {
    // Without the query: a signature in a log would open the media to whoever reads it.
    requestLog.info({ requestId, method, route, status, ms: Math.round(ms * 10) / 10 }, 'request');
    metrics?.requestAnswered(route, method, status, ms / 1000);
  };
  const http = fastify({
    loggerInstance,
    trustProxy,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestIdOf,
    // A signed URL is a path with a long query; anything beyond this is none of ours.
    routerOptions: { maxParamLength: 2_048 },
    // An address that is no URI reaches no route, and so none of the hooks below.
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id);
      const isLink = (request.raw.url ?? '').startsWith('/media/');
      const refusal = isLink
        ? new MediagraphError('SIGNATURE_INVALID', 'expected a link as it was given out, got a changed or made-up one')
        : fromFastify(error);
      sendError(reply, refusal);
      request.log.info({ method: request.method, route: NO_ROUTE, status: reply.statusCode }, 'request');
      metrics?.requestAnswered(NO_ROUTE, request.method, reply.statusCode, reply.elapsedTime / 1000);
    },
    clientErrorHandler: (error, socket) => {
      const answer = () => {
        const status = answerNoRequest(error, socket);
        if (status !== null) onAnswered(randomUUID(), NO_ROUTE, NO_METHOD, status, 0);
      };
      // Node's codes of parse errors. A request that takes too long is not given more time.
      if (error.code?.startsWith('HPE_')) afterAdmission(socket, answer);
      else answer();
    },
    return503OnClosing: true,
    requestTimeout: requestTimeoutMs,
    http: {
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(requestTimeoutMs, MAX_TIMEOUT_CHECK_MS),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    forceCloseConnections: 'idle',
  });
  http.addHook('onRequest', (request, reply, next) => {
    reply.header('x-request-id', request.id);
    next();
  });
  if (knownHosts) refuseOtherHosts(http, knownHosts);
  // Not before the body is read, which the context would not survive.
  http.addHook('preHandler', (request, reply, next) => {
    const { method, id: requestId, headers } = request;
    const route = request.routeOptions.url ?? NO_ROUTE;
    const end = traceRequest({ method, route, requestId, headers }, next);
    reply.raw.once('close', () => end(reply.statusCode));
  });
  http.addHook('onResponse', (request, reply, next) => {
    // How long somebody subscribed says nothing of how fast anything is.
    const route = isEventStream(reply) ? STREAM_ROUTE : (request.routeOptions.url ?? NO_ROUTE);
    onAnswered(request.id, route, request.method, reply.statusCode, reply.elapsedTime);
    next();
  });
  http.setNotFoundHandler((_request, reply) => {
    reply.code(404);
    return reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }).send({
      error: { code: 'BAD_USER_INPUT', message: 'there is nothing at this address', requestId: reply.request.id },
    });
  });
  http.setErrorHandler<FastifyError>((error, _request, reply) => sendError(reply, fromFastify(error)));
  const hot = new HotAnswers({
    clock,
    requestId: requestIdOf,
    onAnswered: (requestId, status, ms) => onAnswered(requestId, HOT_ROUTE, 'GET', status, ms),
  });
  new StalledReaders().watch(http);
  askFirst(http, hot);
  closeUnused(http);
  return { http, hot };
}

function refuseOtherHosts(http: FastifyInstance, knownHosts: KnownHosts): void {
  http.addHook('onRequest', (request, reply, next) => {
    const isOpen = ROUTES_OF_ANY_HOST.has(request.routeOptions.url ?? '');
    if (isOpen || isForKnownHost(request.raw, knownHosts)) return next();
    // What it sends is not read.
    reply.header('connection', 'close');
    sendError(reply, new MediagraphError('FORBIDDEN', 'expected a Host that is this machine or server.publicUrl'));
  });
}

/**
 * What is no request, or does not come in time. Nothing of it is logged: it may be anything.
 * @returns the status of the answer; null: there could be none
 */
function answerNoRequest({ code }: NodeJS.ErrnoException, socket: Socket): number | null {
  const underWay: unknown = Reflect.get(socket, '_httpMessage');
  const hasBegun = typeof underWay === 'object' && underWay !== null && Reflect.get(underWay, 'headersSent') === true;
  if (code === 'ECONNRESET' || !socket.writable || hasBegun) {
    socket.destroy();
    return null;
  }
  const [status, reason, message] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large', `expected headers of at most ${MAX_HEADER_BYTES} bytes, got more`]
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout', 'expected the whole of a request sooner']
        : [400, 'Bad Request', 'expected a well-formed request'];
  const body = JSON.stringify({ error: { code: 'BAD_USER_INPUT', message, requestId: randomUUID() } });
  const head = `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  socket.write(`${head}\r\n\r\n${body}`);
  socket.destroySoon();
  return status;
}

function isEventStream(reply: FastifyReply): boolean {
  return String(reply.getHeader('content-type')).startsWith('text/event-stream');
}

/** Until the server closes, whose router then tells clients to go elsewhere. */
function askFirst(http: FastifyInstance, hot: HotAnswers): void {
  const routed = http.server.listeners('request');
  http.server.removeAllListeners('request');
  let isClosing = false;
  http.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
  http.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (!isClosing && hot.answer(request, response)) return;
    for (const listener of routed) Reflect.apply(listener, http.server, [request, response]);
  });
}

/**
 * Node closes what is between two requests, and waits for connections that have asked for nothing yet, as browsers open
 * them in advance.
 */
function closeUnused(http: FastifyInstance): void {
  const sockets = new Set<Socket>();
  http.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  http.addHook('preClose', (done) => {
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    done();
  });
}

/** A proxy's request id is kept if it is harmless, so that one id follows a request through all logs. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9_.:-]{1,128}$/.test(given) ? given : randomUUID();
}
