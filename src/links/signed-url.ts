import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { MediagraphError } from '../model/errors.js';
import { upTo } from '../model/lru-limit.js';
import type { MediaId } from '../model/media.js';
import { formatRendition, ORIGINAL, parseRendition, type Rendition } from '../model/rendition.js';

export interface SigningKey {
  /** The `kid` of the URL. */
  readonly id: string;
  readonly secret: string;
}

export type Disposition = 'inline' | 'attachment';

/** The access that a signed URL grants. */
export interface MediaGrant {
  readonly mediaId: MediaId;
  readonly filename: string;
  readonly disposition: Disposition;
  /** Default: the original. */
  readonly rendition?: Rendition;
  /** Whether only pages of the tenant's allowed origins may use the URL. Default: no. */
  readonly boundToOrigins?: boolean;
  readonly expiresAt: Date;
}

export interface UrlSignerOptions {
  /** The first key signs; every key verifies. */
  readonly keys: readonly SigningKey[];
  /** The public URL of the delivery route, without a trailing slash. */
  readonly baseUrl: () => string;
  readonly ttlMs: number;
}

/** Domain separation: a signature of this purpose and version is invalid for any other use of the secret. */
const DOMAIN = 'mediagraph/delivery/1\n';
const ROUTE = '/media/';
/** Signatures that are remembered, some hundred bytes each. */
const REMEMBERED_SIGNATURES = 20_000;
const QUERY = /^d=(inline|attachment)(?:&r=([a-z0-9-]{1,40}))?(&o=bound)?&exp=(\d{1,12})&kid=([A-Za-z0-9_-]{1,32})$/;

/**
 * Signs and verifies delivery URLs: `/media/{mediaId}/{filename}?d=…[&r=…][&o=bound]&exp=…&kid=…&sig=…`. `sig` is
 * HMAC-SHA256 in base64url over everything before it, byte for byte. It does no I/O.
 */
export class UrlSigner {
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #current: { readonly id: string; readonly key: KeyObject };
  /** A media keeps its link for a quarter of the link's lifetime, so the same text is signed again and again. */
  readonly #signatures = new LRUCache<string, string>(upTo(REMEMBERED_SIGNATURES));

  constructor(private readonly options: UrlSignerOptions) {
    const [first] = options.keys;
    if (!first) throw new TypeError('expected at least one signing key, got none');
    this.#keys = new Map(options.keys.map(({ id, secret }) => [id, createSecretKey(Buffer.from(secret))]));
    this.#current = { id: first.id, key: createSecretKey(Buffer.from(first.secret)) };
  }

  /** The expiry of a link that is signed now; see {@link sign}. */
  expiry(now: number, ttlMs: number = this.options.ttlMs, notAfter: Date | null = null): Date {
    // Rounds up to a quarter of the lifetime, so that a media keeps the same URL for some time and caches can reuse
    // responses.
    const windowMs = ttlMs / 4;
    const rounded = Math.ceil((now + ttlMs) / windowMs) * windowMs;
    const seconds = Math.floor(Math.min(rounded, notAfter?.getTime() ?? Number.POSITIVE_INFINITY) / 1000);
    return new Date(seconds * 1000);
  }

  sign(grant: MediaGrant): string {
    const exp = grant.expiresAt.getTime() / 1000;
    const name = encodePathSegment(grant.filename);
    const parameters = `d=${grant.disposition}${renditionParameter(grant)}${grant.boundToOrigins ? '&o=bound' : ''}`;
    const signed = `${ROUTE}${grant.mediaId}/${name}?${parameters}&exp=${exp}&kid=${this.#current.id}`;
    return `${this.options.baseUrl()}${signed}&sig=${this.#signatureOf(signed)}`;
  }

  #signatureOf(signed: string): string {
    const remembered = this.#signatures.get(signed);
    if (remembered !== undefined) return remembered;
    const signature = signatureOf(this.#current.key, signed);
    this.#signatures.set(signed, signature);
    return signature;
  }

  /**
   * @param target path and query exactly as in the request line
   * @throws MediagraphError SIGNATURE_INVALID for anything but an unchanged URL of ours, URL_EXPIRED after its expiry
   */
  verify(target: string, now: number): Required<MediaGrant> {
    const at = target.lastIndexOf('&sig=');
    const signed = target.slice(0, Math.max(at, 0));
    const [path = '', query = ''] = signed.split('?', 2);
    const [, disposition, rendition, bound, exp, kid = ''] = QUERY.exec(query) ?? [];
    const key = this.#keys.get(kid);
    if (!key || !sameText(target.slice(at + 5), signatureOf(key, signed))) throw invalidSignature();
    const grant = {
      ...readPath(path),
      disposition: disposition === 'attachment' ? 'attachment' : 'inline',
      rendition: readRendition(rendition),
      boundToOrigins: bound !== undefined,
      expiresAt: new Date(Number(exp) * 1000),
    } as const;
    if (grant.expiresAt.getTime() <= now) {
      throw new MediagraphError('URL_EXPIRED', 'this link has expired; query a new one');
    }
    return grant;
  }
}

function readPath(path: string): Pick<MediaGrant, 'mediaId' | 'filename'> {
  const [mediaId, name, ...rest] = path.slice(ROUTE.length).split('/');
  if (!path.startsWith(ROUTE) || !mediaId || !name || rest.length > 0) throw invalidSignature();
  return { mediaId, filename: decodeURIComponent(name) };
}

function renditionParameter({ rendition = ORIGINAL }: MediaGrant): string {
  return rendition.kind === 'original' ? '' : `&r=${formatRendition(rendition)}`;
}

function readRendition(text: string | undefined): Rendition {
  const rendition = text === undefined ? ORIGINAL : parseRendition(text);
  // The signature is valid but the rendition is unknown: the URL comes from another version.
  if (!rendition) throw invalidSignature();
  return rendition;
}

function signatureOf(key: KeyObject, signed: string): string {
  return createHmac('sha256', key)
    .update(DOMAIN + signed)
    .digest('base64url');
}

// Compares texts: the last character of base64url has unused bits, which decoding would ignore.
function sameText(received: string, expected: string): boolean {
  const [a, b] = [Buffer.from(received), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Encodes every character outside the unreserved set (RFC 3986 section 2.3), so that no proxy re-encodes the URL. */
function encodePathSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function invalidSignature(): MediagraphError {
  return new MediagraphError('SIGNATURE_INVALID', 'expected an unchanged link, got a changed or forged one');
}
