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
  type OperationTypeNode,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { toError } from '../model/errors.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { GraphQLContext } from './context.js';
import { INTROSPECTION_TOKENS, type QueryLimits, queryLimitsRule } from './query-limits.js';

export interface StreamedOperationsOptions {
  readonly schema: GraphQLSchema;
  readonly limits: QueryLimits;
  /** Introspection is off. */
  readonly production: boolean;
  readonly metrics?: Pick<Metrics, 'subscriptionOpened'>;
  readonly formatError: (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;
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
  readonly operation: OperationTypeNode;
  readonly requestId: string;
}

/** Made anew for every answer, so that each reads the catalogue and the clock anew. @throws MediagraphError */
export type CreateContext = () => GraphQLContext;

/**
 * Operations over connections that stay open, where Apollo Server has no transport: the same limits, resolvers and errors
 * as for requests, executed by graphql-js. GraphQL specification, section 6.2.3 "Subscription".
 */
export class StreamedOperations {
  readonly #rules: readonly ValidationRule[];
  readonly #maxTokens: number;

  constructor(private readonly options: StreamedOperationsOptions) {
    const { limits, production } = options;
    this.#rules = [
      ...specifiedRules,
      queryLimitsRule(limits),
      ...(production ? [NoSchemaIntrospectionCustomRule] : []),
    ];
    this.#maxTokens = limits.maxTokens + (production ? 0 : INTROSPECTION_TOKENS);
  }

  /** Parsed and checked; nothing is executed yet. @param requestId for the errors */
  prepare(request: StreamedRequest, requestId: string): PreparedOperation {
    try {
      const document = this.#parse(request.query);
      const invalid = validate(this.options.schema, document, this.#rules);
      if (invalid.length > 0)
        return {
          errors: invalid.map((error) => this.#format(withCode('GRAPHQL_VALIDATION_FAILED', error), requestId)),
        };
      const operation = operationOf(document, request.operationName);
      const args: Operation = { request, document, operation, requestId };
      return { document, operation, start: (createContext) => this.#start(args, createContext) };
    } catch (thrown) {
      return { errors: [this.#format(graphQLErrorOf(thrown), requestId)] };
    }
  }

  async #start(operation: Operation, createContext: CreateContext): Promise<AsyncIterableIterator<StreamedResult>> {
    const ended = new AbortController();
    const begun = await this.#begin(operation, createContext, ended.signal).catch(failed);
    const results = this.#formatted(begun, operation.requestId);
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
    { request, document, operation }: Operation,
    createContext: CreateContext,
    signal: AbortSignal,
  ): Promise<AsyncIterable<ExecutionResult>> {
    const { operationName, variables: variableValues } = request;
    const args = { schema: this.options.schema, document, operationName, variableValues };
    const executeOver = async (rootValue: unknown) => execute({ ...args, rootValue, contextValue: createContext() });
    if (operation !== 'subscription') return mapped([undefined], executeOver);
    const source = await createSourceEventStream({ ...args, contextValue: createContext() });
    if (!(Symbol.asyncIterator in source)) return mapped([source], async (result) => result);
    const events = source[Symbol.asyncIterator]();
    const closed = this.options.metrics?.subscriptionOpened();
    // Perhaps before anybody has asked for a first one.
    signal.addEventListener('abort', () => {
      closed?.();
      void events.return?.();
    });
    return mapped({ [Symbol.asyncIterator]: () => events }, executeOver, closed);
  }

  async *#formatted(
    results: AsyncIterable<ExecutionResult>,
    requestId: string,
  ): AsyncGenerator<StreamedResult, void, void> {
    try {
      for await (const { data, errors } of results) {
        const formatted = errors?.map((error) => this.#format(error, requestId));
        yield { ...(data !== undefined && { data }), ...(formatted && { errors: formatted }) };
      }
    } catch (thrown) {
      yield { errors: [this.#format(graphQLErrorOf(thrown), requestId)] };
    }
  }

  #parse(query: string): DocumentNode {
    try {
      return parse(query, { maxTokens: this.#maxTokens });
    } catch (thrown) {
      throw thrown instanceof GraphQLError ? withCode('GRAPHQL_PARSE_FAILED', thrown) : thrown;
    }
  }

  #format(error: GraphQLError, requestId: string): GraphQLFormattedError {
    const formatted = this.options.formatError(error.toJSON(), error);
    return { ...formatted, extensions: { ...formatted.extensions, requestId } };
  }
}

/** @throws GraphQLError for a name that is missing, or names none */
function operationOf(document: DocumentNode, operationName: string | null | undefined): OperationTypeNode {
  const operation = getOperationAST(document, operationName)?.operation;
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
  map: (item: Item) => Promise<ExecutionResult>,
  ended?: () => void,
): AsyncGenerator<ExecutionResult, void, void> {
  try {
    for await (const item of items) yield await map(item);
  } finally {
    ended?.();
  }
}

function failed(thrown: unknown): AsyncIterable<ExecutionResult> {
  return mapped([graphQLErrorOf(thrown)], async (error) => ({ errors: [error] }));
}
