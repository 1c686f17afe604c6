import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from 'graphql';
import { makeServer, type Server } from 'graphql-ws';
import { z } from 'zod';
import type { Caller } from '../../model/caller.js';
import { MediagraphError } from '../../model/errors.js';
import { rateExceeded } from '../admission/request-rates.js';
import { endableIterator } from '../execution/endable-iterator.js';
import type { StreamedResults } from '../execution/streamed-operations.js';
import { contextOfEachResult, type OperationEntrance } from './entrance.js';
import { retryOf } from './refusals.js';

export interface SocketProtocolOptions extends OperationEntrance {
  /** graphql-ws requires one; documents are validated by `operations`. */
  readonly schema: GraphQLSchema;
  /** Operations at once over one socket. */
  readonly maxOperations: number;
}

/** What the protocol knows about a socket. */
export interface SocketConnection {
  /** The headers of the handshake. */
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the socket is closed. */
  readonly signal: AbortSignal;
  /** Called when the credentials of the socket are accepted. */
  readonly onAdmitted: (caller: Caller) => void;
  /** Called when the credentials cannot be verified at the moment. Closes the socket. */
  readonly onUnverifiable: () => void;
  /** Set when the credentials are accepted. */
  caller?: Caller;
}

/** Browsers cannot set headers of a handshake, so `connection_init` may carry the credentials. */
const initPayload = z
  .record(z.string(), z.unknown())
  .transform((params) => Object.fromEntries(Object.entries(params).map(([name, value]) => [name.toLowerCase(), value])))
  .pipe(z.object({ authorization: z.string().optional(), 'x-router-secret': z.string().optional() }));

/** Hands an operation from graphql-ws' `onSubscribe` to its `execute` and `subscribe`. */
class AcceptedOperation {
  constructor(readonly start: () => Promise<StreamedResults>) {}
}

/** An error that is formatted already. graphql-ws calls `toJSON` of every error before it sends it. */
class FormattedError extends GraphQLError {
  constructor(private readonly formatted: GraphQLFormattedError) {
    super(formatted.message);
  }

  override toJSON(): GraphQLFormattedError {
    return this.formatted;
  }
}

/**
 * The protocol `graphql-transport-ws` (graphql-ws, PROTOCOL.md) over the operations of this server. Without valid
 * credentials the socket is closed with 4403, and with 1013 while they cannot be verified.
 */
export function createSocketProtocol(options: SocketProtocolOptions): Server<SocketConnection> {
  const { operations, schema, admit, maxOperations } = options;
  const run = async ({ contextValue }: ExecutionArgs) => {
    if (contextValue instanceof AcceptedOperation) return executionResults(await contextValue.start());
    throw new Error('expected an operation that was accepted');
  };
  return makeServer<Record<string, unknown>, SocketConnection>({
    schema,
    onConnect: async ({ connectionParams, extra }) => {
      try {
        extra.caller = await admit(credentialsOf(extra.headers, connectionParams));
        extra.onAdmitted(extra.caller);
        return true;
      } catch (thrown) {
        if (!(thrown instanceof MediagraphError)) throw thrown;
        if (thrown.code !== 'UNAUTHENTICATED') extra.onUnverifiable();
        return false;
      }
    },
    onSubscribe: async ({ connectionParams, extra, subscriptions }, _id, payload) => {
      const requestId = randomUUID();
      const { length: count } = Object.keys(subscriptions);
      if (count > maxOperations) return [tooManyOperations(maxOperations, requestId)];
      const refusal = await refusalOf(options, extra, requestId);
      if (refusal) return [refusal];
      const prepared = operations.prepare(payload, requestId);
      if ('errors' in prepared) return prepared.errors.map((error) => new FormattedError(error));
      const headers = credentialsOf(extra.headers, connectionParams);
      const createContext = contextOfEachResult(options, { headers, requestId, signal: extra.signal });
      const { document } = prepared;
      const contextValue = new AcceptedOperation(() => prepared.start(createContext));
      return { schema, document, operationName: payload.operationName, contextValue };
    },
    execute: run,
    subscribe: run,
  });
}

function executionResults(results: StreamedResults): AsyncIterableIterator<ExecutionResult> {
  return endableIterator({
    async next() {
      const { value, done } = await results.next();
      if (done) return { value, done };
      const { errors, ...result } = value;
      const formatted = errors && { errors: errors.map((error) => new FormattedError(error)) };
      return { value: { ...result, ...formatted }, done: false };
    },
    end: () => results.return?.(),
  });
}

function credentialsOf(headers: IncomingHttpHeaders, connectionParams: unknown): IncomingHttpHeaders {
  const { authorization, 'x-router-secret': routerSecret } = initPayload.safeParse(connectionParams ?? {}).data ?? {};
  return {
    ...headers,
    ...(authorization !== undefined && { authorization }),
    ...(routerSecret !== undefined && { 'x-router-secret': routerSecret }),
  };
}

/** Counts an operation for its tenant. Null: it may begin. */
async function refusalOf(
  { rates, overload }: SocketProtocolOptions,
  { caller }: SocketConnection,
  requestId: string,
): Promise<FormattedError | null> {
  const charge = caller && (await rates?.take(caller.tenant));
  const refusal = charge?.isAllowed === false ? rateExceeded(charge) : overload?.refusal('graphql');
  if (!refusal) return null;
  const { message, code, details } = refusal;
  return new FormattedError({ message, extensions: { code, ...retryOf(details), requestId } });
}

function tooManyOperations(maxOperations: number, requestId: string): FormattedError {
  return new FormattedError({
    message: `expected at most ${maxOperations} operations at once over one connection, got another`,
    extensions: { code: 'RATE_LIMITED', retryable: false, requestId },
  });
}
