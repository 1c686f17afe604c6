import { createHash } from 'node:crypto';
import { decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { type Caller, CLOCK_TOLERANCE_MS } from '../../model/caller.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { upTo } from '../../model/lru-limit.js';
import { type KeyChoice, type KeySet, type PublishedKey, TOKEN_ALGORITHMS } from './key-set.js';
import type { KeySource } from './key-source.js';
import { type ClaimNames, callerOf } from './token-claims.js';
import { refusalOf, TokenRefusal } from './token-refusal.js';

export interface TokenVerifierOptions extends ClaimNames {
  readonly keys: KeySource;
  readonly issuer: string;
  readonly audience: string;
  /** The clock by which tokens expire. */
  readonly clock: Clock;
}

interface VerifiedToken {
  readonly caller: Caller;
  /** The fingerprint of its key. */
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly acceptedUntil: number;
}

/** About five megabytes. */
const MAX_VERIFIED = 10_000;

/**
 * Verifies tokens of one issuer (RFC 7519, RFC 8725). The issuer's keys name the algorithms, and links or keys in a
 * token's header are ignored. A token that was verified before costs a digest while its key stays published.
 */
export class TokenVerifier {
  readonly #verified = new LRUCache<string, VerifiedToken>(upTo(MAX_VERIFIED));

  constructor(private readonly options: TokenVerifierOptions) {}

  /** @throws TokenRefusal */
  async verify(token: string): Promise<Caller> {
    const digest = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(digest);
    if (known && (await this.#isAccepted(known))) return known.caller;
    this.#verified.delete(digest);
    const verified = await this.#verify(token, choiceOf(token));
    this.#verified.set(digest, verified);
    return verified.caller;
  }

  async #isAccepted({ key, acceptedUntil }: VerifiedToken): Promise<boolean> {
    if (this.options.clock.now() >= acceptedUntil) return false;
    return (await this.options.keys.current())?.has(key) ?? false;
  }

  async #verify(token: string, choice: KeyChoice): Promise<VerifiedToken> {
    const { keys } = this.options;
    const current = await keys.current();
    try {
      return await this.#verifyWith(current, token, choice);
    } catch (thrown) {
      const refusal = refusalOf(thrown);
      // The issuer may have published a new key, also under the id of an old one.
      if (!MAY_BE_NEW_KEY.has(refusal.refusal)) throw refusal;
      const newer = await keys.afterUnknownKey();
      if (newer === null || newer === current) throw refusal;
      return await this.#verifyWith(newer, token, choice).catch((again: unknown) => {
        throw refusalOf(again);
      });
    }
  }

  async #verifyWith(keys: KeySet | null, token: string, choice: KeyChoice): Promise<VerifiedToken> {
    if (keys === null) throw new TokenRefusal('noKeys');
    let refusal = new TokenRefusal('unknownKey');
    for (const key of keys.candidates(choice)) {
      try {
        const caller = callerOf(await this.#claimsOf(token, key, choice), this.options);
        return { caller, key: key.fingerprint, acceptedUntil: (caller.expiresAt ?? 0) + CLOCK_TOLERANCE_MS };
      } catch (thrown) {
        refusal = refusalOf(thrown);
        if (!OTHER_KEY_MAY_FIT.has(refusal.refusal)) throw refusal;
      }
    }
    throw refusal;
  }

  async #claimsOf(token: string, key: PublishedKey, { alg }: KeyChoice): Promise<JWTPayload> {
    const { issuer, audience, clock } = this.options;
    const { payload } = await jwtVerify(token, await key.crypto(alg), {
      algorithms: [alg],
      issuer,
      audience,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_MS / 1000,
      currentDate: dateOf(clock),
    });
    return payload;
  }
}

const OTHER_KEY_MAY_FIT: ReadonlySet<string> = new Set(['signature', 'unusableKey']);
const MAY_BE_NEW_KEY: ReadonlySet<string> = new Set(['noKeys', 'unknownKey', 'signature', 'unusableKey']);

/** What the header says, before anything is known to be true. @throws TokenRefusal */
function choiceOf(token: string): KeyChoice {
  const { alg, kid, crit } = headerOf(token);
  if (typeof alg !== 'string' || !TOKEN_ALGORITHMS.has(alg)) throw new TokenRefusal('algorithm');
  // This server implements no extension of the header (RFC 7515 section 4.1.11).
  if (crit !== undefined || (kid !== undefined && typeof kid !== 'string')) throw new TokenRefusal('header');
  return { alg, kid };
}

function headerOf(token: string): ReturnType<typeof decodeProtectedHeader> {
  // A signed token has three parts (RFC 7515 section 7.1), an encrypted one has five.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw new TokenRefusal('malformed');
  try {
    return decodeProtectedHeader(token);
  } catch {
    throw new TokenRefusal('malformed');
  }
}
