import { createHash, createHmac } from 'node:crypto';
import type { WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';

/** A body as it is sent: bytes and texts as they are, anything else as JSON. */
export type SentBody = Buffer | string | object;

type Headers = Readonly<Record<string, string>>;

const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };

function bytesOf(body: SentBody): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function hmacOf(algorithm: 'sha1' | 'sha256', secret: string, text: string, body: Buffer | string = ''): Buffer {
  return createHmac(algorithm, secret).update(text).update(body).digest();
}

/** Unsigned JSON. */
export function jsonDelivery(body: SentBody, headers: Headers = {}): WebhookDelivery {
  return { body: bytesOf(body), headers: { ...JSON_TYPE, ...headers } };
}

/** `t=…,v1=…`, a `v1` for each secret: two while one is being replaced (Kirim, webhooks/signing). */
export function kirimDelivery(
  body: SentBody,
  { secrets, sentAt = new Date(), headers = {} }: { secrets: readonly string[]; sentAt?: Date; headers?: Headers },
): WebhookDelivery {
  const bytes = bytesOf(body);
  const time = Math.floor(sentAt.getTime() / 1000);
  const digests = secrets.map((secret) => `v1=${hmacOf('sha256', secret, `${time}.`, bytes).toString('hex')}`);
  return jsonDelivery(bytes, { 'x-kirim-signature': [`t=${time}`, ...digests].join(), ...headers });
}

/** The gateway's own envelope or anything else, signed as it signs. */
export function gatewayDelivery(body: SentBody, secret: string, headers: Headers = {}): WebhookDelivery {
  const bytes = bytesOf(body);
  return jsonDelivery(bytes, { 'x-wa-signature': hmacOf('sha256', secret, '', bytes).toString('hex'), ...headers });
}

export interface LamlSigner {
  /** SignalWire's signing key, Twilio's auth token. */
  readonly key: string;
  /** The URL that the provider calls, as it spells it. */
  readonly url: string;
  /** Where the signature stands; `X-Twilio-Signature` unless given. */
  readonly header?: string;
}

/** A form whose URL and sorted fields are signed (Twilio, usage/security); SignalWire signs the same way. */
export function formDelivery(
  fields: Headers,
  { key, url, header = 'x-twilio-signature' }: LamlSigner,
): WebhookDelivery {
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  const signed = sorted.map(([name, value]) => name + value).join('');
  const body = Buffer.from(new URLSearchParams(fields).toString());
  return { body, headers: { ...FORM_TYPE, [header]: hmacOf('sha1', key, url + signed).toString('base64') } };
}

/** SignalWire's SWML variant: the hex of URL and raw body (SignalWire::Security::WebhookValidator). */
export function swmlDelivery(body: SentBody, { key, url }: LamlSigner): WebhookDelivery {
  const bytes = bytesOf(body);
  return jsonDelivery(bytes, { 'x-signalwire-signature': hmacOf('sha1', key, url, bytes).toString('hex') });
}

/** A body whose hash stands in the URL, and the URL alone is signed; `query` is what the URL gains. */
export function hashedDelivery(
  body: SentBody,
  { key, url, header = 'x-twilio-signature' }: LamlSigner,
): { delivery: WebhookDelivery; query: string } {
  const bytes = bytesOf(body);
  const query = `?bodySHA256=${createHash('sha256').update(bytes).digest('hex')}`;
  return { delivery: jsonDelivery(bytes, { [header]: hmacOf('sha1', key, url + query).toString('base64') }), query };
}
