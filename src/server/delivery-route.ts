import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Delivery, MediaDelivery } from '../media/deliver.js';
import type { MediaGrant, UrlSigner } from '../media/signed-url.js';
import { essenceOf } from '../model/mime-type.js';
import { clientGone } from './client-gone.js';
import { sendError } from './error-response.js';

export interface DeliveryRouteOptions {
  readonly urls: UrlSigner;
  readonly delivery: MediaDelivery;
  readonly visibility: 'private' | 'public';
  /** CORS, for the tenant of a media. */
  readonly allowedOrigins: (mediaId: string) => readonly string[];
}

const CSP = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
/** Browsers' PDF viewers do not start in a sandbox. */
const CSP_PDF = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
const EXPOSED = 'Content-Length, Content-Disposition, Content-Range, Accept-Ranges, ETag, Last-Modified, X-Request-Id';

/** `GET`, `HEAD /media/{mediaId}/{filename}?…`: nothing happens before the signature is checked. */
export function registerDeliveryRoute(http: FastifyInstance, options: DeliveryRouteOptions): void {
  http.register(async (scope) => {
    scope.route({
      method: 'OPTIONS',
      url: '/media/*',
      handler: async (request, reply) => {
        allowOrigin(request, reply, options, mediaIdOf(request));
        reply
          .header('access-control-allow-methods', 'GET, HEAD, OPTIONS')
          .header('access-control-allow-headers', 'Range, If-Range, If-None-Match');
        return reply.header('access-control-max-age', '86400').code(204).send();
      },
    });
    scope.route({
      method: ['GET', 'HEAD'],
      url: '/media/*',
      exposeHeadRoute: false,
      handler: (request, reply) => deliver(request, reply, options),
    });
  });
}

async function deliver(
  request: FastifyRequest,
  reply: FastifyReply,
  options: DeliveryRouteOptions,
): Promise<FastifyReply> {
  allowOrigin(request, reply, options, mediaIdOf(request));
  try {
    const grant = options.urls.verify(request.raw.url ?? '', Date.now());
    const delivery = await options.delivery.open(grant, { signal: clientGone(reply) });
    describe(reply, delivery, grant, options.visibility);
    if (request.method !== 'HEAD') return await reply.send(delivery.body);
    delivery.body.destroy();
    return await reply.send();
  } catch (thrown) {
    if (reply.raw.destroyed) return reply.hijack();
    return sendError(reply, thrown);
  }
}

function describe(reply: FastifyReply, delivery: Delivery, grant: MediaGrant, visibility: 'private' | 'public'): void {
  const secondsLeft = Math.max(0, Math.floor((grant.expiresAt.getTime() - Date.now()) / 1000));
  reply.headers({
    'content-type': delivery.mimeType,
    'content-disposition': contentDisposition(delivery.disposition, delivery.filename),
    'cache-control': `${visibility}, max-age=${secondsLeft}, immutable`,
    'x-content-type-options': 'nosniff',
    'content-security-policy': essenceOf(delivery.mimeType) === 'application/pdf' ? CSP_PDF : CSP,
    'cross-origin-resource-policy': 'cross-origin',
    'referrer-policy': 'no-referrer',
    // What a CDN is told to purge when the media is deleted (Cloudflare's and Fastly's names for it).
    'cache-tag': grant.mediaId,
    'surrogate-key': grant.mediaId,
    ...(delivery.sizeBytes !== null && { 'content-length': delivery.sizeBytes }),
    ...(delivery.lastModified && { 'last-modified': delivery.lastModified.toUTCString() }),
  });
}

/** RFC 6266: an ASCII stand-in for old readers, and the name itself (RFC 8187) where that is not the same. */
function contentDisposition(disposition: string, filename: string): string {
  const ascii = filename
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const plain = `${disposition}; filename="${ascii}"`;
  if (ascii === filename) return plain;
  const extended = encodeURIComponent(filename).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${plain}; filename*=UTF-8''${extended}`;
}

function allowOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  options: DeliveryRouteOptions,
  mediaId: string,
): void {
  const allowed = options.allowedOrigins(mediaId);
  reply.header('access-control-expose-headers', EXPOSED);
  if (allowed.includes('*')) {
    reply.header('access-control-allow-origin', '*');
    return;
  }
  const { origin } = request.headers;
  reply.header('vary', 'Origin');
  // A sandboxed document's origin is "null"; the link's signature is what protects the bytes.
  if (origin !== undefined && (origin === 'null' || allowed.includes(origin)))
    reply.header('access-control-allow-origin', origin);
}

function mediaIdOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('/', 3)[2] ?? '';
}
