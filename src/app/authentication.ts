import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.js';
import type { Authenticate } from '../http/admission.js';
import type { Clock } from '../model/clock.js';
import type { OriginPools } from '../net/client/origin-pools.js';
import { userAgent } from '../providers/connect-channels.js';
import { BearerCredentials, openToAll, type Tokens } from '../server/authenticate.js';
import type { KeySource } from '../server/jwt/key-source.js';
import type { Logger } from '../telemetry/logger.js';

type AuthSettings = Config['auth'];
type JwtSettings = NonNullable<AuthSettings['jwt']>;

/** The authentication of `auth.mode`. */
export interface Authentication {
  readonly authenticate: Authenticate;
  /** Why the server cannot authenticate anybody yet; null: it can. */
  fault(): string | null;
  /** Applies the keys and the settings of tokens. Resolves when they are in force, within seconds. Never rejects. */
  apply(auth: AuthSettings): Promise<void>;
  close(): void;
}

export interface AuthenticationOptions {
  readonly auth: AuthSettings;
  readonly pools: OriginPools;
  readonly publicUrl: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Starts to fetch the issuer's keys in mode `jwt`, and does not wait for them. */
export async function openAuthentication(options: AuthenticationOptions): Promise<Authentication> {
  const { auth } = options;
  if (auth.mode === 'none')
    return { authenticate: openToAll, fault: () => null, apply: async () => {}, close: () => {} };
  const issuer = new CurrentIssuer(options);
  await issuer.replace(auth);
  const credentials = new BearerCredentials({ apiKeys: auth.apiKeys, tokens: issuer.tokens });
  return {
    authenticate: credentials.authenticate,
    fault: () => issuer.fault,
    apply: async (next) => {
      // Without authentication, pages of other sites could call the server; it checks that at the start only.
      if (next.mode === 'none') return;
      await issuer.replace(next, { isReload: true });
      credentials.replace({ apiKeys: next.apiKeys, tokens: issuer.tokens });
    },
    close: () => issuer.close(),
  };
}

const NO_KEYS = 'the key set of auth.jwt.jwksUrl was not available yet';

/** The verification of tokens by the settings that are in force. */
class CurrentIssuer {
  #settings: JwtSettings | null = null;
  #keys: KeySource | null = null;
  /** Links, webhooks and API keys need no issuer, so that a reload never takes traffic from a server that was ready. */
  #staysReady = false;
  tokens: Tokens | null = null;

  constructor(private readonly options: AuthenticationOptions) {}

  get fault(): string | null {
    return this.#staysReady || this.#keys === null || this.#keys.hasStarted ? null : NO_KEYS;
  }

  /** @param isReload whether the settings come into force after the first attempt to fetch the keys */
  async replace({ mode, jwt }: AuthSettings, { isReload = false } = {}): Promise<void> {
    if (isReload) this.#staysReady = this.fault === null;
    const settings = mode === 'jwt' ? jwt : null;
    if (isDeepStrictEqual(settings, this.#settings)) return;
    const previous = this.#keys;
    const keepsKeys = settings?.jwksUrl === this.#settings?.jwksUrl;
    const opened = settings && (await this.#open(settings, keepsKeys ? previous : null));
    if (!keepsKeys) {
      const fetched = opened?.keys.start();
      if (isReload) await fetched;
      previous?.close();
    }
    this.#settings = settings;
    this.#keys = opened?.keys ?? null;
    this.tokens = opened?.tokens ?? null;
  }

  close(): void {
    this.#keys?.close();
  }

  /** Loads the verification of tokens on first use, because servers without an issuer do not need it. */
  async #open(settings: JwtSettings, known: KeySource | null): Promise<{ keys: KeySource; tokens: Tokens }> {
    const { pools, publicUrl, clock, logger } = this.options;
    const { KeySource, TokenVerifier, fetchKeys, loggedTokens } = await import('../server/jwt/verification.js');
    const { jwksUrl: url, ...expected } = settings;
    const keys = known ?? new KeySource({ read: fetchKeys({ url, pools, userAgent: userAgent(publicUrl) }), logger });
    return { keys, tokens: loggedTokens(new TokenVerifier({ ...expected, keys, clock }), logger) };
  }
}
