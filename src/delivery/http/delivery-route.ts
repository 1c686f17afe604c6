import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { clientGone } from '../../http/client-gone.js';
import { sendError } from '../../http/error-response.js';
import type { Overload } from '../../http/overload.js';
import type { MediaGrant, UrlSigner } from '../../links/signed-url.js';
import type { ByteSpan } from '../../model/byte-range.js';
import type { Clock } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import { essenceOf } from '../../model/text/mime-type.js';
import { parseUrl } from '../../model/text/parse-url.js';
import type { PresignOptions } from '../../storage/blob-store.js';
import type { DeliverySource } from '../../telemetry/instruments/work-metrics.js';
import { inSpan, type SpanDetails } from '../../telemetry/spans.js';
import type { MediaDelivery } from '../deliver.js';
import type { Delivery } from '../delivery.js';
import { selectRange } from './byte-ranges.js';
import { contentDisposition } from './content-disposition.js';
import type { HotAnswers } from './hot-answers.js';
import { countDelivery, type DeliveryMetrics, sourceOf } from './measured-delivery.js';
import { isForProxy } from './offload.js';
import { evaluatePreconditions, rangeStillApplies, type Validators } from './preconditions.js';

export interface DeliveryRouteOptions {
  readonly clock: Clock;
  readonly urls: UrlSigner;
  readonly delivery: MediaDelivery;
  readonly visibility: 'private' | 'public';
  /** The CORS origins of a media's tenant. */
  readonly allowedOrigins: (mediaId: string) => readonly string[];
  readonly hot: HotAnswers;
  readonly overload: Pick<Overload, 'refusal'>;
  readonly metrics: DeliveryMetrics;
}

const CSP = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
/** Browsers' PDF viewers do not start in a sandbox. */
const CSP_PDF = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
const EXPOSED = 'Content-Length, Content-Disposition, Content-Range, Accept-Ranges, ETag, Last-Modified, X-Request-Id';
const ALLOWED_HEADERS = 'Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since';
/** How long a store's own URL works: long enough to start a download, and for a player to request further ranges. */
const PRESIGNED_S = 3_600;

/** `GET`, `HEAD /media/{mediaId}/{filename}?…`. The signature is checked before anything else. */
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

function deliver(request: FastifyRequest, reply: FastifyReply, options: DeliveryRouteOptions): Promise<FastifyReply> {
  return inSpan(
    () => ({ name: 'deliver' }),
    (span) => deliverIn(span, request, reply, options),
  );
}

async function deliverIn(
  span: SpanDetails,
  request: FastifyRequest,
  reply: FastifyReply,
  options: DeliveryRouteOptions,
): Promise<FastifyReply> {
  let delivery: Delivery | null = null;
  try {
    const grant = verified(request, reply, options);
    if (grant.boundToOrigins) assertBound(request, reply, options);
    const refusal = options.overload.refusal(grant.rendition.kind === 'original' ? 'delivery' : 'rendition');
    if (refusal) throw refusal;
    const { accept, range } = request.headers;
    const isHead = request.method === 'HEAD';
    delivery = await options.delivery.describe(grant, {
      accept,
      partly: !isHead && range !== undefined && !/^bytes=0-$/i.test(range),
      signal: clientGone(reply),
    });
    return await answer({ request, reply, delivery, grant, options, span });
  } catch (thrown) {
    delivery?.close();
    if (reply.raw.destroyed) return reply.hijack();
    return sendError(reply, thrown);
  }
}

/**
 * The grant of a link. Only the response to a genuine link names the tenant's origins. A forged URL gets the same
 * response for every channel and from every origin.
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

/** An id of no media, whose origins are those that all media allows. */
const NO_MEDIA = '';

function isExpired(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && thrown.code === 'URL_EXPIRED';
}

/** A delivery that is about to be answered. */
interface Answering {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly delivery: Delivery;
  readonly grant: Required<MediaGrant>;
  readonly options: DeliveryRouteOptions;
  readonly span: SpanDetails;
}

async function answer(answering: Answering): Promise<FastifyReply> {
  const { request, reply, delivery, grant, options } = answering;
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
    count(answering, 'none');
    return reply.headers(headers).code(304).send();
  }
  if (delivery.offload && sizeBytes !== null && isForProxy(request, sizeBytes)) {
    const file = await delivery.offload.find();
    if (file !== null) return offload(answering, headers, file);
  }
  const range = isHead ? null : rangeOf(request, sizeBytes, validators);
  if (range === 'unsatisfiable') {
    delivery.close();
    reply.header('content-range', `bytes */${sizeBytes}`);
    return refuse(reply, 416, `expected a range within ${sizeBytes} bytes, got another`);
  }
  if (delivery.handOver && !isHead) {
    const location = await delivery.handOver(presignOptions(delivery, grant, options));
    delivery.close();
    count(answering, 'redirect');
    // Not cached, so that each use of the link is checked here and a deleted media is not found.
    return reply.code(302).header('cache-control', 'no-store').header('location', location.href).send();
  }
  let body: Buffer | Readable | undefined;
  const source = isHead ? 'none' : sourceOf(delivery);
  if (isHead) delivery.close();
  else body = await delivery.open(range);
  reply.headers(headers);
  if (range) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${sizeBytes}`);
  const length = range ? range.end - range.start + 1 : sizeBytes;
  if (length !== null) reply.header('content-length', length);
  reply.header('content-type', mimeType);
  count(answering, source, { body, length });
  if (Buffer.isBuffer(body)) rememberHot(answering);
  return reply.send(body);
}

function count(
  { reply, options, span }: Answering,
  source: DeliverySource,
  { body, length }: { body?: Buffer | Readable; length: number | null } = { length: 0 },
): void {
  span.setAttribute('mediagraph.delivery.source', source);
  countDelivery(reply, { source, body, length }, options.metrics);
}

/** Answers with the headers of the whole. The proxy sends the file with them, or the range that the request selects. */
function offload(answering: Answering, headers: Record<string, string>, file: string): FastifyReply {
  const { reply, delivery } = answering;
  delivery.close();
  count(answering, 'proxy');
  // The proxy adds this header itself, since the ranges are its own.
  const { 'accept-ranges': _, ...kept } = headers;
  reply.headers(kept).header('content-type', delivery.mimeType).header('x-accel-redirect', file);
  rememberHot(answering);
  return reply.send();
}

/** Lets {@link HotAnswers} repeat a response that depends on nothing but the link and its media. */
function rememberHot({ request, reply, delivery, grant, options }: Answering): void {
  const { bytesInMemory, offload, sizeBytes } = delivery;
  const { expiresAt, boundToOrigins } = grant;
  const { hot, visibility } = options;
  const isOffloaded = reply.hasHeader('x-accel-redirect');
  if (!bytesInMemory || boundToOrigins || reply.getHeader('access-control-allow-origin') !== '*') return;
  const headers = Object.fromEntries(
    Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
      value === undefined || HEADERS_OF_ONE_RESPONSE.has(name) ? [] : [[name, String(value)]],
    ),
  );
  const content = isOffloaded && offload && sizeBytes !== null ? { offload, sizeBytes } : { bytesInMemory };
  hot.remember(request.raw, { headers, expiresAt: expiresAt.getTime(), visibility, content });
}

const HEADERS_OF_ONE_RESPONSE = new Set(['cache-control', 'content-length', 'content-range', 'x-request-id']);

function rangeOf(
  { headers }: FastifyRequest,
  sizeBytes: number | null,
  validators: Validators,
): ByteSpan | 'unsatisfiable' | null {
  if (sizeBytes === null || !rangeStillApplies(headers['if-range'], validators)) return null;
  const selected = selectRange(headers.range, sizeBytes);
  return selected === 'whole' ? null : selected;
}

/** The headers that 200, 206 and 304 have in common (RFC 9110 section 15.4.5). */
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
    // The tag by which a CDN purges deleted media: Cloudflare's header, then Fastly's.
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
  // A shared cache does not check the origin of a client.
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

/** An error with a status in the form of Fastify's own. */
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
  // A sandboxed document has the origin "null". The link's signature protects the bytes, not the origin.
  if (origin !== undefined && (origin === 'null' || allowed.includes(origin)))
    reply.header('access-control-allow-origin', origin);
}

/**
 * A bound link works only for pages of the tenant's origins. The page is identified by `Origin` where the browser sends
 * it (CORS), otherwise by `Referer`, which it sends with pictures, sound and navigations.
 * @throws MediagraphError FORBIDDEN
 */
function assertBound(request: FastifyRequest, reply: FastifyReply, options: DeliveryRouteOptions): void {
  vary(reply, 'Referer');
  const { origin, referer } = request.headers;
  const from = origin ?? originOf(referer);
  if (from !== null && options.allowedOrigins(mediaIdOf(request)).includes(from)) return;
  throw new MediagraphError('FORBIDDEN', 'expected a page of an allowed origin, got another origin or none');
}

function originOf(url: string | undefined): string | null {
  return url === undefined ? null : (parseUrl(url)?.origin ?? null);
}

function vary(reply: FastifyReply, name: string): void {
  const current = reply.getHeader('vary');
  reply.header('vary', current === undefined ? name : `${String(current)}, ${name}`);
}

function mediaIdOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('/', 3)[2] ?? '';
}
