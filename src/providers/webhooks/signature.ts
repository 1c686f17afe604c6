import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Computes an HMAC over the concatenation of the parts; texts count as UTF-8. */
export function hmac(algorithm: 'sha1' | 'sha256', secret: string, ...parts: ReadonlyArray<string | Buffer>): Buffer {
  const mac = createHmac(algorithm, secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Compares in constant time for equal lengths. The length of a digest is not a secret. */
function equalBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether `text` is `digest` in hexadecimal, in upper or lower case. Compares in constant time. */
export function isHexOf(digest: Buffer, text: string): boolean {
  return text.length === digest.length * 2 && /^[0-9a-f]+$/i.test(text) && equalBytes(digest, Buffer.from(text, 'hex'));
}

/** Whether `text` is the canonical Base64 form of `digest`. Compares in constant time. */
export function isBase64Of(digest: Buffer, text: string): boolean {
  return equalBytes(Buffer.from(digest.toString('base64')), Buffer.from(text));
}

/**
 * Compares secrets that are sent in plain text. It compares digests, so that the time does not even reveal the length.
 */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}

export function sha256(bytes: string | Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
