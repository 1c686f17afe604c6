import { ApolloServer, type ApolloServerOptionsWithGateway, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import { ApolloServerPluginInlineTrace } from '@apollo/server/plugin/inlineTrace';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import {
  type ExecutionResult,
  execute,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from 'graphql';
import Negotiator from 'negotiator';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { type FormatError, formatErrors, refusalOf } from './execution/answer-errors.js';
import { stringifyAnswer } from './execution/answer-size.js';
import { CompiledExecutor } from './execution/compiled-executor.js';
import { countOperation } from './execution/counted-operation.js';
import { faultOfValidation } from './execution/document-faults.js';
import { DocumentStore } from './execution/document-store.js';
import type { ExecutionBudget } from './execution/execution-budget.js';
import { createFormatError } from './execution/format-error.js';
import { parseLimits, type QueryLimits, queryLimitsRule } from './execution/query-limits.js';
import { StreamedOperations } from './execution/streamed-operations.js';
import type { GraphQLContext } from './resolvers/context.js';
import { exampleOperations } from './transport/explorer-examples.js';

export type Explorer = 'sandbox' | 'graphiql' | 'off';

export interface GraphQLServerOptions {
  readonly schema: GraphQLSchema;
  /** The same once more. */
  readonly tracedSchema: GraphQLSchema;
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
 * second server that interprets, with a schema of its own: Apollo's inline trace plugin wraps every resolver of it.
 */
export async function createGraphQLServers(options: GraphQLServerOptions): Promise<GraphQLServers> {
  const formatError = formatErrorOf(options);
  const shared = sharedOptions(options, formatError);
  const { schema, limits, production, metrics } = options;
  const compiled = new ApolloServer<GraphQLContext>({
    ...shared,
    gateway: gatewayOver(schema, formatError, compiledExecution(schema)),
    plugins: [...shared.plugins, finishedAnswers(schema, formatError), await landingPage(options)],
  });
  const { tracedSchema } = options;
  const traced = new ApolloServer<GraphQLContext>({
    ...shared,
    gateway: gatewayOver(tracedSchema, formatError, interpretation(tracedSchema)),
    plugins: [
      ...shared.plugins,
      ApolloServerPluginLandingPageDisabled(),
      boundedTrace(),
      finishedAnswers(tracedSchema, formatError),
    ],
  });
  await Promise.all([compiled.start(), traced.start()]);
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
    documentStore: new DocumentStore(),
    stringifyResult: stringifyAnswer,
    parseOptions: parseLimits(limits, production),
    validationRules: [queryLimitsRule(limits)],
    plugins: [ApolloServerPluginCacheControlDisabled(), ApolloServerPluginUsageReportingDisabled()],
  };
}

type Gateway = ApolloServerOptionsWithGateway<GraphQLContext>['gateway'];
type GatewayExecutor = NonNullable<Awaited<ReturnType<Gateway['load']>>['executor']>;
type GatewayRequest = Parameters<GatewayExecutor>[0];
/** As Apollo types it. */
type AnyContext = GatewayRequest['context'];
type Execution = (request: GatewayRequest) => ExecutionResult | Promise<ExecutionResult>;

function compiledExecution(schema: GraphQLSchema): Execution {
  const executor = new CompiledExecutor(schema);
  return ({ document, queryHash, request: { operationName, variables }, context }) =>
    executor.execute({ document, documentHash: queryHash, operationName, variables, context });
}

function interpretation(schema: GraphQLSchema): Execution {
  return ({ document, request: { operationName, variables }, context }) =>
    execute({ schema, document, operationName, variableValues: variables, contextValue: context });
}

function gatewayOver(schema: GraphQLSchema, formatError: FormatError, executeIn: Execution): Gateway {
  return {
    async load() {
      const executor = async (request: GatewayRequest) =>
        handedToApollo(await executeIn(request), request.context, formatError);
      return { executor };
    },
    onSchemaLoadOrUpdate(callback) {
      callback({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => {};
    },
    async stop() {},
  };
}

/** More than these are worded in turns; Apollo Server would word them all at once. */
const FEW_ERRORS = 500;
const manyErrors = new WeakMap<object, readonly GraphQLFormattedError[]>();

async function handedToApollo(
  { data, errors }: ExecutionResult,
  context: AnyContext,
  formatError: FormatError,
): Promise<ExecutionResult> {
  const budget: ExecutionBudget = context.budget;
  budget.end();
  // What takes its place is put there when the answer is finished.
  if (budget.refusal) return { data: null };
  if (!errors) return { data };
  if (data === undefined || errors.length <= FEW_ERRORS) return { data, errors: errors.map(asGraphQLError) };
  manyErrors.set(context, await formatErrors(errors, formatError, context.requestId));
  return { data };
}

// graphql-jit's errors look like GraphQLError but lack `extensions`, which everyone else counts on.
function asGraphQLError(error: GraphQLError): GraphQLError {
  if (error.extensions) return error;
  const made = new GraphQLError(error.message, { path: error.path, originalError: error.originalError });
  return Object.assign(made, { locations: error.locations });
}

/**
 * What Apollo Server leaves to others. Before: an operation is counted as far as its document tells, and its variables are
 * bounded. After: each error has `extensions.requestId`, which a user quotes and an operator searches the log for; what is
 * beyond the budget is refused; only what was asked and answered in full may be kept by caches.
 */
function finishedAnswers(schema: GraphQLSchema, formatError: FormatError): ApolloServerPlugin<GraphQLContext> {
  return {
    async unexpectedErrorProcessingRequest({ requestContext: { operation }, error }) {
      // Only before there is an operation can it be a fault of the document. What is thrown here, Apollo Server answers.
      const fault = operation ? null : faultOfValidation(error);
      if (fault) throw fault;
    },
    async requestDidStart() {
      return {
        async didResolveOperation({ document, operation, request, contextValue: { budget } }) {
          const { variables = {}, http } = request;
          if (operation?.operation === 'subscription') throw noSubscription();
          if (http && !takesAnswers(http.headers.get('accept'))) throw notAcceptable();
          if (operation) countOperation({ schema, document, operation, variables }, budget);
        },
        async willSendResponse({ response: { body, http }, operation, contextValue }) {
          if (body.kind === 'single') await finish(body.singleResult, contextValue, formatError);
          const isWhole = body.kind === 'single' && !body.singleResult.errors && operation?.operation === 'query';
          http.headers.set('cache-control', isWhole ? contextValue.cache.header() : 'no-store');
        },
      };
    },
  };
}

/** A trace holds a node for each field, and is encoded at once: of larger answers there is none. */
const MAX_TRACED_FIELDS = 50_000;

function boundedTrace(): ApolloServerPlugin<GraphQLContext> {
  const trace: ApolloServerPlugin<GraphQLContext> = ApolloServerPluginInlineTrace();
  return {
    ...trace,
    async requestDidStart(request) {
      const listener = await trace.requestDidStart?.(request);
      if (!listener) return;
      const { budget } = request.contextValue;
      const isLarge = () => budget.nodes > MAX_TRACED_FIELDS;
      return {
        ...listener,
        async executionDidStart(executed) {
          const fields = await listener.executionDidStart?.(executed);
          return {
            ...fields,
            willResolveField: (resolved) => (isLarge() ? undefined : fields?.willResolveField?.(resolved)),
          };
        },
        async willSendResponse(answered) {
          if (!isLarge()) await listener.willSendResponse?.(answered);
        },
      };
    },
  };
}

async function finish(
  result: FormattedExecutionResult,
  context: GraphQLContext,
  formatError: FormatError,
): Promise<void> {
  const { requestId } = context;
  const errors =
    manyErrors.get(context) ??
    result.errors?.map((error) => ({ ...error, extensions: { ...error.extensions, requestId } }));
  if (errors) result.errors = errors;
  const refusal = await refusalOf(result, context, formatError);
  // Without a trace, which may be what is too long.
  if (refusal) Object.assign(result, refusal, { extensions: undefined });
}

/** Over one request and one answer, there is no way to tell what comes later. */
function noSubscription(): GraphQLError {
  return new GraphQLError(
    'expected a subscription over a WebSocket (graphql-transport-ws) or with "Accept: text/event-stream"',
    { extensions: { code: 'BAD_REQUEST', http: { status: 400 } } },
  );
}

/** As Apollo Server has them. */
const ANSWER_TYPES = ['application/json; charset=utf-8', 'application/graphql-response+json; charset=utf-8'];

/** Apollo Server asks when the answer is there: a mutation would be done, and its caller told that it was refused. */
function takesAnswers(accept: string | undefined): boolean {
  return !accept || new Negotiator({ headers: { accept } }).mediaTypes(ANSWER_TYPES).length > 0;
}

function notAcceptable(): GraphQLError {
  return new GraphQLError(
    'expected an Accept header that allows application/json or application/graphql-response+json',
    {
      extensions: { code: 'BAD_REQUEST', http: { status: 406 } },
    },
  );
}

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
      const tabs = exampleOperations().map((query) => ({ query, variables: ofOperation(query, exampleVariables) }));
      const html = renderGraphiQL({
        endpoint: '/graphql',
        title: 'Mediagraph',
        subscriptionsProtocol: 'GRAPHQL_SSE',
        // What the editor holds at first, whatever tabs a browser remembers: without it, a text of welcome that cannot run.
        ...tabs[0],
        defaultTabs: tabs,
      });
      return { serverWillStart: async () => ({ renderLandingPage: async () => ({ html }) }) };
    }
  }
}
