import type { TenantId } from './channel.js';

export const SCOPES = ['media:read', 'media:write', 'media:delete'] as const;
export type Scope = (typeof SCOPES)[number];

/** The authenticated caller: its tenant and its scopes. */
export interface Caller {
  readonly tenant: TenantId;
  readonly scopes: ReadonlySet<Scope>;
}
