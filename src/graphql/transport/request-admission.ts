import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Admit } from '../../http/admission.js';
import { clientGone } from '../../http/client-gone.js';
import { withDistinctCredentials } from '../../http/distinct-credentials.js';
import { trackAdmission } from '../../http/pending-admission.js';
import type { Caller } from '../../model/caller.js';
import type { TenantId } from '../../model/channel.js';
import { sendRefusal } from './refusals.js';

/** Admits each HTTP request once and remembers its caller. */
export class RequestAdmission {
  readonly #callers = new WeakMap<FastifyRequest, Caller>();

  constructor(private readonly admit: Admit) {}

  /** Rejects with a MediagraphError UNAUTHENTICATED. */
  async callerOf(request: FastifyRequest): Promise<Caller> {
    const known = this.#callers.get(request);
    if (known) return known;
    const caller = await this.admit(withDistinctCredentials(request.raw));
    this.#callers.set(request, caller);
    return caller;
  }

  /** The tenant of a request that {@link beforeBody} has admitted. */
  tenantOf(request: FastifyRequest): TenantId {
    return this.#callers.get(request)?.tenant ?? '';
  }

  /**
   * For Fastify's `onRequest`: admits a request with a body before the body is read. One without a body is admitted when
   * its operation starts, so that the explorer's page needs no credentials.
   */
  beforeBody(request: FastifyRequest, reply: FastifyReply, next: () => void): void {
    if (!hasBody(request)) {
      next();
      return;
    }
    const signal = clientGone(reply);
    const admission = this.callerOf(request);
    trackAdmission(request.raw.socket, admission);
    admission.then(
      () => {
        // The body of a client that has disconnected never ends, and Fastify would wait for it forever.
        if (signal.aborted) reply.hijack();
        else next();
      },
      (thrown: unknown) => {
        // The body is not read. Closing the connection keeps the client from sending the rest.
        reply.header('connection', 'close');
        sendRefusal(reply, thrown);
      },
    );
  }
}

function hasBody({ method, headers }: FastifyRequest): boolean {
  return method === 'POST' || headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
