import { inTime } from '../../catalogue/catalogue-fault.js';
import { type Draw, type Drawn, RATE_WINDOW_S } from '../../catalogue/request-counts.js';
import type { TenantId } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { LocalCounts } from './local-counts.js';
import { type Charge, TenantRate } from './tenant-rate.js';

/** The store of the counts, which all replicas share. */
export interface RequestCounts {
  draw(tenant: TenantId, draw: Draw): Promise<Drawn>;
}

export interface RequestRatesOptions {
  readonly counts: RequestCounts;
  /** The maximum number of requests of a tenant per minute; null: no limit. */
  readonly limitOf: (tenant: TenantId) => number | null;
  readonly metrics?: Pick<Metrics, 'requestRefused'>;
  readonly logger: Logger;
}

/** A healthy database answers within milliseconds, and a request must not wait longer for its admission. */
const DRAW_TIMEOUT_MS = 1_000;
/** How long this process counts alone after the database did not answer. */
const ALONE_FOR_MS = 5_000;
/** Tenants of tokens are not configured, so there may be many. */
const MAX_TENANTS = 10_000;
/** Without a draw for this long, a tenant has no request in the window. */
const IDLE_MS = 2 * RATE_WINDOW_S * 1_000;

/**
 * Limits the GraphQL requests of each tenant per minute over all replicas. While the database is unavailable, each
 * process allows the whole limit by its own count.
 *
 * `rate-limiter-flexible` with its PostgreSQL store does not fit: it counts in fixed windows that the clock of each
 * machine ends, cuts no block down to what is left, and its key has at most 255 characters.
 */
export class RequestRates {
  readonly #rates = new Map<TenantId, TenantRate>();
  readonly #local = new LocalCounts();
  #aloneUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: RequestRatesOptions) {}

  /** Counts one request. Resolves with null if the tenant has no limit. Never rejects. */
  async take(tenant: TenantId): Promise<Charge | null> {
    const limit = this.options.limitOf(tenant);
    if (limit === null) return null;
    const charge = await this.#rateOf(tenant, limit).take();
    if (!charge.isAllowed) this.options.metrics?.requestRefused('graphql', 'rate');
    return charge;
  }

  #rateOf(tenant: TenantId, limit: number): TenantRate {
    const known = this.#rates.get(tenant);
    if (known?.limit === limit) return known;
    this.#rates.delete(tenant);
    if (this.#rates.size >= MAX_TENANTS) this.#forgetIdle();
    const rate = new TenantRate(limit, (draw) => this.#draw(tenant, draw));
    this.#rates.set(tenant, rate);
    return rate;
  }

  /** Forgets the tenants without requests, and at least the oldest tenth. */
  #forgetIdle(): void {
    const before = performance.now() - IDLE_MS;
    let count = 0;
    for (const [tenant, { drawnAt }] of this.#rates) {
      if (drawnAt > before && count >= MAX_TENANTS / 10) continue;
      this.#rates.delete(tenant);
      this.#local.forget(tenant);
      count += 1;
    }
  }

  async #draw(tenant: TenantId, draw: Draw): Promise<Drawn> {
    const now = performance.now();
    if (now >= this.#aloneUntil) {
      try {
        const drawn = await inTime(this.options.counts.draw(tenant, draw), DRAW_TIMEOUT_MS);
        this.#local.add(tenant, drawn.granted - draw.unused);
        return drawn;
      } catch (err) {
        const isNew = performance.now() >= this.#aloneUntil;
        this.#aloneUntil = performance.now() + ALONE_FOR_MS;
        if (isNew) this.options.logger.warn({ err }, 'the requests of tenants are counted by this process alone');
      }
    }
    return this.#local.draw(tenant, draw);
  }
}

/** The error of a refused request. */
export function rateExceeded({ limit, resetMs }: Charge): MediagraphError {
  return new MediagraphError('RATE_LIMITED', `expected at most ${limit} requests of the tenant per minute`, {
    retryable: true,
    // A client may use the seconds of Retry-After or these milliseconds.
    retryAfterMs: Math.max(1_000, Math.ceil(resetMs)),
  });
}
