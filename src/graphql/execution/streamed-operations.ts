import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  type OperationTypeNode,
  type ParseOptions,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { toError } from '../../model/errors.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { GraphQLContext } from '../resolvers/context.js';
import { type FormatError, formattedResult } from './answer-errors.js';
import { countOperation } from './counted-operation.js';
import {
  boundedFaults,
  faultOfValidation,
  isTooDeep,
  tooDeep,
  VALIDATION_OPTIONS,
} from './documents/document-faults.js';
import { parseLimits, type QueryLimits, queryLimitsRule } from './documents/query-limits.js';
import { endableIterator } from './endable-iterator.js';
import { measureOperation, type OperationMetrics } from './measured-operation.js';

export interface StreamedOperationsOptions {
  readonly schema: GraphQLSchema;
  readonly limits: QueryLimits;
  /** Introspection is off. */
  readonly production: boolean;
  readonly metrics?: Pick<Metrics, 'subscriptionOpened'> & { readonly work?: OperationMetrics };
  readonly formatError: FormatError;
}

/** A request as GraphQL over HTTP and both protocols of subscriptions carry it. */
export interface StreamedRequest {
  readonly query: string;
  readonly operationName?: string | null;
  readonly variables?: Readonly<Record<string, unknown>> | null;
}

/** One result of an operation, as the client receives it. */
export interface StreamedResult {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLFormattedError[];
}

/** The results of one operation. `return` ends the operation, even while a result is pending. */
export type StreamedResults = AsyncIterableIterator<StreamedResult, undefined>;

/** A document that can be executed, or the errors of one that cannot. */
export type PreparedOperation =
  | { readonly errors: readonly GraphQLFormattedError[] }
  | {
      readonly document: DocumentNode;
      readonly operation: OperationTypeNode;
      /** Resolves once no further event can be missed. Never rejects: a failure is a result with errors. */
      start(createContext: CreateContext): Promise<StreamedResults>;
    };

interface Operation {
  readonly request: StreamedRequest;
  readonly document: DocumentNode;
  readonly definition: OperationDefinitionNode;
  readonly requestId: string;
}

interface Executed {
  readonly result: ExecutionResult;
  /** null when the operation failed before it had a context. */
  readonly context: GraphQLContext | null;
}

/** Called for each result, so that each reads the catalogue and the clock anew. Rejects with a MediagraphError. */
export type CreateContext = () => Promise<GraphQLContext>;

/**
 * Operations over connections that stay open, for which Apollo Server has no transport. They have the limits, resolvers
 * and errors of requests, and are executed by graphql-js: GraphQL specification, section 6.2.3 "Subscription".
 */
export class StreamedOperations {
  readonly #rules: readonly ValidationRule[];
  readonly #parseOptions: ParseOptions;

  constructor(private readonly options: StreamedOperationsOptions) {
    const { limits, production } = options;
    this.#rules = [
      ...specifiedRules,
      queryLimitsRule(limits),
      ...(production ? [NoSchemaIntrospectionCustomRule] : []),
    ];
    this.#parseOptions = parseLimits(limits, production);
  }

  /** Parses and validates; executes nothing. @param requestId goes into the errors */
  prepare(request: StreamedRequest, requestId: string): PreparedOperation {
    try {
      const document = this.#parse(request.query);
      const invalid = this.#validate(document);
      if (invalid.length > 0)
        return {
          errors: boundedFaults(
            invalid.map((error) => this.#format(withCode('GRAPHQL_VALIDATION_FAILED', error), requestId)),
          ),
        };
      const definition = operationOf(document, request.operationName);
      const args: Operation = { request, document, definition, requestId };
      const { operation } = definition;
      return { document, operation, start: (createContext) => this.#start(args, createContext) };
    } catch (thrown) {
      return { errors: [this.#format(graphQLErrorOf(thrown), requestId)] };
    }
  }

  async #start(operation: Operation, createContext: CreateContext): Promise<StreamedResults> {
    const ended = new AbortController();
    const executions = await this.#execute(operation, createContext, ended.signal).catch(failedExecution);
    const results = this.#formatted(executions, operation.requestId, ended.signal);
    return endableIterator({
      next: async () => {
        const { value, done } = await results.next();
        return done ? { value: undefined, done } : { value, done: false };
      },
      end: () => {
        ended.abort();
        return results.return();
      },
    });
  }

  async #execute(
    { request, document, definition }: Operation,
    createContext: CreateContext,
    ended: AbortSignal,
  ): Promise<AsyncIterable<Executed>> {
    const { schema, metrics } = this.options;
    const { operationName, variables } = request;
    const args = { schema, document, operationName, variableValues: variables };
    // Each result has a context, and with it a budget, of its own.
    const countedContext = async () => {
      const context = await createContext();
      countOperation({ schema, document, operation: definition, variables: variables ?? {} }, context.budget);
      return context;
    };
    const executeOver = async (rootValue: unknown): Promise<Executed> => {
      const context = await countedContext();
      const result = await measureOperation({ document, operationName }, metrics?.work, {
        execute: () => execute({ ...args, rootValue, contextValue: context }),
        hasErrors: ({ errors }) => errors !== undefined,
      });
      return { result, context };
    };
    if (definition.operation !== 'subscription') return executions([undefined], executeOver);
    const context = await countedContext();
    const source = await createSourceEventStream({ ...args, contextValue: context });
    if (!(Symbol.asyncIterator in source))
      return executions([{ result: source, context }], async (executed) => executed);
    const events = source[Symbol.asyncIterator]();
    const onClosed = metrics?.subscriptionOpened();
    // The consumer may end the operation before it has asked for a first result, when no `finally` below has begun.
    ended.addEventListener('abort', () => {
      onClosed?.();
      void events.return?.();
    });
    return executions({ [Symbol.asyncIterator]: () => events }, executeOver, onClosed);
  }

  async *#formatted(
    executed: AsyncIterable<Executed>,
    requestId: string,
    ended: AbortSignal,
  ): AsyncGenerator<StreamedResult, void, void> {
    try {
      for await (const { result, context } of executed) {
        if (context) yield await formattedResult(result, context, this.options.formatError);
        else yield { errors: result.errors?.map((error) => this.#format(error, requestId)) };
      }
    } catch (thrown) {
      // Formatting counts the error in the metrics, and no client is left to receive it.
      if (ended.aborted) return;
      yield { errors: [this.#format(graphQLErrorOf(thrown), requestId)] };
    }
  }

  #parse(query: string): DocumentNode {
    try {
      return parse(query, this.#parseOptions);
    } catch (thrown) {
      if (isTooDeep(thrown)) throw tooDeep();
      throw thrown instanceof GraphQLError ? withCode('GRAPHQL_PARSE_FAILED', thrown) : thrown;
    }
  }

  #validate(document: DocumentNode): readonly GraphQLError[] {
    try {
      return validate(this.options.schema, document, this.#rules, VALIDATION_OPTIONS);
    } catch (thrown) {
      const fault = faultOfValidation(thrown);
      if (!fault) throw thrown;
      return [fault];
    }
  }

  #format(error: GraphQLError, requestId: string): GraphQLFormattedError {
    const formatted = this.options.formatError(error.toJSON(), error);
    return { ...formatted, extensions: { ...formatted.extensions, requestId } };
  }
}

/** @throws GraphQLError when the name is missing although it is needed, or names no operation */
function operationOf(document: DocumentNode, operationName: string | null | undefined): OperationDefinitionNode {
  const operation = getOperationAST(document, operationName);
  if (operation) return operation;
  const { length: count } = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  throw new GraphQLError(`expected operationName to name one of the document's ${count} operations`, {
    extensions: { code: 'OPERATION_RESOLUTION_FAILURE' },
  });
}

/** Adds a code to an error whose rule has set none. */
function withCode(code: string, error: GraphQLError): GraphQLError {
  if (error.extensions.code === undefined) error.extensions.code = code;
  return error;
}

function graphQLErrorOf(thrown: unknown): GraphQLError {
  if (thrown instanceof GraphQLError) return thrown;
  const error = toError(thrown);
  return new GraphQLError(error.message, { originalError: error });
}

/** Executes once for each event. @param onClosed called when the events end, or their consumer ends them */
async function* executions<Event>(
  events: Iterable<Event> | AsyncIterable<Event>,
  executeOver: (event: Event) => Promise<Executed>,
  onClosed?: () => void,
): AsyncGenerator<Executed, void, void> {
  try {
    for await (const event of events) yield await executeOver(event);
  } finally {
    onClosed?.();
  }
}

function failedExecution(thrown: unknown): AsyncIterable<Executed> {
  return executions([graphQLErrorOf(thrown)], async (error) => ({ result: { errors: [error] }, context: null }));
}
