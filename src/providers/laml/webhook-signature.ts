import type { WebhookRequest } from '../provider-adapter.js';
import { isForm, isJson } from '../webhook-body.js';
import { hmac, isBase64Of, isHexOf, sha256 } from '../webhook-signature.js';

export interface LamlSignatureOptions {
  readonly secret: string;
  /** What the provider was told to call, to the letter; absent: the request's own address. */
  readonly configuredUrl?: string;
  /** SignalWire signs JSON (SWML) as lower-case hex of URL and raw body; Twilio does not. */
  readonly signsRawBody: boolean;
}

/**
 * Whether `signature` is one of what LaML's providers send, all HMAC-SHA1 with the channel's key:
 *
 * - a form: Base64, over the URL and the sorted fields, each name followed by its value (Twilio, usage/security)
 * - a URL with `bodySHA256`: Base64, over the URL alone, and the hash must be the body's
 * - SignalWire's JSON: hex, over the URL and the raw body (SignalWire::Security::WebhookValidator)
 *
 * The backends do not agree on whether the default port is a part of the URL: each spelling is tried (SignalWire's and
 * Twilio's own libraries do the same).
 */
export function isSignedLamlRequest(
  request: WebhookRequest,
  signature: string,
  { secret, configuredUrl, signsRawBody }: LamlSignatureOptions,
): boolean {
  const { url, rawBody, headers } = request;
  const contentType = headers['content-type'] ?? '';
  const hash = url.searchParams.get('bodySHA256');
  const urls = spellingsOf(signedUrl(url, configuredUrl, hash));
  const isSigned = (text: string | Buffer) =>
    urls.some((spelling) => isBase64Of(hmac('sha1', secret, spelling, text), signature));

  if (hash !== null && isHexOf(sha256(rawBody), hash) && isSigned('')) return true;
  if (isForm(contentType)) return fieldSpellingsOf(rawBody).some(isSigned);
  if (!signsRawBody || !isJson(contentType)) return false;
  return urls.some((spelling) => isHexOf(hmac('sha1', secret, spelling, rawBody), signature));
}

function signedUrl(url: URL, configuredUrl: string | undefined, hash: string | null): string {
  if (configuredUrl === undefined) return url.href;
  if (hash === null || configuredUrl.includes('bodySHA256=')) return configuredUrl;
  return `${configuredUrl}${configuredUrl.includes('?') ? '&' : '?'}bodySHA256=${hash}`;
}

/** The text as it is, without a port, and with its scheme's own. */
function spellingsOf(url: string): string[] {
  const [, scheme, host, rest] = /^(https?):\/\/([^/?#]*?)(?::\d+)?([/?#].*)?$/is.exec(url) ?? [];
  if (scheme === undefined || host === undefined) return [url];
  const port = scheme.toLowerCase() === 'https' ? 443 : 80;
  return [...new Set([url, `${scheme}://${host}${rest ?? ''}`, `${scheme}://${host}:${port}${rest ?? ''}`])];
}

/** A field that came several times: every value in its order (SignalWire), or each value once, sorted (Twilio's libraries). */
function fieldSpellingsOf(rawBody: Buffer): string[] {
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(rawBody.toString('utf8'))) {
    const values = fields.get(name);
    if (values) values.push(value);
    else fields.set(name, [value]);
  }
  const sorted = [...fields].sort(([a], [b]) => (a < b ? -1 : 1));
  const spell = (order: (values: string[]) => string[]) =>
    sorted
      .map(([name, values]) =>
        order(values)
          .map((value) => name + value)
          .join(''),
      )
      .join('');
  return [...new Set([spell((values) => values), spell((values) => [...new Set(values)].sort())])];
}
