import { ApolloServer, type ApolloServerOptionsWithGateway, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import { ApolloServerPluginInlineTrace } from '@apollo/server/plugin/inlineTrace';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import { GraphQLError, type GraphQLSchema } from 'graphql';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { CompiledExecutor } from './compiled-executor.js';
import type { GraphQLContext } from './context.js';
import { exampleOperations } from './explorer-examples.js';
import { createFormatError } from './format-error.js';
import { INTROSPECTION_TOKENS, type QueryLimits, queryLimitsRule } from './query-limits.js';
import { StreamedOperations } from './streamed-operations.js';

export type Explorer = 'sandbox' | 'graphiql' | 'off';

export interface GraphQLServerOptions {
  readonly schema: GraphQLSchema;
  readonly limits: QueryLimits;
  readonly explorer: Explorer;
  /** Of the explorer's example operations, besides the defaults that stand in them. */
  readonly exampleVariables?: Readonly<Record<string, unknown>>;
  /** Introspection, suggestions and stack traces are off. */
  readonly production: boolean;
  readonly logger: Logger;
  readonly metrics?: Pick<Metrics, 'graphqlError' | 'subscriptionOpened'>;
}

/** Two servers over one schema; see {@link createGraphQLServers}. */
export interface GraphQLServers {
  /** For every request but those that ask for a trace. */
  readonly compiled: ApolloServer<GraphQLContext>;
  /** For a router that sends `apollo-federation-include-trace: ftv1`. */
  readonly traced: ApolloServer<GraphQLContext>;
  /** For connections that stay open: Apollo Server has no transport for subscriptions. */
  readonly streamed: StreamedOperations;
}

/**
 * Apollo Server, twice. Compiled execution enters through the constructor's `gateway` option, Apollo's only door for
 * another executor; under it no field-level hook fires, so no trace can be made there. Requests that ask for one go to a
 * second server that interprets with the inline trace plugin, whose hooks would otherwise cost every request.
 */
export async function createGraphQLServers(options: GraphQLServerOptions): Promise<GraphQLServers> {
  const formatError = formatErrorOf(options);
  const shared = sharedOptions(options, formatError);
  const compiled = new ApolloServer<GraphQLContext>({
    ...shared,
    gateway: compiledGateway(options.schema),
    plugins: [...shared.plugins, await landingPage(options)],
  });
  const traced = new ApolloServer<GraphQLContext>({
    ...shared,
    schema: options.schema,
    plugins: [...shared.plugins, ApolloServerPluginLandingPageDisabled(), ApolloServerPluginInlineTrace()],
  });
  await Promise.all([compiled.start(), traced.start()]);
  const { schema, limits, production, metrics } = options;
  const streamed = new StreamedOperations({ schema, limits, production, formatError, metrics });
  return { compiled, traced, streamed };
}

function formatErrorOf({ production, logger, metrics }: GraphQLServerOptions): FormatError {
  return createFormatError({
    production,
    onUnexpected: (err) => logger.error({ err }, 'unexpected error in a GraphQL operation'),
    onError: (code) => metrics?.graphqlError(code),
  });
}

function sharedOptions({ limits, production, logger }: GraphQLServerOptions, formatError: FormatError) {
  const introspection = !production;
  return {
    introspection,
    csrfPrevention: true,
    nodeEnv: production ? 'production' : 'development',
    includeStacktraceInErrorResponses: !production,
    hideSchemaDetailsFromClientErrors: production,
    stopOnTerminationSignals: false,
    logger,
    formatError,
    parseOptions: { maxTokens: limits.maxTokens + (introspection ? INTROSPECTION_TOKENS : 0) },
    validationRules: [queryLimitsRule(limits)],
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      requestIdInErrors,
      noSubscriptions,
      cacheHeader,
    ],
  };
}

type FormatError = ReturnType<typeof createFormatError>;
type Gateway = ApolloServerOptionsWithGateway<GraphQLContext>['gateway'];

function compiledGateway(schema: GraphQLSchema): Gateway {
  const executor = new CompiledExecutor(schema);
  return {
    async load() {
      return {
        executor: ({ document, queryHash, request, context }) =>
          executor.execute({
            document,
            documentHash: queryHash,
            operationName: request.operationName,
            variables: request.variables,
            context,
          }),
      };
    },
    onSchemaLoadOrUpdate(callback) {
      callback({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => {};
    },
    async stop() {},
  };
}

/** `extensions.requestId`: what a user quotes and an operator searches the log for. */
const requestIdInErrors: ApolloServerPlugin<GraphQLContext> = {
  async requestDidStart() {
    return {
      async willSendResponse({ response, contextValue }) {
        if (response.body.kind !== 'single' || !response.body.singleResult.errors) return;
        const { singleResult } = response.body;
        singleResult.errors = singleResult.errors?.map((error) => ({
          ...error,
          extensions: { ...error.extensions, requestId: contextValue.requestId },
        }));
      },
    };
  },
};

/** Only what was asked and answered in full may be kept. */
const cacheHeader: ApolloServerPlugin<GraphQLContext> = {
  async requestDidStart() {
    return {
      async willSendResponse({ response: { body, http }, operation, contextValue }) {
        const isWhole = body.kind === 'single' && !body.singleResult.errors && operation?.operation === 'query';
        http.headers.set('cache-control', isWhole ? contextValue.cache.header() : 'no-store');
      },
    };
  },
};

/** Over one request and one answer, nobody can be told of what comes later. */
const noSubscriptions: ApolloServerPlugin<GraphQLContext> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ operation }) {
        if (operation?.operation !== 'subscription') return;
        throw new GraphQLError(
          'expected a subscription over a WebSocket (graphql-transport-ws) or with "Accept: text/event-stream"',
          { extensions: { code: 'BAD_REQUEST', http: { status: 400 } } },
        );
      },
    };
  },
};

// Private: as the editor of a tab shows it.
function ofOperation(query: string, variables: Readonly<Record<string, unknown>>): string {
  const named = Object.entries(variables).filter(([name]) => query.includes(`$${name}:`));
  return JSON.stringify(Object.fromEntries(named), null, 2);
}

async function landingPage({ explorer, exampleVariables = {} }: GraphQLServerOptions): Promise<ApolloServerPlugin> {
  switch (explorer) {
    case 'off':
      return ApolloServerPluginLandingPageDisabled();
    case 'sandbox':
      return ApolloServerPluginLandingPageLocalDefault({
        footer: false,
        document: exampleOperations().join('\n'),
        variables: exampleVariables,
      });
    case 'graphiql': {
      // Nine megabytes of page: loaded only where it is wanted.
      const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
      const html = renderGraphiQL({
        endpoint: '/graphql',
        title: 'Mediagraph',
        subscriptionsProtocol: 'GRAPHQL_SSE',
        defaultTabs: exampleOperations().map((query) => ({ query, variables: ofOperation(query, exampleVariables) })),
      });
      return { serverWillStart: async () => ({ renderLandingPage: async () => ({ html }) }) };
    }
  }
}
