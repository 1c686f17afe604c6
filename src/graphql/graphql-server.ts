import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { GraphQLSchema } from 'graphql';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { FormatError } from './execution/answer-errors.js';
import { stringifyAnswer } from './execution/answer-size.js';
import { compiledExecution, gatewayOver, interpretation } from './execution/apollo-gateway.js';
import { answerPlugin, boundedTrace } from './execution/apollo-plugins.js';
import { VALIDATION_OPTIONS } from './execution/documents/document-faults.js';
import { DocumentStore } from './execution/documents/document-store.js';
import { parseLimits, type QueryLimits, queryLimitsRule } from './execution/documents/query-limits.js';
import { createFormatError } from './execution/format-error.js';
import type { OperationMetrics } from './execution/measured-operation.js';
import { StreamedOperations } from './execution/streamed-operations.js';
import { type Explorer, landingPage } from './explorer.js';
import type { GraphQLContext } from './resolvers/context.js';

export interface GraphQLServerOptions {
  readonly schema: GraphQLSchema;
  /** Makes a second schema of the same form, whose resolvers the trace plugin wraps. */
  readonly tracedSchema: () => GraphQLSchema;
  readonly limits: QueryLimits;
  readonly explorer: Explorer;
  /** Variables of the explorer's example operations, besides their defaults. */
  readonly exampleVariables?: Readonly<Record<string, unknown>>;
  /** Introspection, suggestions and stack traces are off. */
  readonly production: boolean;
  readonly logger: Logger;
  readonly metrics?: Pick<Metrics, 'graphqlError' | 'subscriptionOpened'> & { readonly work?: OperationMetrics };
}

/** See {@link createGraphQLServers}. */
export interface GraphQLServers {
  /** For requests that ask for no trace. */
  readonly compiled: ApolloServer<GraphQLContext>;
  /** For requests with `apollo-federation-include-trace: ftv1`, which some routers send. */
  readonly traced: ServerOnDemand;
  /** For connections that stay open, for which Apollo Server has no transport. */
  readonly streamed: StreamedOperations;
}

/** A server that is made and started when it is first needed. */
export interface ServerOnDemand {
  started(): Promise<ApolloServer<GraphQLContext>>;
  stop(): Promise<void>;
}

/**
 * Two Apollo Servers. Compiled execution calls no field-level hooks, so it can make no trace. Requests that ask for a
 * trace go to a second server that executes with graphql-js, over a schema of its own, since Apollo's inline trace plugin
 * wraps every resolver of its schema.
 */
export async function createGraphQLServers(options: GraphQLServerOptions): Promise<GraphQLServers> {
  const formatError = formatErrorOf(options);
  const shared = sharedOptions(options, formatError);
  const { schema, tracedSchema, limits, production, metrics, explorer, exampleVariables = {} } = options;
  const measured = { formatError, metrics: metrics?.work };
  const compiled = new ApolloServer<GraphQLContext>({
    ...shared,
    gateway: gatewayOver(schema, measured, compiledExecution(schema)),
    plugins: [
      ...shared.plugins,
      ApolloServerPluginInlineTraceDisabled(),
      answerPlugin(schema, formatError),
      landingPage(explorer, exampleVariables),
    ],
  });
  await compiled.start();
  const traced = onDemand(async () => {
    const ofTrace = tracedSchema();
    return new ApolloServer<GraphQLContext>({
      ...shared,
      gateway: gatewayOver(ofTrace, measured, interpretation(ofTrace)),
      plugins: [
        ...shared.plugins,
        ApolloServerPluginLandingPageDisabled(),
        await boundedTrace(),
        answerPlugin(ofTrace, formatError),
      ],
    });
  });
  const streamed = new StreamedOperations({ schema, limits, production, formatError, metrics });
  return { compiled, traced, streamed };
}

function onDemand(make: () => Promise<ApolloServer<GraphQLContext>>): ServerOnDemand {
  let server: Promise<ApolloServer<GraphQLContext>> | null = null;
  const start = async () => {
    const made = await make();
    await made.start();
    return made;
  };
  return {
    started: () => {
      server ??= start();
      return server;
    },
    stop: async () => {
      await (await server)?.stop();
    },
  };
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
    documentStore: new DocumentStore(),
    stringifyResult: stringifyAnswer,
    parseOptions: parseLimits(limits, production),
    validationRules: [queryLimitsRule(limits)],
    validationOptions: VALIDATION_OPTIONS,
    plugins: [ApolloServerPluginCacheControlDisabled(), ApolloServerPluginUsageReportingDisabled()],
  };
}
