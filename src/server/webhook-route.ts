import { isUtf8 } from 'node:buffer';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { sendError } from '../http/error-response.js';
import { fromFastify } from '../http/from-fastify.js';
import type { WebhookReception } from '../media/receive/receive.js';
import { MediagraphError } from '../model/errors.js';
import type { WebhookRequest } from '../providers/provider-adapter.js';
import type { Metrics } from '../telemetry/metrics.js';

export interface WebhookRouteOptions {
  readonly reception: WebhookReception;
  /** The address at which providers reach this server: `server.publicUrl`, else the address that it listens on. */
  readonly publicUrl: () => string;
  readonly metrics: Pick<Metrics, 'webhookAnswered'>;
}

const params = z.object({ channelId: z.string() });

/** The limit of Meta, the largest of all providers (developers.facebook.com, webhooks: "payloads can be up to 3 MB"). */
const BODY_LIMIT_BYTES = 3_000_000;

/** `POST /webhooks/{channelId}` records the raw body durably and answers an empty 2xx. `GET` is Meta's handshake. */
export function registerWebhookRoutes(http: FastifyInstance, options: WebhookRouteOptions): void {
  http.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Signatures cover the raw bytes, so no parser may run before they are verified.
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) =>
      done(null, body),
    );
    scope.setErrorHandler<FastifyError>((error, _request, reply) => sendError(reply, fromFastify(error)));
    scope.route({
      method: 'POST',
      url: '/webhooks/:channelId',
      bodyLimit: BODY_LIMIT_BYTES,
      // This hook also counts requests that do not reach the handler, such as one with a body that is too long.
      onResponse: (request, reply, done) => {
        options.metrics.webhookAnswered(params.parse(request.params).channelId, reply.statusCode);
        done();
      },
      handler: (request, reply) => receive(request, reply, options),
    });
    scope.route({
      method: 'GET',
      url: '/webhooks/:channelId',
      handler: (request, reply) => handshake(request, reply, options),
    });
  });
}

async function receive(
  request: FastifyRequest,
  reply: FastifyReply,
  { reception, publicUrl }: WebhookRouteOptions,
): Promise<FastifyReply> {
  const { channelId } = params.parse(request.params);
  try {
    const answer = await reception.receive(channelId, webhookRequest(request, publicUrl()));
    reply.code(200).header('cache-control', 'no-store');
    return answer ? reply.type(answer.contentType).send(answer.body) : reply.send();
  } catch (thrown) {
    if (thrown instanceof MediagraphError && thrown.code === 'WEBHOOK_REJECTED') {
      // Some providers do not repeat a webhook that was answered 401. The log line tells the operator who rotates a secret.
      request.log.error({ err: thrown, channelId }, 'a webhook was rejected');
    }
    return sendError(reply, thrown);
  }
}

async function handshake(
  request: FastifyRequest,
  reply: FastifyReply,
  { reception, publicUrl }: WebhookRouteOptions,
): Promise<FastifyReply> {
  const { channelId } = params.parse(request.params);
  try {
    const { searchParams } = new URL(request.raw.url ?? '', publicUrl());
    const challenge = reception.handshake(channelId, searchParams);
    return reply.type('text/plain; charset=utf-8').header('x-content-type-options', 'nosniff').send(challenge);
  } catch (thrown) {
    return sendError(reply, thrown);
  }
}

// Node decodes the request line as Latin-1. Signatures cover the URL as text, so UTF-8 is restored where the bytes are
// valid UTF-8.
function webhookRequest(request: FastifyRequest, publicUrl: string): WebhookRequest {
  const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const target = Buffer.from(request.raw.url ?? '', 'latin1');
  const address = new URL(publicUrl).origin + (isUtf8(target) ? target.toString('utf8') : target.toString('latin1'));
  return { url: new URL(address), address, headers: request.headers, rawBody };
}
