import { RATE_WINDOW_S } from '../../catalogue/request-counts.js';
import type { Charge } from './tenant-rate.js';

/**
 * The structured fields of draft-ietf-httpapi-ratelimit-headers-10: the policy, its quota `q` and its window `w`; and of
 * the policy, what remains (`r`) and the seconds until more becomes available (`t`).
 */
export function rateHeaders({ limit, remaining, resetMs }: Charge): Record<string, string> {
  return {
    'ratelimit-policy': `"tenant";q=${limit};w=${RATE_WINDOW_S}`,
    ratelimit: `"tenant";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
  };
}
