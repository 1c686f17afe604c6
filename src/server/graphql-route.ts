import type { ApolloServer } from '@apollo/server';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Caller } from '../model/caller.js';
import { MediagraphError } from '../model/errors.js';
import { clientGone } from './client-gone.js';
import { statusOf } from './error-response.js';
import { EventStreams } from './event-stream.js';
import { fromFastify } from './http-server.js';
import type { OperationEntrance } from './streamed-operations.js';

export interface GraphQLRouteOptions<Context extends object> extends OperationEntrance<Context> {
  readonly servers: { readonly compiled: ApolloServer<Context>; readonly traced: ApolloServer<Context> };
  readonly bodyBytes: number;
}

/**
 * `GET` and `POST /graphql`: GraphQL over HTTP, and over server-sent events for whoever takes nothing else, or takes them
 * and subscribes. Whatever is refused here is refused as a GraphQL response.
 */
export function registerGraphQLRoute<Context extends object>(
  http: FastifyInstance,
  options: GraphQLRouteOptions<Context>,
): void {
  const context = async (request: FastifyRequest, reply: FastifyReply): Promise<Context> => {
    const caller = admitOrRefuse(request, reply, options);
    return options.createContext({ caller, requestId: request.id, signal: clientGone(reply) });
  };
  const compiled = fastifyApolloHandler(options.servers.compiled, { context });
  const traced = fastifyApolloHandler(options.servers.traced, { context });
  const streams = new EventStreams(options);
  http.addHook('preClose', async () => streams.cut());
  http.register(async (scope) => {
    scope.setErrorHandler<FastifyError>((error, _request, reply) => sendGraphQLError(reply, fromFastify(error)));
    scope.route<{ Reply: string }>({
      method: ['GET', 'POST'],
      url: '/graphql',
      bodyLimit: options.bodyBytes,
      handler: (request, reply) => {
        if (streams.answer(request, reply)) return undefined;
        return request.headers['apollo-federation-include-trace'] === 'ftv1'
          ? traced.call(scope, request, reply)
          : compiled.call(scope, request, reply);
      },
    });
  });
}

function admitOrRefuse<Context extends object>(
  request: FastifyRequest,
  reply: FastifyReply,
  options: GraphQLRouteOptions<Context>,
): Caller {
  try {
    return options.admit(request.headers);
  } catch (thrown) {
    if (!(thrown instanceof MediagraphError)) throw thrown;
    const status = statusOf(thrown);
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    throw new GraphQLError(thrown.message, {
      extensions: { code: thrown.code, requestId: request.id, http: { status } },
    });
  }
}

// Private: a request that never became an operation: no JSON, too long, of a type nobody reads.
function sendGraphQLError(reply: FastifyReply, thrown: unknown): FastifyReply {
  const known = thrown instanceof MediagraphError;
  if (!known) reply.log.error({ err: thrown }, 'unexpected error before a GraphQL operation');
  const status = known ? statusOf(thrown) : 500;
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  const message = known ? thrown.message : 'internal error; the request id finds it in the log';
  const code = known ? thrown.code : 'INTERNAL_SERVER_ERROR';
  return reply.code(status).send({ errors: [{ message, extensions: { code, requestId: reply.request.id } }] });
}
