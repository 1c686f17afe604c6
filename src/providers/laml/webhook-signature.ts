import type { WebhookRequest } from '../provider-adapter.js';
import { isForm, isJson } from '../webhooks/body.js';
import { FormBody } from '../webhooks/form.js';
import { hmac, isBase64Of, isHexOf, sha256 } from '../webhooks/signature.js';
import { addressSpellings } from './webhook-address.js';

/** Of one request, over all spellings of its address: bodies are hashed before anything is known of their sender. */
const MAX_HASHED_BYTES = 64_000_000;
/** The address as it is, with the ports that it may have. */
const MIN_SPELLINGS = 3;

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
 * The URL counts byte for byte as it was called, and in the few spellings of the same address that proxies make of it.
 * The backends do not agree on whether the default port is a part of it (SignalWire's and Twilio's own libraries try both).
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

/** A field that came several times: every value in its order (SignalWire), or each value once, sorted (Twilio's libraries). */
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
