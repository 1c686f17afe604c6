import { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import {
  signedDelivery,
  type WebhookDelivery,
  type WhatsAppMessage,
} from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { samples } from './sample-messages.js';

/** A channel of Meta's Cloud API, whose media only a webhook announces. */
export const META = 'cloud';

const TOKEN = 'meta-token-0123456789';
export const APP_SECRET = 'an app secret of Meta';
const PHONE_NUMBER_ID = '106540352242922';

/** @param now milliseconds since the epoch; addresses of bytes die by it */
export function metaEmulator(now?: () => number): WhatsAppEmulator {
  return new WhatsAppEmulator({ token: TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: APP_SECRET, now });
}

export function metaChannel({ baseUrl, lookaside }: WhatsAppEmulator): Record<string, unknown> {
  return {
    id: META,
    provider: 'whatsapp-cloud',
    baseUrl,
    credentials: { token: TOKEN },
    options: { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [lookaside.url] },
    webhook: { secret: APP_SECRET },
  };
}

/** A message with one photo, as its provider has it. */
export interface MetaPhoto {
  /** What callers of the server name the message. */
  readonly id: string;
  readonly mediaId: string;
  readonly bytes: Buffer;
  /** Announces it. */
  readonly delivery: WebhookDelivery;
}

export interface MetaPhotoOptions extends Partial<WhatsAppMessage> {
  /** Behind the photo's own bytes: no two photos are the same, and some are large. */
  readonly padding?: Buffer;
}

/** Lets Meta receive photo number `index`. */
export function receivePhoto(
  meta: WhatsAppEmulator,
  index: number,
  { padding = Buffer.alloc(0), ...message }: MetaPhotoOptions = {},
): MetaPhoto {
  const bytes = Buffer.concat([samples.photo.bytes, Buffer.from(`photo ${index}`), padding]);
  const mediaId = String(1_852_559_851_000_000 + index);
  const providerMessageId = `wamid.PHOTO${index}`;
  meta.addMedia({ id: mediaId, bytes, mimeType: samples.photo.mimeType });
  const delivery = meta.webhookOf(mediaId, { id: providerMessageId, ...message });
  return { id: `${META}:${providerMessageId}`, mediaId, bytes, delivery };
}

/** The same announcement, which does not tell the digest of the bytes. */
export function withoutDigest({ body }: WebhookDelivery): WebhookDelivery {
  return signedDelivery(Buffer.from(body.toString().replaceAll(/"sha256":"[^"]*",?/g, '')), APP_SECRET);
}
