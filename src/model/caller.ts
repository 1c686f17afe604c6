import type { TenantId } from './channel.js';

export const SCOPES = ['media:read', 'media:write', 'media:delete'] as const;
export type Scope = (typeof SCOPES)[number];

/** The authenticated caller: its tenant and its scopes. */
export interface Caller {
  readonly tenant: TenantId;
  readonly scopes: ReadonlySet<Scope>;
  /** When the credentials expire, in milliseconds since the epoch; absent: they do not. */
  readonly expiresAt?: number;
}

/** How much the clocks of this server and of an issuer of tokens may differ. Tokens are accepted that much longer. */
export const CLOCK_TOLERANCE_MS = 60_000;
