import type { TenantId } from '../model/channel.js';
import { addMilliseconds } from '../model/clock.js';
import { earliest, type Media } from '../model/media.js';

/** What has a retention of its own. `retention` is in milliseconds. */
interface RetainedChannel {
  readonly tenant: TenantId;
  readonly retention?: number | null;
}

export interface RetentionTimes {
  /** `retention.default` */
  readonly defaultMs: number | null;
  /** `tenants.<tenant>.retention` */
  readonly ofTenants: ReadonlyMap<TenantId, number | null>;
}

/** How long media is kept: the shortest time of its channel, its tenant and the default. A reload replaces the times. */
export class Retention {
  constructor(private times: RetentionTimes = { defaultMs: null, ofTenants: new Map() }) {}

  /** Applies to media that becomes known later. */
  replace(times: RetentionTimes): void {
    this.times = times;
  }

  /** In milliseconds; null: without end. */
  of({ tenant, retention = null }: RetainedChannel): number | null {
    const { defaultMs, ofTenants } = this.times;
    const set = [retention, ofTenants.get(tenant) ?? null, defaultMs].filter((time) => time !== null);
    return set.length > 0 ? Math.min(...set) : null;
  }
}

/** The end of the retention of media that becomes known now; null if it has no end. */
export function endOfRetention(retentionMs: number | null, now: Date): Date | null {
  return retentionMs === null ? null : addMilliseconds(now, retentionMs);
}

/**
 * The end of retention of a listed message's media. Retention counts from the provider's time of the message, or from now
 * if the provider reports no time.
 */
export function endOfListedRetention(
  retentionMs: number | null,
  media: ReadonlyArray<{ readonly createdAt: Date | null }>,
  now: Date,
): Date | null {
  return endOfRetention(retentionMs, earliest(now, ...media.map(({ createdAt }) => createdAt)) ?? now);
}

/** EXPIRED if the retention has ended since the last change of the row, because the sweep runs only at intervals. */
export function asOf<Known extends Media>(media: Known, now: Date): Known {
  const { status, expiresAt } = media;
  return status === 'READY' && expiresAt !== null && expiresAt <= now ? { ...media, status: 'EXPIRED' } : media;
}
