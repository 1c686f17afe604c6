import { MediagraphError } from '../model/errors.js';

export type NetErrorCode =
  | 'TIMEOUT'
  | 'CONNECTION'
  | 'RESPONSE_TOO_LARGE'
  | 'TOO_MANY_REDIRECTS'
  | 'BAD_REDIRECT'
  | 'BAD_RESPONSE'
  | 'CIRCUIT_OPEN';

/**
 * A failure between this process and another server. It stays inside the process: the use cases translate it to a
 * `MediagraphError`. `message` names no host or address; undici's own message, which may, is in `cause`.
 */
export class NetError extends Error {
  override readonly name = 'NetError';

  constructor(
    readonly code: NetErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * Translates a value that undici, `node:net` or `node:tls` threw into an Error with one of our codes. It judges by
 * `code`, as undici's documentation asks. Our own errors, a caller's abort and every error that is not a network fault
 * stay unchanged: a bug must not look like an outage. A `MediagraphError` that another layer wrapped is unwrapped, so
 * that a refusal stays a refusal.
 */
export function toNetError(thrown: unknown): Error {
  if (!isError(thrown)) return new Error(`expected an Error to be thrown, got ${typeof thrown}`, { cause: thrown });
  if (thrown instanceof NetError) return thrown;
  const refusal = findMediagraphError(thrown);
  if (refusal !== null) return refusal;
  if (thrown.name === 'AbortError') return thrown;
  const code = netErrorCodeOf(thrown);
  return code === null ? thrown : new NetError(code, MESSAGES[code], { cause: thrown });
}

type TranslatedCode = 'TIMEOUT' | 'CONNECTION' | 'BAD_RESPONSE' | 'RESPONSE_TOO_LARGE';

const MESSAGES: Record<TranslatedCode, string> = {
  TIMEOUT: 'expected an answer in time, got none',
  CONNECTION: 'expected a connection, but it could not be made or was lost',
  BAD_RESPONSE: 'expected a complete HTTP response, got a malformed or truncated one',
  RESPONSE_TOO_LARGE: 'expected a smaller response, got more bytes than allowed',
};

const CODES: ReadonlyMap<string, TranslatedCode> = new Map([
  ['UND_ERR_HEADERS_TIMEOUT', 'TIMEOUT'],
  ['UND_ERR_BODY_TIMEOUT', 'TIMEOUT'],
  ['UND_ERR_CONNECT_TIMEOUT', 'TIMEOUT'],
  ['ETIMEDOUT', 'TIMEOUT'],
  ['UND_ERR_SOCKET', 'CONNECTION'],
  ['UND_ERR_INFO', 'CONNECTION'],
  ['UND_ERR_DESTROYED', 'CONNECTION'],
  ['UND_ERR_CLOSED', 'CONNECTION'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'BAD_RESPONSE'],
  ['UND_ERR_HEADERS_OVERFLOW', 'BAD_RESPONSE'],
  ['UND_ERR_RES_EXCEEDED_MAX_SIZE', 'RESPONSE_TOO_LARGE'],
]);

/** Codes of libuv and getaddrinfo(3) with which a connection attempt or an open socket can fail. */
const SYSTEM_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EPIPE',
  'EPROTO',
  'ENOTCONN',
  'ENOTFOUND',
  'ENODATA',
  'ERR_STREAM_PREMATURE_CLOSE',
]);
const SYSTEM_CODE_STARTS = ['EAI_', 'ERR_SOCKET_'];

/** Node's TLS errors and OpenSSL's certificate errors ("X509 certificate error codes" in the docs of `node:tls`). */
const TLS_CODES: ReadonlySet<string> = new Set(['INVALID_CA', 'INVALID_PURPOSE', 'HOSTNAME_MISMATCH']);
const TLS_CODE_STARTS = [
  'ERR_TLS_',
  'ERR_SSL_',
  'CERT_',
  'CRL_',
  'UNABLE_TO_',
  'SELF_SIGNED_',
  'DEPTH_ZERO_',
  'ERROR_IN_C',
  'PATH_LENGTH_',
];

function isConnectionCode(code: string): boolean {
  if (SYSTEM_CODES.has(code) || TLS_CODES.has(code)) return true;
  return [...SYSTEM_CODE_STARTS, ...TLS_CODE_STARTS].some((start) => code.startsWith(start));
}

/** The maximum depth of the search: a chain of causes may be long or circular. */
const MAX_CAUSES = 8;

function netErrorCodeOf(error: Error): TranslatedCode | null {
  // `AbortSignal.timeout` aborts with a DOMException of this name; its `code` is a number.
  if (error.name === 'TimeoutError') return 'TIMEOUT';
  // Its code should be HPE_…, but undici 7 leaves it undefined for many parser errors.
  if (error.name === 'HTTPParserError') return 'BAD_RESPONSE';
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string') {
    const known = CODES.get(code);
    if (known !== undefined) return known;
    if (isConnectionCode(code)) return 'CONNECTION';
    if (code.startsWith('HPE_')) return 'BAD_RESPONSE';
  }
  // With Happy Eyeballs every address of the host failed, each with its own error.
  const first: unknown = 'errors' in error && Array.isArray(error.errors) ? error.errors[0] : undefined;
  return isError(first) && first !== error ? netErrorCodeOf(first) : null;
}

const LOST_CONNECTIONS: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/**
 * Whether the other side closed an established connection, which may happen to a keep-alive connection at the moment of
 * reuse.
 */
export function isLostConnection(thrown: unknown): boolean {
  return isError(thrown) && 'code' in thrown && LOST_CONNECTIONS.has(thrown.code);
}

function findMediagraphError(error: Error): MediagraphError | null {
  let current: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && isError(current); depth++) {
    if (current instanceof MediagraphError) return current;
    current = current.cause;
  }
  return null;
}

/**
 * Replaces `instanceof Error`, which fails for errors of another realm: in a vm context, or from a worker's message.
 */
export function isError(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'name' in value && 'message' in value && 'stack' in value;
}
