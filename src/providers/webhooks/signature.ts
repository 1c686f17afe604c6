import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** HMAC over the parts as if they were one; texts count as UTF-8. */
export function hmac(algorithm: 'sha1' | 'sha256', secret: string, ...parts: ReadonlyArray<string | Buffer>): Buffer {
  const mac = createHmac(algorithm, secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** In constant time for equal lengths; how long a digest is, is no secret. */
function equalBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether `text` spells `digest` in hex, of either case; in constant time. */
export function isHexOf(digest: Buffer, text: string): boolean {
  return text.length === digest.length * 2 && /^[0-9a-f]+$/i.test(text) && equalBytes(digest, Buffer.from(text, 'hex'));
}

/** Whether `text` is the one Base64 spelling of `digest`; in constant time. */
export function isBase64Of(digest: Buffer, text: string): boolean {
  return equalBytes(Buffer.from(digest.toString('base64')), Buffer.from(text));
}

/** For secrets that are sent as they are: digests are compared, so that not even the length shows in the time. */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}

export function sha256(bytes: string | Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
