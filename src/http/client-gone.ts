import { setMaxListeners } from 'node:events';
import type { FastifyReply } from 'fastify';
import { MediagraphError } from '../model/errors.js';

/** Aborts when the client goes away before its answer is out; work for it may stop then. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  // Every upstream call of the request listens: as many as it names messages.
  setMaxListeners(0, controller.signal);
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished)
      controller.abort(new MediagraphError('INTERNAL_SERVER_ERROR', 'the client went away'));
  });
  return controller.signal;
}
