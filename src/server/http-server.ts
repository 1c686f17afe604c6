import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { HotAnswers } from '../delivery/http/hot-answers.js';
import { sendError } from '../http/error-response.js';
import { fromFastify } from '../http/from-fastify.js';
import { isForKnownHost, type KnownHosts } from '../http/known-host.js';
import { type Clock, MACHINE_CLOCK } from '../model/clock.js';
import { MediagraphError } from '../model/errors.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { traceAnswered, traceRequest } from '../telemetry/tracing.js';
import { acceptLastRequests } from './last-requests.js';
import { answerMalformed, MAX_HEADER_BYTES } from './malformed-requests.js';
import { OpenAnswers } from './open-answers.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from './settings.js';
import { StalledReaders } from './stalled-readers.js';

export interface HttpServerOptions {
  readonly logger: Logger;
  readonly trustProxy: boolean;
  /** `server.requestTimeout`: the time for a request's headers and body, after which the connection is closed. */
  readonly requestTimeoutMs?: number;
  /** Names of this server that requests must use, except on public routes; null: any name. */
  readonly knownHosts?: KnownHosts | null;
  readonly metrics?: Pick<Metrics, 'requestAnswered' | 'work'>;
  /** The clock by which links expire. */
  readonly clock?: Clock;
}

export interface HttpServer {
  readonly http: FastifyInstance;
  /** Answers from memory, without the router. */
  readonly hot: HotAnswers;
}

/** An answered request, for the log and the metrics. */
interface AnsweredRequest {
  readonly requestId: string;
  /** A pattern. The address itself is never logged: the signature of a link would open the media. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly ms: number;
}

type OnAnswered = (answered: AnsweredRequest) => void;

const NO_ROUTE = '(none)';
const NO_METHOD = '(none)';
/** The route whose requests {@link HotAnswers} answers. */
const HOT_ROUTE = '/media/*';
/** Stands for `/graphql` where the answer ends when its client disconnects. */
const STREAM_ROUTE = '/graphql (events)';
/** Links and webhooks carry their own proof, and health is public. */
const ROUTES_OF_ANY_HOST = new Set([HOT_ROUTE, '/webhooks/:channelId', '/livez', '/readyz']);

/** The interval in which Node looks for requests that take too long. */
const MAX_TIMEOUT_CHECK_MS = 5_000;
/** Fastify's default, longer than the idle timeouts of common load balancers. */
const KEEP_ALIVE_MS = 72_000;
/** Above the length of any signed URL. */
const MAX_PARAMETER_LENGTH = 2_048;

/** Creates a Fastify instance with what all routes share: request ids, one log line per request, errors as JSON. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { logger, metrics, knownHosts = null, clock = MACHINE_CLOCK } = options;
  // Searching these lines for secrets would cost more than writing them, and they hold only the fields below.
  const requestLog = logger.child({}, { redact: [] });
  const onAnswered: OnAnswered = ({ requestId, route, method, status, ms }) => {
    requestLog.info({ requestId, method, route, status, ms: Math.round(ms * 10) / 10 }, 'request');
    metrics?.requestAnswered(route, method, status, ms / 1000);
  };
  const hot = new HotAnswers({
    clock,
    requestId: requestIdOf,
    onAnswered: ({ request: { headers }, requestId, status, ms, bytes, source }) => {
      const answered = { requestId, route: HOT_ROUTE, method: 'GET' };
      onAnswered({ ...answered, status, ms });
      metrics?.work.delivered(source);
      metrics?.work.bytesDelivered(source, bytes);
      traceAnswered({ ...answered, headers }, status, ms);
    },
  });
  const entrance: Entrance = { hot, answers: new OpenAnswers(), isClosing: false };
  const http = createFastify(options, entrance, onAnswered);
  http.addHook('preClose', (done) => {
    entrance.isClosing = true;
    done();
  });
  addHooks(http, knownHosts, onAnswered);
  http.setNotFoundHandler((_request, reply) => answerNotFound(reply));
  http.setErrorHandler<FastifyError>((error, _request, reply) => sendError(reply, fromFastify(error)));
  new StalledReaders(entrance.answers).watch(http);
  acceptLastRequests(http);
  closeUnusedConnections(http);
  return { http, hot };
}

/** What a request meets before the router. */
interface Entrance {
  readonly hot: HotAnswers;
  readonly answers: OpenAnswers;
  /** True: the router answers everything, since its answers close their connections then. */
  isClosing: boolean;
}

function createFastify(
  { logger, trustProxy, requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS, metrics }: HttpServerOptions,
  entrance: Entrance,
  onAnswered: OnAnswered,
): FastifyInstance {
  const loggerInstance: FastifyBaseLogger = logger;
  return fastify({
    loggerInstance,
    trustProxy,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestIdOf,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    // A target that is no URI reaches no route, and so none of the hooks.
    frameworkErrors: (error, request, reply) => {
      answerInvalidTarget(error, request, reply);
      request.log.info({ method: request.method, route: NO_ROUTE, status: reply.statusCode }, 'request');
      metrics?.requestAnswered(NO_ROUTE, request.method, reply.statusCode, reply.elapsedTime / 1000);
    },
    clientErrorHandler: (error, socket) =>
      answerMalformed(error, socket, {
        answers: entrance.answers,
        onAnswered: (requestId, status) => onAnswered({ requestId, route: NO_ROUTE, method: NO_METHOD, status, ms: 0 }),
      }),
    return503OnClosing: false,
    serverFactory: (router) => createNodeServer(router, entrance, requestTimeoutMs),
    forceCloseConnections: 'idle',
  });
}

/** Lets {@link HotAnswers} answer before the router. Its answers are watched only where they wait for their reader. */
function createNodeServer(router: RequestListener, entrance: Entrance, requestTimeoutMs: number): Server {
  const { hot, answers } = entrance;
  const times = {
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.ceil(Math.min(requestTimeoutMs / 4, MAX_TIMEOUT_CHECK_MS)),
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  return createServer({ ...times, maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    const isHot = !entrance.isClosing && hot.answer(request, response);
    if (!isHot || response.writableLength > 0) answers.add(request.socket, response);
    if (!isHot) router(request, response);
  });
}

function answerInvalidTarget(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-request-id', request.id);
  const isLink = (request.raw.url ?? '').startsWith('/media/');
  const refusal = isLink
    ? new MediagraphError('SIGNATURE_INVALID', 'expected an unchanged link, got a changed or forged one')
    : fromFastify(error);
  sendError(reply, refusal);
}

function addHooks(http: FastifyInstance, knownHosts: KnownHosts | null, onAnswered: OnAnswered): void {
  http.addHook('onRequest', (request, reply, next) => {
    reply.header('x-request-id', request.id);
    next();
  });
  if (knownHosts) refuseOtherHosts(http, knownHosts);
  // The trace's async context would not survive reading the body, so it begins afterwards.
  http.addHook('preHandler', (request, reply, next) => {
    const { method, id: requestId, headers } = request;
    const route = request.routeOptions.url ?? NO_ROUTE;
    const end = traceRequest({ method, route, requestId, headers }, next);
    reply.raw.once('close', () => end(reply.statusCode));
  });
  http.addHook('onResponse', ({ id: requestId, method, routeOptions }, reply, next) => {
    // The duration of a subscription is no measure of speed, so streams have a route of their own.
    const route = isEventStream(reply) ? STREAM_ROUTE : (routeOptions.url ?? NO_ROUTE);
    onAnswered({ requestId, route, method, status: reply.statusCode, ms: reply.elapsedTime });
    next();
  });
}

function refuseOtherHosts(http: FastifyInstance, knownHosts: KnownHosts): void {
  http.addHook('onRequest', (request, reply, next) => {
    const isOpen = ROUTES_OF_ANY_HOST.has(request.routeOptions.url ?? '');
    if (isOpen || isForKnownHost(request.raw, knownHosts)) return next();
    // The body is not read.
    reply.header('connection', 'close');
    sendError(
      reply,
      new MediagraphError('FORBIDDEN', 'expected the Host of this machine or of server.publicUrl, got another Host'),
    );
  });
}

function answerNotFound(reply: FastifyReply): FastifyReply {
  const error = {
    code: 'BAD_USER_INPUT',
    message: 'expected the path of a route, got an unknown path',
    requestId: reply.request.id,
  };
  return reply.code(404).headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }).send({ error });
}

function isEventStream(reply: FastifyReply): boolean {
  return String(reply.getHeader('content-type')).startsWith('text/event-stream');
}

/**
 * Closes connections without a request when the server closes. Browsers open some in advance. Node closes connections
 * between two requests, and would wait for those that have had none. It runs after {@link acceptLastRequests}, since a
 * request may be on its way over such a connection.
 */
function closeUnusedConnections(http: FastifyInstance): void {
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

/** Keeps a harmless request id of a proxy, so that one id identifies a request in all logs. */
function requestIdOf(request: IncomingMessage): string {
  const id = request.headers['x-request-id'];
  return typeof id === 'string' && /^[A-Za-z0-9_.:-]{1,128}$/.test(id) ? id : randomUUID();
}
