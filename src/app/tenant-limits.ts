import type { Config } from '../config/config.js';
import type { RetentionTimes } from '../media/retention.js';
import type { TenantId } from '../model/channel.js';

type TenantSettings = Config['tenants'][string];

/** What applies to each tenant: `tenants`, and the defaults of `limits`. A reload replaces `tenants`. */
export class TenantLimits {
  #byTenant: ReadonlyMap<TenantId, TenantSettings>;

  constructor(private readonly config: Pick<Config, 'limits' | 'tenants'>) {
    this.#byTenant = new Map(Object.entries(config.tenants));
  }

  replace(tenants: Config['tenants']): void {
    this.#byTenant = new Map(Object.entries(tenants));
  }

  /** Null: no limit. */
  requestsPerMinute(tenant: TenantId): number | null {
    const own = this.#byTenant.get(tenant)?.requestsPerMinute;
    return own === undefined ? this.config.limits.requestsPerMinute : own;
  }
}

/** The times of media's retention as the configuration sets them. */
export function retentionTimes({ retention, tenants }: Pick<Config, 'retention' | 'tenants'>): RetentionTimes {
  const ofTenants = new Map(Object.entries(tenants).map(([tenant, { retentionMs }]) => [tenant, retentionMs]));
  return { defaultMs: retention.defaultMs, ofTenants };
}
