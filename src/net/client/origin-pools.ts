import { Pool } from 'undici';

/**
 * One keep-alive connection pool per origin, shared by every channel that talks to it. How many connections a pool
 * opens is bounded by the concurrency of the clients that use it, not here.
 */
export class OriginPools {
  readonly #pools = new Map<string, Pool>();

  for(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (!pool) {
      // Both timeouts belong to the caller, whose own deadline is exact; undici's timers tick once a second.
      pool = new Pool(origin, { headersTimeout: 0, bodyTimeout: 0, allowH2: false });
      this.#pools.set(origin, pool);
    }
    return pool;
  }

  /** Ends every connection, also those with a call under way. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}
