import type { TenantId } from './channel.js';

export const SCOPES = ['media:read', 'media:write', 'media:delete'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who asks, and what they may do, as the entrance found out. */
export interface Caller {
  readonly tenant: TenantId;
  readonly scopes: ReadonlySet<Scope>;
}
