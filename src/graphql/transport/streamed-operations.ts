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
import { type FormatError, toldResult } from '../execution/answer-errors.js';
import { countOperation } from '../execution/counted-operation.js';
import { faultOfValidation, isTooDeep, tooDeep } from '../execution/document-faults.js';
import { parseLimits, type QueryLimits, queryLimitsRule } from '../execution/query-limits.js';
import type { GraphQLContext } from '../resolvers/context.js';

export interface StreamedOperationsOptions {
  readonly schema: GraphQLSchema;
  readonly limits: QueryLimits;
  /** Introspection is off. */
  readonly production: boolean;
  readonly metrics?: Pick<Metrics, 'subscriptionOpened'>;
  readonly formatError: FormatError;
}

/** As GraphQL over HTTP and both protocols of subscriptions carry it. */
export interface StreamedRequest {
  readonly query: string;
  readonly operationName?: string | null;
  readonly variables?: Readonly<Record<string, unknown>> | null;
}

/** What a client is told; a subscription's answers come one by one. */
export interface StreamedResult {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLFormattedError[];
}

/** Of a document that cannot be executed, what is wrong with it. */
export type PreparedOperation =
  | { readonly errors: readonly GraphQLFormattedError[] }
  | {
      readonly document: DocumentNode;
      readonly operation: OperationTypeNode;
      /**
       * Resolves when no event is missed any more. Never rejects: what goes wrong is a result with errors. `return` ends
       * it, also while nothing happens.
       */
      start(createContext: CreateContext): Promise<AsyncIterableIterator<StreamedResult>>;
    };

interface Operation {
  readonly request: StreamedRequest;
  readonly document: DocumentNode;
  readonly definition: OperationDefinitionNode;
  readonly requestId: string;
}

interface Executed {
  readonly result: ExecutionResult;
  /** null: it was not reached. */
  readonly context: GraphQLContext | null;
}

/** Called for each result, so that each reads the catalogue and the clock anew. Rejects with a MediagraphError. */
export type CreateContext = () => Promise<GraphQLContext>;

/**
 * Operations over connections that stay open, where Apollo Server has no transport: the same limits, resolvers and errors
 * as for requests, executed by graphql-js. GraphQL specification, section 6.2.3 "Subscription".
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

  /** Parsed and checked; nothing is executed yet. @param requestId for the errors */
  prepare(request: StreamedRequest, requestId: string): PreparedOperation {
    try {
      const document = this.#parse(request.query);
      const invalid = this.#validate(document);
      if (invalid.length > 0)
        return {
          errors: invalid.map((error) => this.#format(withCode('GRAPHQL_VALIDATION_FAILED', error), requestId)),
        };
      const definition = operationOf(document, request.operationName);
      const args: Operation = { request, document, definition, requestId };
      const { operation } = definition;
      return { document, operation, start: (createContext) => this.#start(args, createContext) };
    } catch (thrown) {
      return { errors: [this.#format(graphQLErrorOf(thrown), requestId)] };
    }
  }

  async #start(operation: Operation, createContext: CreateContext): Promise<AsyncIterableIterator<StreamedResult>> {
    const ended = new AbortController();
    const begun = await this.#begin(operation, createContext, ended.signal).catch(failed);
    const results = this.#told(begun, operation.requestId, ended.signal);
    const started: AsyncIterableIterator<StreamedResult> = {
      next: () => results.next(),
      // A generator that waits for an event does not hear of it by itself.
      return: () => {
        ended.abort();
        return results.return();
      },
      [Symbol.asyncIterator]: () => started,
    };
    return started;
  }

  async #begin(
    { request, document, definition }: Operation,
    createContext: CreateContext,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Executed>> {
    const { schema } = this.options;
    const { operationName, variables } = request;
    const args = { schema, document, operationName, variableValues: variables };
    // Anew for every result, which has a budget of its own.
    const counted = async () => {
      const context = await createContext();
      countOperation({ schema, document, operation: definition, variables: variables ?? {} }, context.budget);
      return context;
    };
    const executeOver = async (rootValue: unknown): Promise<Executed> => {
      const context = await counted();
      return { result: await execute({ ...args, rootValue, contextValue: context }), context };
    };
    if (definition.operation !== 'subscription') return mapped([undefined], executeOver);
    const context = await counted();
    const source = await createSourceEventStream({ ...args, contextValue: context });
    if (!(Symbol.asyncIterator in source)) return mapped([{ result: source, context }], async (executed) => executed);
    const events = source[Symbol.asyncIterator]();
    const closed = this.options.metrics?.subscriptionOpened();
    // Perhaps before a first one was asked for.
    signal.addEventListener('abort', () => {
      closed?.();
      void events.return?.();
    });
    return mapped({ [Symbol.asyncIterator]: () => events }, executeOver, closed);
  }

  async *#told(
    executed: AsyncIterable<Executed>,
    requestId: string,
    ended: AbortSignal,
  ): AsyncGenerator<StreamedResult, void, void> {
    try {
      for await (const { result, context } of executed) {
        if (context) yield await toldResult(result, context, this.options.formatError);
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
      return validate(this.options.schema, document, this.#rules);
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

/** @throws GraphQLError for a name that is missing, or names none */
function operationOf(document: DocumentNode, operationName: string | null | undefined): OperationDefinitionNode {
  const operation = getOperationAST(document, operationName);
  if (operation) return operation;
  const { length: count } = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  throw new GraphQLError(`expected operationName to name one of the document's ${count} operations`, {
    extensions: { code: 'OPERATION_RESOLUTION_FAILURE' },
  });
}

// Private: a rule's own code stays.
function withCode(code: string, error: GraphQLError): GraphQLError {
  if (error.extensions.code === undefined) error.extensions.code = code;
  return error;
}

function graphQLErrorOf(thrown: unknown): GraphQLError {
  if (thrown instanceof GraphQLError) return thrown;
  const error = toError(thrown);
  return new GraphQLError(error.message, { originalError: error });
}

async function* mapped<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  map: (item: Item) => Promise<Executed>,
  ended?: () => void,
): AsyncGenerator<Executed, void, void> {
  try {
    for await (const item of items) yield await map(item);
  } finally {
    ended?.();
  }
}

function failed(thrown: unknown): AsyncIterable<Executed> {
  return mapped([graphQLErrorOf(thrown)], async (error) => ({ result: { errors: [error] }, context: null }));
}
