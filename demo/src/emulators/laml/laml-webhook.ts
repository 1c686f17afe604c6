import { createHmac, randomUUID } from 'node:crypto';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';
import type { LamlFlavour } from './laml-wire.js';

export interface LamlInbound {
  readonly flavour: LamlFlavour;
  readonly accountSid: string;
  readonly messageSid: string;
  /** In the order in which the customer attached them. */
  readonly media: ReadonlyArray<{ readonly url: string; readonly contentType: string }>;
  /** The webhook URL with its query, which the signature covers. */
  readonly url: string;
  /** SignalWire: the project's signing key. Twilio: the primary auth token. */
  readonly signingKey: string;
}

/**
 * The webhook of an inbound message (SignalWire, cXML messaging overview; Twilio, messaging/guides/webhook-request): a
 * form with `NumMedia` as text and an empty `Body`. The signature is Base64 of HMAC-SHA1 over the URL and the fields
 * sorted by name, each name followed by its value (Twilio, usage/security).
 */
export function lamlDelivery({ flavour, url, signingKey, ...message }: LamlInbound): WebhookDelivery {
  const fields = fieldsOf(flavour, message);
  const sorted = [...fields].sort(([a], [b]) => (a < b ? -1 : 1));
  const signed = url + sorted.map(([name, value]) => name + value).join('');
  const signature = createHmac('sha1', signingKey).update(signed).digest('base64');
  return {
    body: Buffer.from(new URLSearchParams(fields).toString()),
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(flavour === 'signalwire'
        ? { 'x-signalwire-signature': signature }
        : { 'x-twilio-signature': signature, 'i-twilio-idempotency-token': randomUUID() }),
    },
  };
}

function fieldsOf(
  flavour: LamlFlavour,
  { accountSid, messageSid, media }: Pick<LamlInbound, 'accountSid' | 'messageSid' | 'media'>,
): Array<[string, string]> {
  const twilio = { SmsSid: messageSid, SmsMessageSid: messageSid, SmsStatus: 'received', ApiVersion: '2010-04-01' };
  const inbound = {
    MessageSid: messageSid,
    AccountSid: accountSid,
    From: '+16505551234',
    To: '+15550783881',
    Body: '',
    NumMedia: String(media.length),
    ...(flavour === 'twilio' && twilio),
  };
  const attached = media.flatMap(
    ({ url, contentType }, index): Array<[string, string]> => [
      [`MediaUrl${index}`, url],
      [`MediaContentType${index}`, contentType],
    ],
  );
  return [...Object.entries(inbound), ...attached];
}
