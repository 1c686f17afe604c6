import { createHmac } from 'node:crypto';
import { sha256Of, type WhatsAppMedia } from './whatsapp-media-store.js';
import { metaJson } from './whatsapp-wire.js';

/** The message that brings a media; each has one. */
export interface WhatsAppMessage {
  /** `wamid.…` */
  readonly id: string;
  /** Decides the kind, whatever the bytes are; by MIME type unless given. */
  readonly type?: 'image' | 'video' | 'audio' | 'document' | 'sticker';
  readonly caption?: string;
  /** Documents alone have one; `document` unless given. */
  readonly filename?: string;
  /** Digits of a telephone number. */
  readonly from?: string;
  readonly sentAt?: Date;
  /** An address at Meta's lookaside origin; payloads from before 2025 have none. */
  readonly url?: string;
}

/** One `POST`, ready to be sent; the signature is over these very bytes. */
export interface WebhookDelivery {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

const BUSINESS_ACCOUNT_ID = '102290129340398';
const CUSTOMER = '16505551234';

/**
 * Meta's webhook for one inbound message (webhook reference, messages: image, video, audio, document, sticker): slashes
 * and everything beyond ASCII escaped, `sha256` in Base64, `timestamp` in seconds as a text.
 */
export function inboundMessage(media: WhatsAppMedia, message: WhatsAppMessage, phoneNumberId: string): Buffer {
  const { id, type = typeOf(media.mimeType), from = CUSTOMER, sentAt = new Date() } = message;
  const value = {
    messaging_product: 'whatsapp',
    metadata: { display_phone_number: '15550783881', phone_number_id: phoneNumberId },
    contacts: [{ profile: { name: 'Zoë Müller' }, wa_id: from }],
    messages: [
      {
        from,
        id,
        timestamp: String(Math.floor(sentAt.getTime() / 1000)),
        type,
        [type]: mediaObject(media, message, type),
      },
    ],
  };
  const change = { field: 'messages', value };
  const entry = { id: BUSINESS_ACCOUNT_ID, changes: [change] };
  return Buffer.from(metaJson({ object: 'whatsapp_business_account', entry: [entry] }));
}

export const WEBHOOK_HEADERS = {
  'content-type': 'application/json',
  accept: '*/*',
  'user-agent': 'facebookexternalua',
};

/** `X-Hub-Signature-256`: HMAC-SHA256 of the raw body with the app secret. */
export function signedDelivery(body: Buffer, appSecret: string): WebhookDelivery {
  const signature = createHmac('sha256', appSecret).update(body).digest('hex');
  return { body, headers: { ...WEBHOOK_HEADERS, 'x-hub-signature-256': `sha256=${signature}` } };
}

function mediaObject(
  media: WhatsAppMedia,
  { caption, filename = 'document', url }: WhatsAppMessage,
  type: NonNullable<WhatsAppMessage['type']>,
): object {
  const captioned = type === 'image' || type === 'video' || type === 'document';
  return {
    ...(caption !== undefined && captioned && { caption }),
    ...(type === 'document' && { filename }),
    mime_type: media.mimeType,
    sha256: sha256Of(media, 'base64'),
    id: media.id,
    ...(url !== undefined && { url }),
    ...(type === 'audio' && { voice: media.mimeType.includes('opus') }),
    ...(type === 'sticker' && { animated: false }),
  };
}

/** What a customer's application would have sent it as. */
function typeOf(mimeType: string): NonNullable<WhatsAppMessage['type']> {
  if (mimeType.startsWith('image/webp')) return 'sticker';
  const [family = ''] = mimeType.split('/', 1);
  return family === 'image' || family === 'video' || family === 'audio' ? family : 'document';
}
