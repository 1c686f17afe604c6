import { generateKeyPairSync, sign } from 'node:crypto';
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { RawServer } from './raw-server.js';

const AUDIENCE = 'mediagraph';

type Answer = Parameters<typeof RawServer.start>[0];

interface IssuerKey {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly privateKey: CryptoKey;
  /** As it is published. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

export interface KeyOptions {
  readonly alg?: string;
  readonly modulusLength?: number;
  /** Members that replace those of the published key; undefined removes one. */
  readonly members?: Readonly<Record<string, unknown>>;
}

export interface TokenOptions {
  /** Default: the first key. */
  readonly key?: IssuerKey;
  /** Claims that replace the usual ones; undefined removes one. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Members of the header that replace the usual ones. */
  readonly header?: Readonly<Record<string, unknown>>;
}

/** An identity provider: a real server with a key set, and tokens that its keys sign. */
export class Issuer {
  /** What the key set's URL answers with; null: the published keys. */
  answer: Answer | null = null;
  readonly keys: IssuerKey[] = [];
  /** Further entries of the key set. */
  readonly published: unknown[] = [];
  #serial = 0;

  private constructor(readonly server: RawServer) {}

  static async start(): Promise<Issuer> {
    const answer: Answer = (request, response) => {
      if (issuer.answer) issuer.answer(request, response);
      else response.end(JSON.stringify({ keys: [...issuer.keys.map(({ jwk }) => jwk), ...issuer.published] }));
    };
    const issuer: Issuer = new Issuer(await RawServer.start(answer));
    await issuer.addKey();
    return issuer;
  }

  get jwksUrl(): string {
    return `${this.server.url}/jwks`;
  }

  get name(): string {
    return 'https://login.example.com/';
  }

  /** How often the key set was asked for. */
  get fetches(): number {
    return this.server.requests.length;
  }

  /** The section `auth`. */
  auth(jwt: Readonly<Record<string, unknown>> = {}, auth: Readonly<Record<string, unknown>> = {}) {
    return { mode: 'jwt', jwt: { jwksUrl: this.jwksUrl, issuer: this.name, audience: AUDIENCE, ...jwt }, ...auth };
  }

  /** A key that is not published. */
  async makeKey({ alg = 'ES256', modulusLength, members = {} }: KeyOptions = {}): Promise<IssuerKey> {
    this.#serial += 1;
    const { privateKey, publicKey } = await generateKeyPair(alg, { modulusLength, extractable: true });
    const kid = `key-${this.#serial}`;
    const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig', ...members };
    return { alg, kid: 'kid' in members ? undefined : kid, privateKey, jwk };
  }

  async addKey(options?: KeyOptions): Promise<IssuerKey> {
    const key = await this.makeKey(options);
    this.keys.push(key);
    return key;
  }

  /** A token that is valid for ten minutes, of tenant `default` with the scope to read. */
  async token({ key = this.keys[0], claims = {}, header = {} }: TokenOptions = {}): Promise<string> {
    if (!key) throw new Error('expected the issuer to have a key');
    const { alg, kid } = key;
    return new SignJWT(this.claims(claims)).setProtectedHeader({ alg, kid, ...header }).sign(key.privateKey);
  }

  /** A token with a payload that is not checked. Default key: the first. */
  async signed(payload: string): Promise<string> {
    const [key] = this.keys;
    if (!key) throw new Error('expected the issuer to have a key');
    const { alg, kid, privateKey } = key;
    return new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg, kid }).sign(privateKey);
  }

  /** A token whose claims no library has checked. */
  raw(claims: Readonly<Record<string, unknown>>): Promise<string> {
    return this.signed(JSON.stringify({ ...this.claims(), ...claims }));
  }

  /** Publishes a key that libraries refuse to use. @returns a token that it signed */
  shortRsaToken(): string {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const kid = 'short';
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
    this.published.push(jwk);
    const text = [{ alg: 'RS256', kid }, this.claims()]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
  }

  claims(claims: Readonly<Record<string, unknown>> = {}): JWTPayload {
    const usual = {
      iss: this.name,
      aud: AUDIENCE,
      exp: secondsFromNow(600),
      tenant: 'default',
      scope: 'openid media:read',
    };
    return { ...usual, ...claims };
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

export function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}
