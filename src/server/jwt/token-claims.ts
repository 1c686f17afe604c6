import type { JWTPayload } from 'jose';
import { type Caller, SCOPES, type Scope } from '../../model/caller.js';
import { MAX_TENANT_BYTES } from '../../model/channel.js';
import { TokenRefusal } from './token-refusal.js';

/** `auth.jwt.tenantClaim` and `auth.jwt.scopeClaim`. */
export interface ClaimNames {
  readonly tenantClaim: string;
  readonly scopeClaim: string;
}

/** The caller that verified claims describe. @throws TokenRefusal */
export function callerOf(claims: JWTPayload, { tenantClaim, scopeClaim }: ClaimNames): Caller {
  const { exp } = claims;
  // JSON numbers such as 1e400 are read as Infinity.
  if (exp === undefined || !Number.isFinite(exp)) throw new TokenRefusal('claims');
  return {
    tenant: tenantOf(claimOf(claims, tenantClaim)),
    scopes: scopesOf(claimOf(claims, scopeClaim)),
    expiresAt: exp * 1000,
  };
}

function claimOf(claims: JWTPayload, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** A tenant is a part of the keys of blobs and of rows, which have the same limits for the tenants of channels. */
function tenantOf(claim: unknown): string {
  const isTenant =
    typeof claim === 'string' &&
    claim !== '' &&
    claim.isWellFormed() &&
    !claim.includes('\0') &&
    Buffer.byteLength(claim) <= MAX_TENANT_BYTES;
  if (!isTenant) throw new TokenRefusal('tenant');
  return claim;
}

/** A text separated by spaces (RFC 8693 section 4.2) or a list of texts. Scopes of other services are ignored. */
function scopesOf(claim: unknown): ReadonlySet<Scope> {
  const named = typeof claim === 'string' ? claim.split(' ') : (claim ?? []);
  if (!Array.isArray(named) || claim === null) throw new TokenRefusal('scopes');
  if (!named.every((scope) => typeof scope === 'string')) throw new TokenRefusal('scopes');
  return new Set(SCOPES.filter((scope) => named.includes(scope)));
}
