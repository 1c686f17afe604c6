import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

const NAME = 'authorization';

/**
 * The headers of a request. One that was sent with two `Authorization` headers has none: Node keeps the first of them,
 * and a proxy in front of this server may have checked the other.
 */
export function withDistinctCredentials({
  headers,
  rawHeaders,
}: Pick<IncomingMessage, 'headers' | 'rawHeaders'>): IncomingHttpHeaders {
  if (headers.authorization === undefined) return headers;
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length === NAME.length && name.toLowerCase() === NAME) count += 1;
  }
  return count > 1 ? { ...headers, authorization: undefined } : headers;
}
