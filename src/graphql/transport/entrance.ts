import type { IncomingHttpHeaders } from 'node:http';
import type { Admit } from '../../http/admission.js';
import type { Overload } from '../../http/overload.js';
import type { Caller } from '../../model/caller.js';
import type { Clock } from '../../model/clock.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { RequestRates } from '../admission/request-rates.js';
import type { CreateContext, StreamedOperations } from '../execution/streamed-operations.js';
import type { GraphQLContext } from '../resolvers/context.js';

/** Below the time after which common proxies close an idle connection. */
export const PING_INTERVAL_MS = 12_000;

export interface OperationStart {
  readonly caller: Caller;
  readonly requestId: string;
  /** Aborts when the client disconnects before its answer is sent. */
  readonly signal: AbortSignal;
}

/** What every transport of GraphQL operations needs. */
export interface OperationEntrance {
  readonly admit: Admit;
  /** Counts the operations of each tenant. Absent: they have no limit. */
  readonly rates?: Pick<RequestRates, 'take'>;
  readonly createContext: (start: OperationStart) => GraphQLContext | Promise<GraphQLContext>;
  /** Operations whose results are streamed. */
  readonly operations: Pick<StreamedOperations, 'prepare'>;
  /** Refuses operations while the process is overloaded. Absent: it never does. */
  readonly overload?: Pick<Overload, 'refusal'>;
  readonly metrics?: Pick<Metrics, 'streamOpened'>;
  /** The clock by which credentials expire. Default: the machine's. */
  readonly clock?: Clock;
}

/**
 * Makes the context of each result of one operation. The caller is admitted anew each time, since a connection may
 * outlive its credentials. Rejects with a MediagraphError UNAUTHENTICATED, or when the client has disconnected.
 */
export function contextOfEachResult(
  { admit, createContext }: Pick<OperationEntrance, 'admit' | 'createContext'>,
  { headers, requestId, signal }: Omit<OperationStart, 'caller'> & { readonly headers: IncomingHttpHeaders },
): CreateContext {
  return async () => {
    const caller = await admit(headers);
    signal.throwIfAborted();
    return createContext({ caller, requestId, signal });
  };
}
