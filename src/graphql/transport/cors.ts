import type { FastifyReply, FastifyRequest } from 'fastify';

const DEFAULT_ALLOWED_HEADERS = 'Authorization, Content-Type, Content-Encoding, Accept, Apollo-Require-Preflight';
/** Seconds. Browsers use at most two hours. */
const PREFLIGHT_MAX_AGE = '7200';
const MAX_REQUESTED_HEADERS_LENGTH = 4_000;
/** A list of header names as browsers send it (Fetch standard, "CORS-preflight fetch"). */
const HEADER_NAMES = /^[A-Za-z0-9-]{1,64}(?:, ?[A-Za-z0-9-]{1,64}){0,49}$/;

/** CORS headers (Fetch standard, "HTTP responses"). Every answer gets them, so that a page can read errors too. */
export function allowOrigin(
  { headers: { origin } }: FastifyRequest,
  reply: FastifyReply,
  allowedOrigins: readonly string[],
): void {
  if (allowedOrigins.length === 0) return;
  const isOpen = allowedOrigins.includes('*');
  if (!isOpen) reply.header('vary', 'Origin');
  if (origin === undefined || !(isOpen || allowedOrigins.includes(origin))) return;
  reply
    .header('access-control-allow-origin', isOpen ? '*' : origin)
    .header(
      'access-control-expose-headers',
      'X-Request-Id, Retry-After, WWW-Authenticate, RateLimit, RateLimit-Policy',
    );
}

export function answerPreflight({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('allow', 'GET, POST, OPTIONS').header('cache-control', 'no-store');
  if (reply.hasHeader('access-control-allow-origin')) {
    const requested = String(headers['access-control-request-headers'] ?? '').slice(0, MAX_REQUESTED_HEADERS_LENGTH);
    reply
      .header('access-control-allow-methods', 'GET, POST, OPTIONS')
      .header('access-control-allow-headers', HEADER_NAMES.test(requested) ? requested : DEFAULT_ALLOWED_HEADERS)
      .header('access-control-max-age', PREFLIGHT_MAX_AGE);
  }
  return reply.code(204).send();
}
