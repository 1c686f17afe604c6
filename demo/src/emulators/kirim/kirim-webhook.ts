import { createHmac, randomUUID } from 'node:crypto';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';

/**
 * A webhook in Kirim's form: an envelope `{id, event, delivered_at, data}` (developers.kirim.chat,
 * sending/receive-messages), its headers (kirim-dev.pages.dev, webhooks/overview) and `X-Kirim-Signature:
 * t=<unix seconds>,v1=<hex>[,v1=<hex>]`, an HMAC-SHA256 of `<t>.<raw body>` for each secret (webhooks/signing). The
 * signature is valid for five minutes.
 */
export function kirimDelivery(event: string, data: object, secrets: readonly string[], now: Date): WebhookDelivery {
  const id = `wbd_${randomUUID().replaceAll('-', '')}`;
  const body = Buffer.from(JSON.stringify({ id, event, delivered_at: now.toISOString(), data }));
  const time = String(Math.floor(now.getTime() / 1000));
  const digests = secrets.map((secret) => createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex'));
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Kirim-Webhook/1.0',
      'x-kirim-source': 'kirim',
      'x-kirim-event': event,
      'x-kirim-event-id': `evt_${randomUUID().replaceAll('-', '')}`,
      'x-kirim-delivery-id': id,
      'x-kirim-attempt': '1',
      'x-kirim-signature': [`t=${time}`, ...digests.map((digest) => `v1=${digest}`)].join(','),
    },
  };
}
