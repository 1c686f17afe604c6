import type { WebhookRequest } from '../provider-adapter.js';
import { isForm, isJson } from '../webhooks/body.js';
import { FormBody } from '../webhooks/form.js';
import { hmac, isBase64Of, isHexOf, sha256 } from '../webhooks/signature.js';
import { addressSpellings } from './webhook-address.js';

/** Bytes hashed per request, over all spellings of its address. Bodies are hashed before their sender is known. */
const MAX_HASHED_BYTES = 64_000_000;
/** The unchanged address with its possible ports. */
const MIN_SPELLINGS = 3;

export interface LamlSignatureOptions {
  readonly secret: string;
  /** The URL exactly as configured at the provider; absent means the request's own. */
  readonly configuredUrl?: string;
  /** SignalWire signs JSON (SWML) as lower-case hex over URL and raw body; Twilio does not. */
  readonly signsRawBody: boolean;
}

/**
 * Whether `signature` is a valid HMAC-SHA1 with the channel's key. LaML's providers use three forms:
 *
 * - a form: Base64, over the URL and the sorted fields, each name followed by its value (Twilio, usage/security)
 * - a URL with `bodySHA256`: Base64, over the URL only; the hash must be the body's
 * - SignalWire's JSON: hex, over the URL and the raw body (SignalWire::Security::WebhookValidator)
 *
 * The URL counts byte for byte as called, and in the few spellings that proxies make of it. The backends disagree on
 * whether it includes the default port; SignalWire's and Twilio's own libraries try both.
 */
export function isSignedLamlRequest(
  request: WebhookRequest,
  signature: string,
  { secret, configuredUrl, signsRawBody }: LamlSignatureOptions,
): boolean {
  const { url, address, rawBody, headers } = request;
  const contentType = headers['content-type'] ?? '';
  const hash = url.searchParams.get('bodySHA256');
  const called = configuredUrl === undefined ? address : configuredAddress(configuredUrl, hash);
  const affordable = Math.max(MIN_SPELLINGS, Math.floor(MAX_HASHED_BYTES / (rawBody.length + 1)));
  const urls = addressSpellings(called).slice(0, affordable);
  const isSigned = (text: string | Buffer) =>
    urls.some((spelling) => isBase64Of(hmac('sha1', secret, spelling, text), signature));

  if (hash !== null && isHexOf(sha256(rawBody), hash) && isSigned('')) return true;
  if (isForm(contentType)) return fieldSpellingsOf(rawBody).some(isSigned);
  if (!signsRawBody || !isJson(contentType)) return false;
  return urls.some((spelling) => isHexOf(hmac('sha1', secret, spelling, rawBody), signature));
}

function configuredAddress(configuredUrl: string, hash: string | null): string {
  if (hash === null || configuredUrl.includes('bodySHA256=')) return configuredUrl;
  return `${configuredUrl}${configuredUrl.includes('?') ? '&' : '?'}bodySHA256=${hash}`;
}

/**
 * Returns the signed text for both treatments of a repeated field: every value in its order (SignalWire), or each
 * distinct value once, sorted (Twilio's libraries).
 */
function fieldSpellingsOf(rawBody: Buffer): Buffer[] {
  const sorted = new FormBody(rawBody).sorted();
  const spell = (order: (values: readonly string[]) => readonly string[]) =>
    sorted
      .map(([name, values]) =>
        order(values)
          .map((value) => name + value)
          .join(''),
      )
      .join('');
  const spellings = [spell((values) => values), spell((values) => [...new Set(values)].sort())];
  return [...new Set(spellings)].map((text) => Buffer.from(text, 'latin1'));
}
