import type { IncomingHttpHeaders } from 'node:http';
import type { DocumentNode, GraphQLFormattedError, OperationTypeNode } from 'graphql';
import type { Admit } from '../../http/admission.js';
import type { Caller } from '../../model/caller.js';

export interface OperationStart {
  readonly caller: Caller;
  readonly requestId: string;
  /** Aborts when the client goes away before the answer is out. */
  readonly signal: AbortSignal;
}

/** As GraphQL over HTTP and both protocols of subscriptions carry it. */
export interface StreamedRequest {
  readonly query: string;
  readonly operationName?: string | null;
  readonly variables?: Readonly<Record<string, unknown>> | null;
}

/** What a client is told; of a subscription, one after the other. */
export interface StreamedResult {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLFormattedError[];
}

/** Of a document that cannot be executed, what is wrong with it. */
export type PreparedOperation<Context> =
  | { readonly errors: readonly GraphQLFormattedError[] }
  | {
      readonly document: DocumentNode;
      readonly operation: OperationTypeNode;
      /**
       * Resolves when no event is missed any more. Never rejects: what goes wrong is a result with errors. `return` ends
       * it, also while nothing happens.
       * @param createContext called for each result; a rejection ends the operation with an error
       */
      start(createContext: () => Promise<Context>): Promise<AsyncIterableIterator<StreamedResult>>;
    };

/** Executes operations whose answers take more than one response. */
export interface StreamedOperations<Context> {
  prepare(request: StreamedRequest, requestId: string): PreparedOperation<Context>;
}

/** Counts what is open. */
export interface StreamMetrics {
  /** @returns to be called at its end */
  streamOpened(transport: 'websocket' | 'sse'): () => void;
}

/**
 * Makes the context of each result of one operation. The caller is admitted anew each time, since a connection may
 * outlive its credentials. Rejects with a MediagraphError UNAUTHENTICATED, or when the client has disconnected.
 */
export function contextOfEachResult<Context>(
  { admit, createContext }: Pick<OperationEntrance<Context>, 'admit' | 'createContext'>,
  { headers, requestId, signal }: Omit<OperationStart, 'caller'> & { readonly headers: IncomingHttpHeaders },
): () => Promise<Context> {
  return async () => {
    const caller = await admit(headers);
    signal.throwIfAborted();
    return createContext({ caller, requestId, signal });
  };
}

/** What every way to `/graphql` needs. */
export interface OperationEntrance<Context> {
  readonly admit: Admit;
  readonly createContext: (start: OperationStart) => Context | Promise<Context>;
  readonly operations: StreamedOperations<Context>;
  readonly metrics?: StreamMetrics;
}
