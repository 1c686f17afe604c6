import type { ApolloServerPlugin } from '@apollo/server';
import { type FormattedExecutionResult, GraphQLError, type GraphQLSchema } from 'graphql';
import Negotiator from 'negotiator';
import type { GraphQLContext } from '../resolvers/context.js';
import { type FormatError, refusalOf } from './answer-errors.js';
import { formattedErrorsOf } from './apollo-gateway.js';
import { countOperation } from './counted-operation.js';
import { boundedFaults, faultOfValidation } from './documents/document-faults.js';

/** Media types of a response with one result (GraphQL over HTTP, "Media Types"). */
export const SINGLE_RESULT_TYPES = ['application/json', 'application/graphql-response+json'];

/**
 * The budget of an operation, and the completion of its answer. Before execution, the fields that the document tells are
 * counted and the variables are bounded. Afterwards each error gets `extensions.requestId`, which finds the request in
 * the log, an answer beyond the budget is replaced by its refusal, and only complete answers of queries may be cached.
 */
export function answerPlugin(schema: GraphQLSchema, formatError: FormatError): ApolloServerPlugin<GraphQLContext> {
  return {
    async unexpectedErrorProcessingRequest({ requestContext: { operation }, error }) {
      // Once there is an operation, the document was valid. Apollo Server answers with the error that is thrown here.
      const fault = operation ? null : faultOfValidation(error);
      if (fault) throw fault;
    },
    async requestDidStart() {
      return {
        async didResolveOperation({ document, operation, request, contextValue: { budget } }) {
          const { variables = {}, http } = request;
          if (operation?.operation === 'subscription') throw noSubscription();
          if (http && !acceptsAnswers(http.headers.get('accept'))) throw notAcceptable();
          if (operation) countOperation({ schema, document, operation, variables }, budget);
        },
        async willSendResponse({ response: { body, http }, operation, contextValue }) {
          // Without an operation, the errors are those of the document.
          if (body.kind === 'single' && !operation && body.singleResult.errors)
            body.singleResult.errors = boundedFaults(body.singleResult.errors);
          if (body.kind === 'single') await finish(body.singleResult, contextValue, formatError);
          const isWhole = body.kind === 'single' && !body.singleResult.errors && operation?.operation === 'query';
          http.headers.set('cache-control', isWhole ? contextValue.cache.header() : 'no-store');
        },
      };
    },
  };
}

/** A trace has a node for each field and is encoded synchronously, so larger answers get none. */
const MAX_TRACED_FIELDS = 50_000;

/** Apollo's inline trace (`ftv1`) for answers that are not too large. */
export async function boundedTrace(): Promise<ApolloServerPlugin<GraphQLContext>> {
  // It loads Apollo's report protocol.
  const { ApolloServerPluginInlineTrace } = await import('@apollo/server/plugin/inlineTrace');
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
    formattedErrorsOf(context) ??
    result.errors?.map((error) => ({ ...error, extensions: { ...error.extensions, requestId } }));
  if (errors) result.errors = errors;
  const refusal = await refusalOf(result, context, formatError);
  // The trace in `extensions` is dropped, since it may be what made the answer too long.
  if (refusal) Object.assign(result, refusal, { extensions: undefined });
}

/** A subscription over a transport with one result per request. */
function noSubscription(): GraphQLError {
  return new GraphQLError(
    'expected a subscription over a WebSocket (graphql-transport-ws) or with "Accept: text/event-stream"',
    { extensions: { code: 'BAD_REQUEST', http: { status: 400 } } },
  );
}

/** The content types of Apollo Server. */
const ANSWER_TYPES = SINGLE_RESULT_TYPES.map((type) => `${type}; charset=utf-8`);

/** Apollo Server checks `Accept` after execution: a mutation would take effect, and its caller would get a refusal. */
function acceptsAnswers(accept: string | undefined): boolean {
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
