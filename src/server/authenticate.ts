import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Admit, Authenticate } from '../http/admission.js';
import { type Caller, SCOPES, type Scope } from '../model/caller.js';
import type { TenantId } from '../model/channel.js';
import { MediagraphError } from '../model/errors.js';

/** @param routerSecret `server.routerSecret` */
export function admission(authenticate: Authenticate, routerSecret: string | null): Admit {
  return async (headers) => {
    requireRouterSecret(headers, routerSecret);
    return authenticate(headers.authorization);
  };
}

/** `auth.mode: none`: one tenant, everything allowed. For development. */
export const openToAll: Authenticate = async () => EVERYBODY;

const EVERYBODY: Caller = { tenant: 'default', scopes: new Set(SCOPES) };

/** As the configuration keeps it: the key itself is nowhere. */
export interface ApiKey {
  /** Lower-case hex of the SHA-256 digest. */
  readonly sha256: string;
  readonly tenant: TenantId;
  readonly scopes: readonly Scope[];
}

const MAX_AUTHORIZATION_LENGTH = 1_100;

interface KnownKey {
  readonly digest: Buffer;
  readonly caller: Caller;
}

/** `auth.mode: apiKey`: `Authorization: Bearer <key>` (RFC 6750 section 2.1). */
export class ApiKeys {
  #known: readonly KnownKey[];

  constructor(keys: readonly ApiKey[]) {
    this.#known = keys.map(toKnownKey);
  }

  /** From the next request on; requests under way keep the caller they came with. */
  replace(keys: readonly ApiKey[]): void {
    this.#known = keys.map(toKnownKey);
  }

  readonly authenticate: Authenticate = async (authorization) => {
    const key = bearerOf(authorization);
    if (key === undefined) throw unauthenticated();
    const digest = createHash('sha256').update(key).digest();
    let caller: Caller | null = null;
    // All of them, every time: how long a refusal takes must not tell how near a guess came.
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) caller = known.caller;
    if (!caller) throw unauthenticated();
    return caller;
  };
}

function toKnownKey({ sha256, tenant, scopes }: ApiKey): KnownKey {
  return { digest: Buffer.from(sha256, 'hex'), caller: { tenant, scopes: new Set(scopes) } };
}

function requireRouterSecret(headers: IncomingHttpHeaders, secret: string | null): void {
  const given = headers['x-router-secret'];
  if (secret !== null && (typeof given !== 'string' || !isSameSecret(given, secret))) throw unauthenticated();
}

/** In constant time. */
function isSameSecret(given: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}

/** RFC 6750 section 2.1. */
function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer ([\x21-\x7e]{1,1024})$/i.exec((authorization ?? '').slice(0, MAX_AUTHORIZATION_LENGTH))?.[1];
}

/** @throws MediagraphError UNAUTHENTICATED unless it is `Bearer` and this token */
export function requireToken(authorization: string | undefined, token: string): void {
  const given = bearerOf(authorization);
  if (given === undefined || !isSameSecret(given, token)) throw unauthenticated();
}

/** The same whatever was wrong: which part of the credentials was right is not for a stranger to learn. */
function unauthenticated(): MediagraphError {
  return new MediagraphError('UNAUTHENTICATED', 'expected valid credentials, got none or others');
}
