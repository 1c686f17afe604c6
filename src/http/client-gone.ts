import { setMaxListeners } from 'node:events';
import type { FastifyReply } from 'fastify';
import { MediagraphError } from '../model/errors.js';

const signals = new WeakMap<FastifyReply, AbortSignal>();

/** The reason with which work for a disconnected client is aborted. */
export function clientDisconnected(): MediagraphError {
  return new MediagraphError('INTERNAL_SERVER_ERROR', 'the client went away');
}

/**
 * Aborts when the client disconnects before its answer is sent, so that work for it stops. A request has one signal,
 * however often this is called. The first call must come before the first `await` of a request: a connection that
 * closed earlier emits no further `close`.
 */
export function clientGone(reply: FastifyReply): AbortSignal {
  const known = signals.get(reply);
  if (known) return known;
  const controller = new AbortController();
  // Every upstream call of the request adds a listener, and a request may name hundreds of messages.
  setMaxListeners(0, controller.signal);
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(clientDisconnected());
  });
  signals.set(reply, controller.signal);
  return controller.signal;
}
