import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { clientGone } from '../../http/client-gone.js';
import { sendError } from '../../http/error-response.js';
import type { MediaGrant, UrlSigner } from '../../links/signed-url.js';
import type { ByteSpan } from '../../model/byte-range.js';
import type { Clock } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import { essenceOf } from '../../model/mime-type.js';
import { parseUrl } from '../../model/parse-url.js';
import type { Delivery, MediaDelivery, PresignOptions } from '../deliver.js';
import { selectRange } from './byte-ranges.js';
import { contentDisposition } from './content-disposition.js';
import type { HotAnswers } from './hot-answers.js';
import { evaluatePreconditions, rangeStillApplies, type Validators } from './preconditions.js';

export interface DeliveryRouteOptions {
  readonly clock: Clock;
  readonly urls: UrlSigner;
  readonly delivery: MediaDelivery;
  readonly visibility: 'private' | 'public';
  /** CORS, for the tenant of a media. */
  readonly allowedOrigins: (mediaId: string) => readonly string[];
  readonly hot: HotAnswers;
}

const CSP = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
/** Browsers' PDF viewers do not start in a sandbox. */
const CSP_PDF = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
const EXPOSED = 'Content-Length, Content-Disposition, Content-Range, Accept-Ranges, ETag, Last-Modified, X-Request-Id';
const ALLOWED_HEADERS = 'Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since';
/** How long a store's own link works: long enough to begin, and for a player to come back for parts. */
const PRESIGNED_S = 3_600;

/** `GET`, `HEAD /media/{mediaId}/{filename}?…`: nothing happens before the signature is checked. */
export function registerDeliveryRoute(http: FastifyInstance, options: DeliveryRouteOptions): void {
  http.register(async (scope) => {
    scope.route({
      method: 'OPTIONS',
      url: '/media/*',
      handler: async (request, reply) => {
        try {
          verified(request, reply, options);
        } catch (thrown) {
          if (!isExpired(thrown)) return sendError(reply, thrown);
        }
        reply
          .header('access-control-allow-methods', 'GET, HEAD, OPTIONS')
          .header('access-control-allow-headers', ALLOWED_HEADERS);
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
  let delivery: Delivery | null = null;
  try {
    const grant = verified(request, reply, options);
    if (grant.boundToOrigins) assertBound(request, reply, options);
    const { accept, range } = request.headers;
    const isHead = request.method === 'HEAD';
    delivery = await options.delivery.describe(grant, {
      accept,
      partly: !isHead && range !== undefined && !/^bytes=0-$/i.test(range),
      signal: clientGone(reply),
    });
    return await answer(request, reply, delivery, grant, options);
  } catch (thrown) {
    delivery?.close();
    if (reply.raw.destroyed) return reply.hijack();
    return sendError(reply, thrown);
  }
}

/**
 * What a link grants. Only to one that was given out is it told whose pages its media is for: a made-up
 * address is answered alike whatever channel it names, and wherever it is asked from.
 * @throws MediagraphError SIGNATURE_INVALID, URL_EXPIRED
 */
function verified(
  request: FastifyRequest,
  reply: FastifyReply,
  options: DeliveryRouteOptions,
): ReturnType<UrlSigner['verify']> {
  try {
    const grant = options.urls.verify(request.raw.url ?? '', options.clock.now());
    allowOrigin(request, reply, options.allowedOrigins(mediaIdOf(request)));
    return grant;
  } catch (thrown) {
    if (isExpired(thrown)) allowOrigin(request, reply, options.allowedOrigins(mediaIdOf(request)));
    else if (options.allowedOrigins(NO_MEDIA).includes('*')) reply.header('access-control-allow-origin', '*');
    throw thrown;
  }
}

/** What is allowed for it is allowed for all. */
const NO_MEDIA = '';

function isExpired(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && thrown.code === 'URL_EXPIRED';
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  delivery: Delivery,
  grant: Required<MediaGrant>,
  options: DeliveryRouteOptions,
): Promise<FastifyReply> {
  const { sizeBytes, sha256, lastModified, mimeType } = delivery;
  const validators = { etag: sha256 === null ? null : `"${sha256}"`, lastModified };
  const isHead = request.method === 'HEAD';
  if (delivery.negotiated) vary(reply, 'Accept');
  const outcome = evaluatePreconditions(request.headers, validators);
  if (outcome === 'failed') {
    delivery.close();
    return refuse(reply, 412, 'expected the media that the request is for, got a later one');
  }
  const headers = headersOf(delivery, validators, grant, options);
  if (outcome === 'not modified') {
    delivery.close();
    return reply.headers(headers).code(304).send();
  }
  const range = isHead ? null : rangeOf(request, sizeBytes, validators);
  if (range === 'unsatisfiable') {
    delivery.close();
    reply.header('content-range', `bytes */${sizeBytes}`);
    return refuse(reply, 416, `expected a range within ${sizeBytes} bytes, got another`);
  }
  if (delivery.handOver && !isHead) {
    const to = await delivery.handOver(presignOptions(delivery, grant, options));
    delivery.close();
    // Not cached: each use of a link is checked here, so that a deleted media is gone with it.
    return reply.code(302).header('cache-control', 'no-store').header('location', to.href).send();
  }
  let body: Buffer | Readable | undefined;
  if (isHead) delivery.close();
  else body = await delivery.open(range);
  reply.headers(headers);
  if (range) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${sizeBytes}`);
  const length = range ? range.end - range.start + 1 : sizeBytes;
  if (length !== null) reply.header('content-length', length);
  reply.header('content-type', mimeType);
  if (Buffer.isBuffer(body)) rememberHot(request, reply, delivery, grant, options);
  return reply.send(body);
}

/** Where an answer depends on nothing but the link and what it names. */
function rememberHot(
  request: FastifyRequest,
  reply: FastifyReply,
  { bytesInMemory }: Delivery,
  { expiresAt, boundToOrigins }: Required<MediaGrant>,
  { hot, visibility }: DeliveryRouteOptions,
): void {
  if (!bytesInMemory || boundToOrigins || reply.getHeader('access-control-allow-origin') !== '*') return;
  const headers = Object.fromEntries(
    Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
      value === undefined || OF_ONE_ANSWER.has(name) ? [] : [[name, String(value)]],
    ),
  );
  hot.remember(request.raw, { headers, expiresAt: expiresAt.getTime(), visibility, bytesInMemory });
}

const OF_ONE_ANSWER = new Set(['cache-control', 'content-length', 'content-range', 'x-request-id']);

function rangeOf(
  { headers }: FastifyRequest,
  sizeBytes: number | null,
  validators: Validators,
): ByteSpan | 'unsatisfiable' | null {
  if (sizeBytes === null || !rangeStillApplies(headers['if-range'], validators)) return null;
  const selected = selectRange(headers.range, sizeBytes);
  return selected === 'whole' ? null : selected;
}

/** What stands in a 200, a 206 and a 304 alike (RFC 9110 section 15.4.5). */
function headersOf(
  { mimeType, disposition, filename, sizeBytes }: Delivery,
  { etag, lastModified }: Validators,
  grant: Required<MediaGrant>,
  options: DeliveryRouteOptions,
): Record<string, string> {
  return {
    'content-disposition': contentDisposition(disposition, filename),
    'cache-control': cacheControl(grant, options),
    'x-content-type-options': 'nosniff',
    'content-security-policy': essenceOf(mimeType) === 'application/pdf' ? CSP_PDF : CSP,
    'cross-origin-resource-policy': 'cross-origin',
    'referrer-policy': 'no-referrer',
    // What a CDN is told to purge when the media is deleted (Cloudflare's and Fastly's names for it).
    'cache-tag': grant.mediaId,
    'surrogate-key': grant.mediaId,
    'accept-ranges': sizeBytes === null ? 'none' : 'bytes',
    ...(etag !== null && { etag }),
    ...(lastModified && { 'last-modified': lastModified.toUTCString() }),
  };
}

function cacheControl(
  { expiresAt, boundToOrigins }: Required<MediaGrant>,
  { visibility, clock }: Pick<DeliveryRouteOptions, 'visibility' | 'clock'>,
): string {
  const secondsLeft = Math.max(0, Math.floor((expiresAt.getTime() - clock.now()) / 1000));
  // A shared cache does not ask where a reader comes from.
  return `${boundToOrigins ? 'private' : visibility}, max-age=${secondsLeft}, immutable`;
}

function presignOptions(
  { mimeType, disposition, filename }: Delivery,
  grant: Required<MediaGrant>,
  options: DeliveryRouteOptions,
): PresignOptions {
  const secondsLeft = Math.max(1, Math.floor((grant.expiresAt.getTime() - options.clock.now()) / 1000));
  return {
    expiresInS: Math.min(secondsLeft, PRESIGNED_S),
    contentType: mimeType,
    contentDisposition: contentDisposition(disposition, filename),
    cacheControl: cacheControl(grant, options),
  };
}

function refuse(reply: FastifyReply, status: 412 | 416, message: string): FastifyReply {
  return sendError(reply, new MediagraphError('BAD_USER_INPUT', message, {}, { cause: refusal(status) }));
}

/** As Fastify's own refusals say which status they are. */
function refusal(statusCode: number): Error {
  return Object.assign(new Error(), { statusCode });
}

function allowOrigin(request: FastifyRequest, reply: FastifyReply, allowed: readonly string[]): void {
  reply.header('access-control-expose-headers', EXPOSED);
  if (allowed.includes('*')) {
    reply.header('access-control-allow-origin', '*');
    return;
  }
  const { origin } = request.headers;
  vary(reply, 'Origin');
  // A sandboxed document's origin is "null"; the link's signature is what protects the bytes.
  if (origin !== undefined && (origin === 'null' || allowed.includes(origin)))
    reply.header('access-control-allow-origin', origin);
}

/**
 * A link that is bound works for pages of the tenant's origins. `Origin` where the browser sends it (CORS), else
 * `Referer`, which it sends with pictures, sound and navigations.
 * @throws MediagraphError FORBIDDEN
 */
function assertBound(request: FastifyRequest, reply: FastifyReply, options: DeliveryRouteOptions): void {
  vary(reply, 'Referer');
  const { origin, referer } = request.headers;
  const from = origin ?? originOf(referer);
  if (from !== null && options.allowedOrigins(mediaIdOf(request)).includes(from)) return;
  throw new MediagraphError('FORBIDDEN', 'expected this link to be used by a page that it was made for');
}

function originOf(url: string | undefined): string | null {
  return url === undefined ? null : (parseUrl(url)?.origin ?? null);
}

function vary(reply: FastifyReply, name: string): void {
  const already = reply.getHeader('vary');
  reply.header('vary', already === undefined ? name : `${String(already)}, ${name}`);
}

function mediaIdOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('/', 3)[2] ?? '';
}
