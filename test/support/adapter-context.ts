import { OriginPools } from '../../src/net/origin-pools.js';
import { ProviderHttpClient } from '../../src/net/provider-http-client.js';
import { AddressPolicy } from '../../src/net/public-address.js';
import { SafeFetch } from '../../src/net/safe-fetch.js';
import { judgeRedirect } from '../../src/net/url-policy.js';
import type { AdapterContext } from '../../src/providers/adapter-context.js';
import type { Quota } from '../../src/providers/quota.js';

export interface ContextOptions {
  readonly baseUrl: string;
  readonly timeoutMs?: number;
  /** None unless given. */
  readonly retries?: number;
  readonly maxDownloadBytes?: number;
  /** The emulators' addresses unless given. */
  readonly allowPrivate?: readonly string[];
  readonly quota?: Quota;
}

/** Counts in memory, by a test's clock. */
export class MemoryQuota implements Quota {
  /** Every name that was asked for, in order. */
  readonly asked: string[] = [];
  readonly #taken = new Map<string, number[]>();

  /** @param now milliseconds since the epoch */
  constructor(private readonly now: () => number = Date.now) {}

  take(name: string, limit: number, windowMs: number): Promise<{ readonly retryAfterMs: number } | null> {
    this.asked.push(name);
    const now = this.now();
    const taken = (this.#taken.get(name) ?? []).filter((at) => at > now - windowMs);
    const first = taken.at(-limit);
    if (first !== undefined) return Promise.resolve({ retryAfterMs: first + windowMs - now });
    this.#taken.set(name, [...taken, now]);
    return Promise.resolve(null);
  }
}

/** What an adapter gets in a process, for tests that construct one themselves to give it a clock. */
export function adapterContext(options: ContextOptions): { context: AdapterContext; close: () => Promise<void> } {
  const { baseUrl, timeoutMs = 5_000, retries = 0, maxDownloadBytes = 100_000_000 } = options;
  const { allowPrivate = ['127.0.0.0/8'], quota = new MemoryQuota() } = options;
  const pools = new OriginPools();
  const policy = new AddressPolicy({ allowPrivate, allowedPorts: [80, 443] });
  const timeouts = { headersTimeoutMs: timeoutMs, silenceTimeoutMs: timeoutMs };
  const safeFetch = new SafeFetch({ policy, ...timeouts, userAgent: 'mediagraph' });
  const context: AdapterContext = {
    createHttpClient: (headers) =>
      new ProviderHttpClient({ baseUrl, headers, pools, policy: { timeoutMs, retries, maxConcurrency: 32 } }),
    safeFetch,
    judgeRedirect: (location, path) => judgeRedirect(location, new URL(path, baseUrl), policy),
    quota,
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
