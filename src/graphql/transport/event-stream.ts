import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';
import { z } from 'zod';
import { clientGone } from '../../http/client-gone.js';
import { MediagraphError } from '../../model/errors.js';
import { contextOfEachResult, type OperationEntrance, type StreamedResult } from './operations-port.js';

const EVENTS = 'text/event-stream';
const SINGLE_ANSWERS = ['application/json', 'application/graphql-response+json'];

/** Shorter than what proxies take for an idle connection. */
const PING_MS = 12_000;
const PING = ':\n\n';

/** A router may add `extensions`. */
const streamedRequest = z.object({
  query: z.string(),
  operationName: z.string().nullish(),
  variables: z.record(z.string(), z.unknown()).nullish(),
});

/**
 * Results as server-sent events, in the "distinct connections mode" of graphql-sse's PROTOCOL.md: `next` with each result,
 * then `complete`. By hand, because that library's handler queues without end what a slow client does not read; here the
 * next result is made when the one before has gone to the socket.
 */
export class EventStreams<Context> {
  readonly #open = new Set<FastifyReply>();

  constructor(private readonly options: OperationEntrance<Context>) {}

  /**
   * GET as well as POST, since gateways subscribe by either (Hive Gateway by GET). By GET nothing but subscriptions: a page
   * of another site can have a browser send one, but not read what it brings.
   * @returns false for a request that is to be answered at once: one that does not take events, or takes both and does
   * not subscribe. Rejects with a MediagraphError BAD_USER_INPUT or UNAUTHENTICATED.
   */
  async answer(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    if (!request.headers.accept?.includes(EVENTS)) return false;
    const { admit, operations, metrics } = this.options;
    const signal = clientGone(reply);
    await admit(request.headers);
    const mustSubscribe = request.method !== 'POST' || new Negotiator(request).mediaTypes(SINGLE_ANSWERS).length > 0;
    const wanted = streamedRequest.safeParse(request.method === 'POST' ? request.body : parametersOf(request.query));
    if (!wanted.success) {
      if (mustSubscribe) return false;
      throw new MediagraphError('BAD_USER_INPUT', 'expected a JSON body with query, and perhaps variables');
    }
    // What cannot be one is left to be parsed, and counted where it is faulty, once.
    if (mustSubscribe && !wanted.data.query.includes('subscription')) return false;
    const prepared = operations.prepare(wanted.data, request.id);
    const subscribes = 'operation' in prepared && prepared.operation === 'subscription';
    if (mustSubscribe && !subscribes) return false;
    // A connection that closed during admission emits no further `close`, which would end what is opened below.
    if (signal.aborted) return true;
    const { headers, id: requestId } = request;
    const started =
      'errors' in prepared
        ? Promise.resolve(single(prepared))
        : prepared.start(contextOfEachResult(this.options, { headers, requestId, signal }));
    this.#open.add(reply);
    const ended = metrics?.streamOpened('sse');
    reply.raw.once('close', () => {
      this.#open.delete(reply);
      ended?.();
    });
    void started.then((results) => {
      if (signal.aborted) void results.return?.();
      else sendEvents(reply, results);
    });
    return true;
  }

  /** Cuts what is open, without `complete`: a client that was cut asks anew, elsewhere. */
  cut(): void {
    for (const { raw } of this.#open) raw.destroy();
  }
}

/** Of a GET, whose variables are JSON: GraphQL over HTTP, "GET". */
function parametersOf(query: unknown): unknown {
  const given = z.looseObject({ variables: z.string().optional() }).safeParse(query).data;
  if (given?.variables === undefined) return given;
  try {
    return { ...given, variables: JSON.parse(given.variables) };
  } catch {
    return undefined;
  }
}

async function* single(result: StreamedResult): AsyncGenerator<StreamedResult, void, void> {
  yield result;
}

function sendEvents(reply: FastifyReply, results: AsyncIterableIterator<StreamedResult>): void {
  const events = Readable.from(eventsOf(results), { objectMode: false, highWaterMark: 1 });
  const ping = setInterval(() => {
    if (!reply.raw.writableNeedDrain) reply.raw.write(PING);
  }, PING_MS);
  reply.raw.once('close', () => clearInterval(ping));
  reply
    .headers({
      'content-type': `${EVENTS}; charset=utf-8`,
      'cache-control': 'no-store',
      // nginx would collect events otherwise.
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    })
    .send(events);
}

// Private: no generator, since one that waits does not hear of its own `return`.
function eventsOf(results: AsyncIterableIterator<StreamedResult>): AsyncIterableIterator<string> {
  let isOpened = false;
  let isComplete = false;
  return {
    async next() {
      if (!isOpened) {
        isOpened = true;
        // So that the client learns at once that nothing is missed from now on.
        return { value: PING, done: false };
      }
      if (isComplete) return { value: undefined, done: true };
      const { value, done } = await results.next();
      if (!done) return { value: `event: next\ndata: ${JSON.stringify(value)}\n\n`, done: false };
      isComplete = true;
      return { value: 'event: complete\ndata:\n\n', done: false };
    },
    async return() {
      await results.return?.();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
