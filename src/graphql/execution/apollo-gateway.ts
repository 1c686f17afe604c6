import type { ApolloServerOptionsWithGateway } from '@apollo/server';
import { type ExecutionResult, execute, GraphQLError, type GraphQLFormattedError, type GraphQLSchema } from 'graphql';
import type { GraphQLContext } from '../resolvers/context.js';
import { type FormatError, formatErrors } from './answer-errors.js';
import { CompiledExecutor } from './compiled-executor.js';
import type { ExecutionBudget } from './execution-budget.js';
import { measureOperation, type OperationMetrics } from './measured-operation.js';

type Gateway = ApolloServerOptionsWithGateway<GraphQLContext>['gateway'];
type GatewayExecutor = NonNullable<Awaited<ReturnType<Gateway['load']>>['executor']>;
type GatewayRequest = Parameters<GatewayExecutor>[0];
type AnyContext = GatewayRequest['context'];
export type Execution = (request: GatewayRequest) => ExecutionResult | Promise<ExecutionResult>;

interface GatewayOptions {
  readonly formatError: FormatError;
  readonly metrics?: OperationMetrics;
}

/** Execution by compiled functions. */
export function compiledExecution(schema: GraphQLSchema): Execution {
  const executor = new CompiledExecutor(schema);
  return ({ document, queryHash, request: { operationName, variables }, context }) =>
    executor.execute({ document, documentHash: queryHash, operationName, variables, context });
}

/** Execution by graphql-js. */
export function interpretation(schema: GraphQLSchema): Execution {
  return ({ document, request: { operationName, variables }, context }) =>
    execute({ schema, document, operationName, variableValues: variables, contextValue: context });
}

/** The option `gateway` of Apollo Server, the only one that takes another executor. */
export function gatewayOver(
  schema: GraphQLSchema,
  { formatError, metrics }: GatewayOptions,
  executeIn: Execution,
): Gateway {
  const measured = (request: GatewayRequest) => {
    const { document, request: asked, context } = request;
    const budget: ExecutionBudget = context.budget;
    return measureOperation({ document, operationName: asked.operationName }, metrics, {
      execute: () => executeIn(request),
      hasErrors: ({ errors }) => errors !== undefined || budget.refusal !== null,
    });
  };
  return {
    async load() {
      const executor = async (request: GatewayRequest) =>
        resultForApollo(await measured(request), request.context, formatError);
      return { executor };
    },
    onSchemaLoadOrUpdate(callback) {
      callback({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => {};
    },
    async stop() {},
  };
}

/** More errors are formatted in turns. Apollo Server would format them all at once, and block the process. */
const FEW_ERRORS = 500;
const manyErrors = new WeakMap<object, readonly GraphQLFormattedError[]>();

/** The errors of an operation that were formatted before Apollo Server got its result, if there were many. */
export function formattedErrorsOf(context: object): readonly GraphQLFormattedError[] | undefined {
  return manyErrors.get(context);
}

async function resultForApollo(
  { data, errors }: ExecutionResult,
  context: AnyContext,
  formatError: FormatError,
): Promise<ExecutionResult> {
  const budget: ExecutionBudget = context.budget;
  budget.end();
  // The plugin puts the refusal in place of the result when it finishes the answer.
  if (budget.refusal) return { data: null };
  if (!errors) return { data };
  if (data === undefined || errors.length <= FEW_ERRORS) return { data, errors: errors.map(asGraphQLError) };
  manyErrors.set(context, await formatErrors(errors, formatError, context.requestId));
  return { data };
}

/** graphql-jit's errors look like a GraphQLError and lack `extensions`, which Apollo Server reads. */
function asGraphQLError(error: GraphQLError): GraphQLError {
  if (error.extensions) return error;
  const complete = new GraphQLError(error.message, { path: error.path, originalError: error.originalError });
  return Object.assign(complete, { locations: error.locations });
}
