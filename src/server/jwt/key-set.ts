import { createHash } from 'node:crypto';
import { type CryptoKey, importJWK } from 'jose';
import { z } from 'zod';

/** A public key of the issuer. */
export interface PublishedKey {
  /** Identifies the key material with its id and algorithms, so that a replaced key is another key. */
  readonly fingerprint: string;
  /** The algorithms that the key allows. The header of a token selects one of them and never adds one. */
  readonly algorithms: readonly string[];
  /** Rejects if the numbers are no valid key. */
  crypto(algorithm: string): Promise<CryptoKey>;
}

/** What a token's header says of its key. */
export interface KeyChoice {
  readonly kid: string | undefined;
  readonly alg: string;
}

/** No issuer publishes as many. Each costs a validation, during which the process does nothing else. */
const MAX_KEYS = 5_000;
/** The maximum number of keys that are tried for one token. Each costs a verification. */
const MAX_CANDIDATES = 4;
/** Shorter RSA keys are broken or soon will be (NIST SP 800-131A); longer ones take too long. */
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
/** OpenSSL refuses longer exponents of long keys, since verification takes as long as they are. */
const MAX_EXPONENT_BYTES = 8;

const RSA_ALGORITHMS: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
/** RSA keys without `alg`, which some issuers publish, allow the algorithm that RFC 7518 section 3.1 recommends. */
const DEFAULT_RSA_ALGORITHMS: readonly string[] = ['RS256'];
/** The algorithms of each curve. */
const CURVE_ALGORITHMS: ReadonlyMap<string, readonly string[]> = new Map([
  ['P-256', ['ES256']],
  ['P-384', ['ES384']],
  ['P-521', ['ES512']],
  ['Ed25519', ['EdDSA', 'Ed25519']],
]);

const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/);
const shared = {
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.literal('sig').optional(),
  key_ops: z
    .array(z.unknown())
    .refine((operations) => operations.includes('verify'))
    .optional(),
  // Every reader of a published private key can sign with it.
  d: z.undefined().optional(),
};
const rsa = z.object({ ...shared, kty: z.literal('RSA'), n: base64url, e: base64url });
const ec = z.object({ ...shared, kty: z.literal('EC'), crv: z.string(), x: base64url, y: base64url });
const okp = z.object({ ...shared, kty: z.literal('OKP'), crv: z.string(), x: base64url });
/** All algorithms that a key can allow. `none` and those with a shared secret are not among them. */
export const TOKEN_ALGORITHMS: ReadonlySet<string> = new Set([
  ...RSA_ALGORITHMS,
  ...[...CURVE_ALGORITHMS.values()].flat(),
]);

const jwk = z.discriminatedUnion('kty', [rsa, ec, okp]);
type Jwk = z.output<typeof jwk>;

const document = z.object({ keys: z.custom<readonly unknown[]>(Array.isArray) });

/** The keys of an issuer that may verify tokens (RFC 7517 section 5). Other entries of the document are ignored. */
export class KeySet {
  readonly #all: PublishedKey[] = [];
  readonly #byId = new Map<string, PublishedKey[]>();
  readonly #fingerprints = new Set<string>();
  /** The number of entries that cannot verify tokens: symmetric, private, too short, for encryption, malformed. */
  readonly ignored: number;

  /** @throws Error, whose message quotes nothing, unless the body is a JSON Web Key Set */
  constructor(body: Buffer) {
    const { keys } = parseDocument(body);
    for (const entry of keys) this.#add(entry);
    this.ignored = keys.length - this.#all.length;
  }

  get size(): number {
    return this.#all.length;
  }

  has(fingerprint: string): boolean {
    return this.#fingerprints.has(fingerprint);
  }

  /** The keys that a token may have been signed with. Empty if there is none, or if too many are possible. */
  candidates({ kid, alg }: KeyChoice): readonly PublishedKey[] {
    const named = kid === undefined ? this.#all : (this.#byId.get(kid) ?? []);
    const possible = named.filter(({ algorithms }) => algorithms.includes(alg));
    return possible.length > MAX_CANDIDATES ? [] : possible;
  }

  #add(entry: unknown): void {
    const { data } = jwk.safeParse(entry);
    const algorithms = data ? algorithmsOf(data) : [];
    if (!data || algorithms.length === 0) return;
    const key = publishedKey(data, algorithms);
    if (this.#fingerprints.has(key.fingerprint)) return;
    this.#fingerprints.add(key.fingerprint);
    this.#all.push(key);
    if (data.kid === undefined) return;
    const sameId = this.#byId.get(data.kid);
    if (sameId) sameId.push(key);
    else this.#byId.set(data.kid, [key]);
  }
}

function parseDocument(body: Buffer): z.output<typeof document> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    throw new Error('expected a JSON Web Key Set, got no JSON');
  }
  const { data } = document.safeParse(parsed);
  if (!data) throw new Error('expected a JSON Web Key Set, got JSON without a list of keys');
  if (data.keys.length > MAX_KEYS) throw new Error(`expected at most ${MAX_KEYS} keys, got ${data.keys.length}`);
  return data;
}

/** Empty if the key cannot verify tokens. */
function algorithmsOf(key: Jwk): readonly string[] {
  const possible = key.kty === 'RSA' ? rsaAlgorithms(key) : (CURVE_ALGORITHMS.get(key.crv) ?? []);
  const { alg } = key;
  if (alg !== undefined) return possible.includes(alg) ? [alg] : [];
  return key.kty === 'RSA' && possible.length > 0 ? DEFAULT_RSA_ALGORITHMS : possible;
}

function rsaAlgorithms({ n, e }: z.output<typeof rsa>): readonly string[] {
  const bits = bitLength(Buffer.from(n, 'base64url'));
  const isUsable =
    bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS && Buffer.from(e, 'base64url').length <= MAX_EXPONENT_BYTES;
  return isUsable ? RSA_ALGORITHMS : [];
}

function bitLength(bytes: Buffer): number {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}

function publishedKey(key: Jwk, algorithms: readonly string[]): PublishedKey {
  // Nothing else of the entry is used, such as certificates and links to them.
  const material =
    key.kty === 'RSA'
      ? { kty: key.kty, n: key.n, e: key.e }
      : { kty: key.kty, crv: key.crv, x: key.x, ...(key.kty === 'EC' && { y: key.y }) };
  const imported = new Map<string, Promise<CryptoKey>>();
  return {
    fingerprint: createHash('sha256')
      .update(JSON.stringify([key.kid, algorithms, material]))
      .digest('base64url'),
    algorithms,
    crypto: (algorithm) => {
      const known = imported.get(algorithm) ?? importPublic(material, algorithm);
      imported.set(algorithm, known);
      return known;
    },
  };
}

async function importPublic(material: Parameters<typeof importJWK>[0], algorithm: string): Promise<CryptoKey> {
  const key = await importJWK(material, algorithm);
  if (key instanceof Uint8Array) throw new Error('expected a public key, got a secret');
  return key;
}
