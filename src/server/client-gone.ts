import type { FastifyReply } from 'fastify';

/** Aborts when the client goes away before its answer is out; work for it may stop then. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new Error('the client went away'));
  });
  return controller.signal;
}
