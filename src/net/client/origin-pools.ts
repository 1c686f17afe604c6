import { Pool } from 'undici';

/**
 * One keep-alive connection pool per origin, shared by all channels of that origin. The concurrency limits of the
 * clients bound the number of connections.
 */
export class OriginPools {
  readonly #pools = new Map<string, Pool>();

  for(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (!pool) {
      // The callers have their own exact deadlines; undici's timers tick once a second.
      pool = new Pool(origin, { headersTimeout: 0, bodyTimeout: 0, allowH2: false });
      this.#pools.set(origin, pool);
    }
    return pool;
  }

  /** Closes all connections, including those with a call in progress. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}
