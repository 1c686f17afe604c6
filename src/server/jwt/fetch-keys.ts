import { dispatchBuffered } from '../../net/client/buffered-response.js';
import type { OriginPools } from '../../net/client/origin-pools.js';

export interface FetchKeysOptions {
  /** `auth.jwt.jwksUrl`. Redirects are not followed: the operator chose this URL, and the keys decide who gets access. */
  readonly url: string;
  readonly pools: OriginPools;
  readonly userAgent: string;
}

/** The time for the whole response. */
const TIMEOUT_MS = 5_000;
/** Room for hundreds of keys with their certificates. Parsing more could block the event loop for seconds. */
const MAX_BYTES = 1_000_000;

/** Reads the document with the issuer's keys. The result rejects unless the status is 200. */
export function fetchKeys({ url, pools, userAgent }: FetchKeysOptions): (signal: AbortSignal) => Promise<Buffer> {
  const { origin, pathname, search } = new URL(url);
  const headers = { accept: 'application/jwk-set+json, application/json', 'user-agent': userAgent };
  return async (signal) => {
    const request = { method: 'GET', path: pathname + search, headers } as const;
    const limits = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, signal };
    const { statusCode, body } = await dispatchBuffered(pools.for(origin), request, limits);
    if (statusCode !== 200) throw new Error(`expected status 200 from the URL of the key set, got ${statusCode}`);
    return body;
  };
}
