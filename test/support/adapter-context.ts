import { OriginPools } from '../../src/net/origin-pools.js';
import { ProviderHttpClient } from '../../src/net/provider-http-client.js';
import { AddressPolicy } from '../../src/net/public-address.js';
import { SafeFetch } from '../../src/net/safe-fetch.js';
import { judgeRedirect } from '../../src/net/url-policy.js';
import type { AdapterContext } from '../../src/providers/adapter-context.js';

export interface ContextOptions {
  readonly baseUrl: string;
  readonly timeoutMs?: number;
  readonly maxDownloadBytes?: number;
  /** The emulators' addresses unless given. */
  readonly allowPrivate?: readonly string[];
}

/** What an adapter gets in a process, for tests that construct one themselves to give it a clock. */
export function adapterContext(options: ContextOptions): { context: AdapterContext; close: () => Promise<void> } {
  const { baseUrl, timeoutMs = 5_000, maxDownloadBytes = 100_000_000, allowPrivate = ['127.0.0.0/8'] } = options;
  const pools = new OriginPools();
  const policy = new AddressPolicy({ allowPrivate, allowedPorts: [80, 443] });
  const timeouts = { headersTimeoutMs: timeoutMs, silenceTimeoutMs: timeoutMs };
  const safeFetch = new SafeFetch({ policy, ...timeouts, userAgent: 'mediagraph' });
  const context: AdapterContext = {
    createHttpClient: (headers) =>
      new ProviderHttpClient({ baseUrl, headers, pools, policy: { timeoutMs, retries: 0, maxConcurrency: 32 } }),
    safeFetch,
    judgeRedirect: (location, path) => judgeRedirect(location, new URL(path, baseUrl), policy),
    maxDownloadBytes,
    timeoutMs,
  };
  return {
    context,
    close: async () => {
      await Promise.all([safeFetch.close(), pools.close()]);
    },
  };
}
