import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Admit } from '../../http/admission.js';
import { clientGone } from '../../http/client-gone.js';
import { withDistinctCredentials } from '../../http/distinct-credentials.js';
import { trackAdmission } from '../../http/pending-admission.js';
import type { Caller } from '../../model/caller.js';
import type { TenantId } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import { rateHeaders } from '../admission/rate-headers.js';
import { type RequestRates, rateExceeded } from '../admission/request-rates.js';
import { sendRefusal } from './refusals.js';
import { SMALL_BODY_BYTES } from './request-body.js';

/** Admits each HTTP request once, counts it for its tenant, and remembers its caller. */
export class RequestAdmission {
  readonly #callers = new WeakMap<FastifyRequest, Caller>();

  constructor(
    private readonly admit: Admit,
    private readonly rates: Pick<RequestRates, 'take'> | undefined,
  ) {}

  /** Rejects with a MediagraphError UNAUTHENTICATED or RATE_LIMITED. */
  async callerOf(request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const known = this.#callers.get(request);
    if (known) return known;
    const caller = await this.admit(withDistinctCredentials(request.raw));
    const charge = await this.rates?.take(caller.tenant);
    if (charge) reply.headers(rateHeaders(charge));
    if (charge?.isAllowed === false) throw rateExceeded(charge);
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
    const admission = this.callerOf(request, reply);
    trackAdmission(request.raw.socket, admission);
    admission.then(
      () => {
        // The body of a client that has disconnected never ends, and Fastify would wait for it forever.
        if (signal.aborted) reply.hijack();
        else next();
      },
      (thrown: unknown) => {
        refuseBody(request, reply, thrown);
      },
    );
  }
}

/**
 * Answers without reading the body. Closing the connection keeps the client from sending the rest. A caller whose
 * credentials are valid keeps the connection if the rest is short, so that its next request needs no new one.
 */
export function refuseBody(request: FastifyRequest, reply: FastifyReply, thrown: unknown): void {
  const isKnown = thrown instanceof MediagraphError && thrown.code !== 'UNAUTHENTICATED';
  const isShort = Number(request.headers['content-length'] ?? Number.NaN) <= SMALL_BODY_BYTES;
  if (!isKnown || !isShort) reply.header('connection', 'close');
  sendRefusal(reply, thrown);
}

function hasBody({ method, headers }: FastifyRequest): boolean {
  return method === 'POST' || headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
