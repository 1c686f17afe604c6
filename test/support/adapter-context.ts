import { OriginPools } from '../../src/net/client/origin-pools.js';
import { ProviderHttpClient } from '../../src/net/client/provider-http-client.js';
import { AddressPolicy } from '../../src/net/guarded/public-address.js';
import { SafeFetch } from '../../src/net/guarded/safe-fetch.js';
import { judgeRedirect } from '../../src/net/guarded/url-policy.js';
import type { AdapterContext } from '../../src/providers/adapter-context.js';
import { type ChannelFacts, NO_FACTS } from '../../src/providers/channel-facts.js';
import type { HoldLimits, Quota, QuotaFull, QuotaHold } from '../../src/providers/quota.js';
import type { ProviderRefusal } from '../../src/providers/toolkit/refusal-log.js';

export interface ContextOptions {
  readonly baseUrl: string;
  readonly timeoutMs?: number;
  /** None unless given. */
  readonly retries?: number;
  readonly maxDownloadBytes?: number;
  /** The emulators' addresses unless given. */
  readonly allowPrivate?: readonly string[];
  readonly quota?: Quota;
  readonly facts?: ChannelFacts;
  readonly onRefusal?: (refusal: ProviderRefusal) => void;
}

/** Counts in memory, by a test's clock. */
export class MemoryQuota implements Quota {
  /** Every name that was asked for, in order. */
  readonly names: string[] = [];
  readonly #taken = new Map<string, number[]>();
  readonly #failures = new Map<string, number[]>();
  readonly #underWay = new Map<string, number>();

  /** @param now milliseconds since the epoch */
  constructor(private readonly now: () => number = Date.now) {}

  take(name: string, limit: number, windowMs: number): Promise<{ readonly retryAfterMs: number } | null> {
    this.names.push(name);
    const now = this.now();
    const taken = (this.#taken.get(name) ?? []).filter((at) => at > now - windowMs);
    const first = taken.at(-limit);
    if (first !== undefined) return Promise.resolve({ retryAfterMs: first + windowMs - now });
    this.#taken.set(name, [...taken, now]);
    return Promise.resolve(null);
  }

  hold(name: string, { limit, windowMs }: HoldLimits): Promise<QuotaHold | QuotaFull> {
    const now = this.now();
    const failures = (this.#failures.get(name) ?? []).filter((at) => at > now - windowMs);
    const underWay = this.#underWay.get(name) ?? 0;
    if (failures.length + underWay >= limit) {
      const leaving = failures.at(-limit);
      return Promise.resolve({ kind: 'full', retryAfterMs: leaving === undefined ? 0 : leaving + windowMs - now });
    }
    this.#underWay.set(name, underWay + 1);
    return Promise.resolve({
      kind: 'held',
      settle: async (failed) => {
        this.#underWay.set(name, (this.#underWay.get(name) ?? 0) - 1);
        if (failed) this.#failures.set(name, [...(this.#failures.get(name) ?? []), this.now()]);
      },
    });
  }
}

/** What an adapter gets in a process, for tests that construct one themselves to give it a clock. */
export function adapterContext(options: ContextOptions): { context: AdapterContext; close: () => Promise<void> } {
  const { baseUrl, timeoutMs = 5_000, retries = 0, maxDownloadBytes = 100_000_000 } = options;
  const { allowPrivate = ['127.0.0.0/8'], quota = new MemoryQuota(), facts = NO_FACTS, onRefusal = () => {} } = options;
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
    facts,
    onRefusal,
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
