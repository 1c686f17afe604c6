import type { ApolloServer } from '@apollo/server';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { clientGone } from '../../http/client-gone.js';
import { statusOf } from '../../http/error-response.js';
import { fromFastify } from '../../http/from-fastify.js';
import { trackAdmission } from '../../http/pending-admission.js';
import type { Caller } from '../../model/caller.js';
import { MediagraphError, toError } from '../../model/errors.js';
import { EventStreams } from './event-stream.js';
import type { OperationEntrance } from './operations-port.js';
import { BodiesUnderWay, codingsOf, decodedBody } from './request-body.js';

export interface GraphQLRouteOptions<Context extends object> extends OperationEntrance<Context> {
  readonly servers: { readonly compiled: ApolloServer<Context>; readonly traced: ApolloServer<Context> };
  /** `limits.bodyBytes`, decoded. */
  readonly bodyBytes: number;
  /** `server.allowedOrigins`: whose pages may ask by script. */
  readonly allowedOrigins: readonly string[];
}

/**
 * `GET` and `POST /graphql`: GraphQL over HTTP, and over server-sent events for whoever takes nothing else, or takes them
 * and subscribes. Whatever is refused here is refused as a GraphQL response.
 */
export function registerGraphQLRoute<Context extends object>(
  http: FastifyInstance,
  options: GraphQLRouteOptions<Context>,
): void {
  /** Whose body was let in. */
  const callers = new WeakMap<FastifyRequest, Caller>();
  const underWay = new BodiesUnderWay();
  const context = async (request: FastifyRequest, reply: FastifyReply): Promise<Context> => {
    const signal = clientGone(reply);
    const caller = callers.get(request) ?? (await admitOrRefuse(request, reply, options));
    return options.createContext({ caller, requestId: request.id, signal });
  };
  const compiled = fastifyApolloHandler(options.servers.compiled, { context });
  const traced = fastifyApolloHandler(options.servers.traced, { context });
  const streams = new EventStreams(options);
  http.addHook('preClose', async () => streams.cut());
  http.register(async (scope) => {
    scope.setErrorHandler<FastifyError>((error, _request, reply) => sendGraphQLError(reply, fromFastify(error)));
    scope.addHook('onRequest', (request, reply, next) => {
      allowOrigin(request, reply, options.allowedOrigins);
      if (!hasBody(request)) return next();
      const signal = clientGone(reply);
      const admission = options.admit(request.headers);
      trackAdmission(request.raw.socket, admission);
      admission.then(
        (caller) => {
          callers.set(request, caller);
          // The body of a client that disconnected meanwhile never ends: Fastify would wait for it forever.
          if (signal.aborted) reply.hijack();
          else next();
        },
        (thrown: unknown) => {
          // The body is not read, and closing the connection keeps the client from sending more of it.
          reply.header('connection', 'close');
          sendGraphQLError(reply, thrown);
        },
      );
    });
    scope.addHook('preParsing', (request, _reply, payload, next) => {
      if (request.method !== 'POST') return next();
      try {
        next(null, read(request, payload, callers.get(request)?.tenant ?? '', underWay, options.bodyBytes));
      } catch (thrown) {
        next(toError(thrown));
      }
    });
    scope.addHook('onSend', (request, reply, payload: unknown, next) => {
      const isFinished = reply.statusCode < 400 || typeof payload !== 'string' || reply.hasHeader('cache-control');
      next(null, isFinished ? payload : finishedRefusal(payload, request, reply));
    });
    scope.route({
      method: 'OPTIONS',
      url: '/graphql',
      handler: (request, reply) => answerPreflight(request, reply),
    });
    scope.route<{ Reply: string }>({
      method: ['GET', 'POST'],
      url: '/graphql',
      bodyLimit: options.bodyBytes,
      handler: async (request, reply) => {
        if (await streams.answer(request, reply)) return reply;
        return request.headers['apollo-federation-include-trace'] === 'ftv1'
          ? traced.call(scope, request, reply)
          : compiled.call(scope, request, reply);
      },
    });
  });
}

function hasBody({ method, headers }: FastifyRequest): boolean {
  return method === 'POST' || headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Shorter ones are not worth counting. */
const SMALL_BODY_BYTES = 65_536;

function read(
  { headers }: FastifyRequest,
  payload: RequestPayload,
  tenant: string,
  underWay: BodiesUnderWay,
  maxBytes: number,
): RequestPayload {
  const codings = codingsOf(headers['content-encoding']);
  const isSmall = codings.length === 0 && Number(headers['content-length'] ?? Number.NaN) <= SMALL_BODY_BYTES;
  if (isSmall) return payload;
  const body = decodedBody(payload, codings, maxBytes);
  underWay.watch(body, tenant, (reason) => body.destroy(reason));
  return body;
}

const DEFAULT_ALLOWED_HEADERS = 'Authorization, Content-Type, Content-Encoding, Accept, Apollo-Require-Preflight';
/** Seconds; browsers keep it for two hours at most. */
const PREFLIGHT_MAX_AGE = '7200';
/** Names of headers, as a browser lists them: Fetch standard, "CORS-preflight fetch". */
const HEADER_NAMES = /^[A-Za-z0-9-]{1,64}(?:, ?[A-Za-z0-9-]{1,64}){0,49}$/;

/** CORS (Fetch standard, "HTTP responses"), on every answer, so that a page can read errors too. */
function allowOrigin({ headers: { origin } }: FastifyRequest, reply: FastifyReply, allowed: readonly string[]): void {
  if (allowed.length === 0) return;
  const isOpen = allowed.includes('*');
  if (!isOpen) reply.header('vary', 'Origin');
  if (origin === undefined || !(isOpen || allowed.includes(origin))) return;
  reply
    .header('access-control-allow-origin', isOpen ? '*' : origin)
    .header('access-control-expose-headers', 'X-Request-Id, Retry-After, WWW-Authenticate');
}

function answerPreflight({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('allow', 'GET, POST, OPTIONS').header('cache-control', 'no-store');
  if (reply.hasHeader('access-control-allow-origin')) {
    const asked = String(headers['access-control-request-headers'] ?? '').slice(0, 4_000);
    reply
      .header('access-control-allow-methods', 'GET, POST, OPTIONS')
      .header('access-control-allow-headers', HEADER_NAMES.test(asked) ? asked : DEFAULT_ALLOWED_HEADERS)
      .header('access-control-max-age', PREFLIGHT_MAX_AGE);
  }
  return reply.code(204).send();
}

async function admitOrRefuse<Context extends object>(
  request: FastifyRequest,
  reply: FastifyReply,
  options: GraphQLRouteOptions<Context>,
): Promise<Caller> {
  try {
    return await options.admit(request.headers);
  } catch (thrown) {
    if (!(thrown instanceof MediagraphError)) throw thrown;
    const status = statusOf(thrown);
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    throw new GraphQLError(thrown.message, {
      extensions: { code: thrown.code, requestId: request.id, http: { status } },
    });
  }
}

// Private: Apollo Server refuses some requests before there is an operation; its plugins do not see these refusals.
function finishedRefusal(payload: string, { id: requestId }: FastifyRequest, reply: FastifyReply): string {
  reply.header('cache-control', 'no-store');
  const { errors }: { readonly errors: readonly GraphQLFormattedError[] } = JSON.parse(payload);
  return JSON.stringify({
    errors: errors.map((error) => ({ ...error, extensions: { ...error.extensions, requestId } })),
  });
}

// Private: a request that never became an operation: no JSON, too long, of a type nobody reads.
function sendGraphQLError(reply: FastifyReply, thrown: unknown): FastifyReply {
  const known = thrown instanceof MediagraphError;
  if (!known) reply.log.error({ err: thrown }, 'unexpected error before a GraphQL operation');
  const status = known ? statusOf(thrown) : 500;
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (status === 429)
    reply.header('retry-after', Math.ceil((known ? (thrown.details.retryAfterMs ?? 0) : 0) / 1000) || 1);
  const message = known ? thrown.message : 'internal error; the request id finds it in the log';
  const code = known ? thrown.code : 'INTERNAL_SERVER_ERROR';
  return reply.code(status).send({ errors: [{ message, extensions: { code, requestId: reply.request.id } }] });
}
