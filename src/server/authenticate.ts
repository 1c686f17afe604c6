import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Admit, Authenticate } from '../http/admission.js';
import { type Caller, SCOPES, type Scope } from '../model/caller.js';
import type { TenantId } from '../model/channel.js';
import { MediagraphError } from '../model/errors.js';

/** Admits requests that carry the router's secret, if there is one, and credentials. @param routerSecret `server.routerSecret` */
export function admission(authenticate: Authenticate, routerSecret: string | null): Admit {
  return async (headers) => {
    requireRouterSecret(headers, routerSecret);
    return authenticate(headers.authorization);
  };
}

/** `auth.mode: none`: every caller is the default tenant and has all scopes. For development. */
export const openToAll: Authenticate = async () => UNAUTHENTICATED_CALLER;

const UNAUTHENTICATED_CALLER: Caller = { tenant: 'default', scopes: new Set(SCOPES) };

/** An entry of `auth.apiKeys`. The configuration holds a digest of the key, never the key. */
export interface ApiKey {
  /** Lower-case hex of the SHA-256 digest. */
  readonly sha256: string;
  readonly tenant: TenantId;
  readonly scopes: readonly Scope[];
}

/** The room for a token of an issuer. Request headers have the same limit. */
const MAX_CREDENTIALS_LENGTH = 16_384;

interface KnownKey {
  readonly digest: Buffer;
  readonly caller: Caller;
}

/** Verifies tokens of an issuer. */
export interface Tokens {
  /**
   * Resolves with null if the token is not accepted. The implementation logs why. Rejects with a retryable MediagraphError
   * INTERNAL_SERVER_ERROR while tokens cannot be verified.
   */
  callerOf(token: string): Promise<Caller | null>;
}

/** What `auth.mode` accepts besides `none`. */
export interface Credentials {
  readonly apiKeys: readonly ApiKey[];
  /** `auth.mode: jwt`; null: only API keys are accepted. */
  readonly tokens: Tokens | null;
}

/** `Authorization: Bearer <key or token>` (RFC 6750 section 2.1): API keys, and tokens of an issuer. */
export class BearerCredentials {
  #keys: readonly KnownKey[] = [];
  #tokens: Tokens | null = null;

  constructor(accepted: Credentials) {
    this.replace(accepted);
  }

  /** Takes effect for later requests. Requests in progress keep their caller. */
  replace({ apiKeys, tokens }: Credentials): void {
    this.#keys = apiKeys.map(toKnownKey);
    this.#tokens = tokens;
  }

  readonly authenticate: Authenticate = async (authorization) => {
    const credentials = bearerOf(authorization);
    if (credentials === undefined) throw unauthenticated();
    const caller = this.#callerOfKey(credentials) ?? (await this.#tokens?.callerOf(credentials));
    if (!caller) throw unauthenticated();
    return caller;
  };

  #callerOfKey(key: string): Caller | null {
    if (this.#keys.length === 0) return null;
    const digest = createHash('sha256').update(key).digest();
    let caller: Caller | null = null;
    // The key is compared with all known keys, so that the duration of a refusal does not depend on the guess.
    for (const known of this.#keys) if (timingSafeEqual(known.digest, digest)) caller = known.caller;
    return caller;
  }
}

function toKnownKey({ sha256, tenant, scopes }: ApiKey): KnownKey {
  return { digest: Buffer.from(sha256, 'hex'), caller: { tenant, scopes: new Set(scopes) } };
}

function requireRouterSecret(headers: IncomingHttpHeaders, secret: string | null): void {
  const sent = headers['x-router-secret'];
  if (secret !== null && (typeof sent !== 'string' || !isSameSecret(sent, secret))) throw unauthenticated();
}

/** Compares in constant time. */
function isSameSecret(sent: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(sent), digest(secret));
}

/** The token of a `Bearer` header (RFC 6750 section 2.1). */
function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_CREDENTIALS_LENGTH) return undefined;
  return /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1];
}

/** @throws MediagraphError UNAUTHENTICATED unless the header is `Bearer` with this token */
export function requireToken(authorization: string | undefined, token: string): void {
  const sent = bearerOf(authorization);
  if (sent === undefined || !isSameSecret(sent, token)) throw unauthenticated();
}

/** One error for all causes, since an attacker must not learn which part of the credentials was right. */
function unauthenticated(): MediagraphError {
  return new MediagraphError('UNAUTHENTICATED', 'expected valid credentials, got none or invalid ones');
}
