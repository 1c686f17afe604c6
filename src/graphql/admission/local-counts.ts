import { type Draw, type Drawn, RATE_WINDOW_S } from '../../catalogue/request-counts.js';
import type { TenantId } from '../../model/channel.js';

/** Requests by the second in which this process drew their allowances. */
type CountsBySecond = Map<number, number>;

/** The requests that this process allowed, by its own monotonic clock, for the time in which the database is unavailable. */
export class LocalCounts {
  readonly #tenants = new Map<TenantId, CountsBySecond>();

  /** Counts allowances; a negative number gives some back. */
  add(tenant: TenantId, count: number): void {
    const counts = this.#currentOf(tenant);
    const second = currentSecond();
    counts.set(second, (counts.get(second) ?? 0) + count);
  }

  draw(tenant: TenantId, { wanted, limit, unused }: Draw): Drawn {
    this.add(tenant, -unused);
    const counts = this.#currentOf(tenant);
    let used = 0;
    for (const count of counts.values()) used += count;
    const granted = Math.max(0, Math.min(wanted, limit - used));
    this.add(tenant, granted);
    const [oldest = currentSecond()] = counts.keys();
    return {
      granted,
      remaining: Math.max(0, limit - used - granted),
      resetMs: Math.max(0, (oldest + 1 + RATE_WINDOW_S) * 1_000 - performance.now()),
      // No draw of the database: nothing is given back to it.
      at: 0,
    };
  }

  forget(tenant: TenantId): void {
    this.#tenants.delete(tenant);
  }

  /** The counts of the last minute. */
  #currentOf(tenant: TenantId): CountsBySecond {
    const known = this.#tenants.get(tenant) ?? new Map<number, number>();
    this.#tenants.set(tenant, known);
    const before = currentSecond() - RATE_WINDOW_S;
    for (const second of known.keys()) if (second < before) known.delete(second);
    return known;
  }
}

function currentSecond(): number {
  return Math.floor(performance.now() / 1_000);
}
