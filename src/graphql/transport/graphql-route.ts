import type { ApolloServer } from '@apollo/server';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { clientGone } from '../../http/client-gone.js';
import { fromFastify } from '../../http/from-fastify.js';
import { toError } from '../../model/errors.js';
import type { ServerOnDemand } from '../graphql-server.js';
import type { GraphQLContext } from '../resolvers/context.js';
import { BodyMemory } from './body-memory.js';
import { allowOrigin, answerPreflight } from './cors.js';
import type { OperationEntrance } from './entrance.js';
import { EventStreams } from './event-streams.js';
import { completeRefusal, refusalForApollo, sendRefusal } from './refusals.js';
import { RequestAdmission, refuseBody } from './request-admission.js';
import { boundedBody } from './request-body.js';

export interface GraphQLRouteOptions extends OperationEntrance {
  readonly servers: {
    readonly compiled: ApolloServer<GraphQLContext>;
    readonly traced: Pick<ServerOnDemand, 'started'>;
  };
  /** `limits.bodyBytes`, of the decoded body. */
  readonly bodyBytes: number;
  /** `server.allowedOrigins` */
  readonly allowedOrigins: readonly string[];
}

/**
 * `GET` and `POST /graphql`: GraphQL over HTTP and over server-sent events. The hooks stand in the order in which Fastify
 * runs them. Every refusal is a GraphQL response.
 */
export function registerGraphQLRoute(http: FastifyInstance, options: GraphQLRouteOptions): void {
  const { allowedOrigins, bodyBytes, createContext, servers } = options;
  const admission = new RequestAdmission(options.admit, options.rates);
  const memory = new BodyMemory();
  const streams = new EventStreams(options, admission);
  const context = async (request: FastifyRequest, reply: FastifyReply): Promise<GraphQLContext> => {
    const signal = clientGone(reply);
    const caller = await admission.callerOf(request, reply).catch((thrown: unknown) => {
      throw refusalForApollo(reply, thrown);
    });
    return createContext({ caller, requestId: request.id, signal });
  };
  const compiled = fastifyApolloHandler(servers.compiled, { context });
  const traced = async () => fastifyApolloHandler(await servers.traced.started(), { context });
  http.addHook('preClose', async () => streams.cut());
  http.register(async (scope) => {
    scope.setErrorHandler<FastifyError>((error, _request, reply) => sendRefusal(reply, fromFastify(error)));
    scope.addHook('onRequest', (request, reply, next) => {
      allowOrigin(request, reply, allowedOrigins);
      const refusal = request.method === 'OPTIONS' ? null : options.overload?.refusal('graphql');
      if (refusal) refuseBody(request, reply, refusal);
      else admission.beforeBody(request, reply, next);
    });
    scope.addHook('preParsing', (request, _reply, payload, next) => {
      if (request.method !== 'POST') return next();
      try {
        next(null, boundedBody(request, payload, { maxBytes: bodyBytes, memory, tenant: admission.tenantOf(request) }));
      } catch (thrown) {
        next(toError(thrown));
      }
    });
    scope.addHook('onSend', completeRefusal);
    scope.route({ method: 'OPTIONS', url: '/graphql', handler: answerPreflight });
    scope.route<{ Reply: string }>({
      method: ['GET', 'POST'],
      url: '/graphql',
      bodyLimit: bodyBytes,
      handler: async (request, reply) => {
        if (await streams.answer(request, reply)) return reply;
        return request.headers['apollo-federation-include-trace'] === 'ftv1'
          ? (await traced()).call(scope, request, reply)
          : compiled.call(scope, request, reply);
      },
    });
  });
}
