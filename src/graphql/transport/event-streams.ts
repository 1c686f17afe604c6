import type { FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';
import { z } from 'zod';
import { clientGone } from '../../http/client-gone.js';
import { withDistinctCredentials } from '../../http/distinct-credentials.js';
import type { Caller } from '../../model/caller.js';
import { type Clock, MACHINE_CLOCK } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import { SINGLE_RESULT_TYPES } from '../execution/apollo-plugins.js';
import { endableIterator } from '../execution/endable-iterator.js';
import type { PreparedOperation, StreamedResult, StreamedResults } from '../execution/streamed-operations.js';
import { whenCredentialsEnd } from './credentials-end.js';
import { contextOfEachResult, type OperationEntrance } from './entrance.js';
import type { RequestAdmission } from './request-admission.js';
import { EVENT_STREAM_TYPE, sendEvents } from './server-sent-events.js';

/** The parameters of a request. Other keys are ignored: routers add `extensions`. */
const requestParameters = z.object({
  query: z.string(),
  operationName: z.string().nullish(),
  variables: z.record(z.string(), z.unknown()).nullish(),
});

interface Admitted {
  readonly operation: PreparedOperation;
  readonly caller: Caller;
}

/** Operations over server-sent events. A stream whose credentials expire ends with the error UNAUTHENTICATED. */
export class EventStreams {
  readonly #open = new Set<FastifyReply>();

  constructor(
    private readonly entrance: OperationEntrance,
    private readonly admission: RequestAdmission,
  ) {}

  /**
   * Answers with events, if that is what the request wants: it accepts no other type, or it accepts both and subscribes.
   * GET is answered as well as POST, since gateways subscribe with either (Hive Gateway with GET), but for subscriptions
   * only: a page of another site can make a browser send a GET, and cannot read the events.
   * @returns false for a request that is to be answered with a single result. Rejects with a MediagraphError
   * BAD_USER_INPUT, UNAUTHENTICATED or RATE_LIMITED.
   */
  async answer(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    if (!request.headers.accept?.includes(EVENT_STREAM_TYPE)) return false;
    const signal = clientGone(reply);
    const caller = await this.admission.callerOf(request, reply);
    const operation = this.#operationOf(request);
    if (!operation) return false;
    // A connection that closed during admission emits no further `close`, which would end what is opened below.
    if (!signal.aborted) await this.#stream(request, reply, { operation, caller });
    return true;
  }

  /** Ends open streams without the event `complete`, so that their clients subscribe again, at another server. */
  cut(): void {
    for (const { raw } of this.#open) raw.destroy();
  }

  /** @returns null for a request that is to be answered with a single result. @throws MediagraphError BAD_USER_INPUT */
  #operationOf(request: FastifyRequest): PreparedOperation | null {
    const mustSubscribe =
      request.method !== 'POST' || new Negotiator(request).mediaTypes(SINGLE_RESULT_TYPES).length > 0;
    const parameters = requestParameters.safeParse(
      request.method === 'POST' ? request.body : parametersOfGet(request.query),
    );
    if (!parameters.success) {
      if (mustSubscribe) return null;
      throw new MediagraphError('BAD_USER_INPUT', 'expected a JSON body with query, and perhaps variables');
    }
    // A document without the word is no subscription. Apollo Server parses it, and counts its errors once.
    if (mustSubscribe && !parameters.data.query.includes('subscription')) return null;
    const prepared = this.entrance.operations.prepare(parameters.data, request.id);
    const subscribes = 'operation' in prepared && prepared.operation === 'subscription';
    return mustSubscribe && !subscribes ? null : prepared;
  }

  async #stream(request: FastifyRequest, reply: FastifyReply, { operation, caller }: Admitted): Promise<void> {
    const signal = clientGone(reply);
    this.#open.add(reply);
    const onClosed = this.entrance.metrics?.streamOpened('sse');
    reply.raw.once('close', () => {
      this.#open.delete(reply);
      onClosed?.();
    });
    const { id: requestId } = request;
    const headers = withDistinctCredentials(request.raw);
    const results =
      'errors' in operation
        ? onlyResult(operation)
        : await operation.start(contextOfEachResult(this.entrance, { headers, requestId, signal }));
    if (signal.aborted) void results.return?.();
    else sendEvents(reply, untilCredentialsEnd(results, { caller, requestId, clock: this.entrance.clock }));
  }
}

/** The parameters of a GET, whose variables are JSON (GraphQL over HTTP, "GET"). */
function parametersOfGet(query: unknown): unknown {
  const parameters = z.looseObject({ variables: z.string().optional() }).safeParse(query).data;
  if (parameters?.variables === undefined) return parameters;
  try {
    return { ...parameters, variables: JSON.parse(parameters.variables) };
  } catch {
    return undefined;
  }
}

/** Ends the operation when the credentials of its caller expire, with a last result that says so. */
function untilCredentialsEnd(
  results: StreamedResults,
  { caller, requestId, clock = MACHINE_CLOCK }: { caller: Caller; requestId: string; clock?: Clock },
): StreamedResults {
  let state: 'valid' | 'expired' | 'told' = 'valid';
  const cancel = whenCredentialsEnd(caller, clock, () => {
    state = 'expired';
    // A pending result resolves as the end.
    void results.return?.();
  });
  return endableIterator({
    async next() {
      const next = await results.next();
      if (!next.done) return next;
      cancel();
      if (state !== 'expired') return next;
      state = 'told';
      return { value: credentialsExpired(requestId), done: false };
    },
    end: () => {
      cancel();
      return results.return?.();
    },
  });
}

function credentialsExpired(requestId: string): StreamedResult {
  const message = 'the token has expired; subscribe again with a new one';
  return { errors: [{ message, extensions: { code: 'UNAUTHENTICATED', requestId } }] };
}

async function* onlyResult(result: StreamedResult): AsyncGenerator<StreamedResult, undefined> {
  yield result;
}
