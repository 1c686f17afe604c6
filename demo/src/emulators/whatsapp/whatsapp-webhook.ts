import { createHmac } from 'node:crypto';
import { sha256Of, type WhatsAppMedia } from './whatsapp-media-store.js';
import { metaJson } from './whatsapp-wire.js';

/** The message of a media. Each message has at most one. */
export interface WhatsAppMessage {
  /** `wamid.…` */
  readonly id: string;
  /** The message type. Default: by the MIME type. */
  readonly type?: 'image' | 'video' | 'audio' | 'document' | 'sticker';
  readonly caption?: string;
  /** Only documents have a name. Default: `document`. */
  readonly filename?: string;
  /** The digits of a telephone number. */
  readonly from?: string;
  readonly sentAt?: Date;
  /** A URL at Meta's lookaside origin. Payloads from before 2025 have none. */
  readonly url?: string;
}

/** The body and headers of a webhook. The signature covers exactly these bytes. */
export interface WebhookDelivery {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

const BUSINESS_ACCOUNT_ID = '102290129340398';
const CUSTOMER = '16505551234';

/** The business's number, as Meta displays it. */
const BUSINESS = '15550783881';

/**
 * Meta's webhook for one inbound message (webhook reference, messages: image, video, audio, document, sticker). Slashes
 * and non-ASCII characters are escaped, `sha256` is Base64, and `timestamp` is seconds as text.
 */
export function inboundMessage(media: WhatsAppMedia, message: WhatsAppMessage, phoneNumberId: string): Buffer {
  const { from = CUSTOMER } = message;
  const contacts = [{ profile: { name: 'Zoë Müller' }, wa_id: from }];
  return metaEvent(phoneNumberId, 'messages', { contacts, messages: [messageOf(media, message, { from })] });
}

/**
 * `smb_message_echoes`: a message that the business sent with the app on its phone, to the customer in `message.from`.
 */
export function echoedMessage(media: WhatsAppMedia, message: WhatsAppMessage, phoneNumberId: string): Buffer {
  const parties = { from: BUSINESS, to: message.from ?? CUSTOMER };
  return metaEvent(phoneNumberId, 'smb_message_echoes', { message_echoes: [messageOf(media, message, parties)] });
}

/** One thread of a `history`, with placeholders for media. Their content may follow in other webhooks. */
export function historyOf(messages: readonly WhatsAppMessage[], phoneNumberId: string): Buffer {
  const placeholders = messages.map(({ id, from = CUSTOMER, sentAt }) => ({
    from,
    id,
    timestamp: unixSeconds(sentAt),
    type: 'media_placeholder',
    history_context: { status: 'READ' },
  }));
  const threads = [{ id: CUSTOMER, messages: placeholders }];
  const history = [{ metadata: { phase: 0, chunk_order: 1, progress: 55 }, threads }];
  return metaEvent(phoneNumberId, 'history', { history });
}

/** The content of a media in a `history`. */
export function historyMedia(media: WhatsAppMedia, message: WhatsAppMessage, phoneNumberId: string): Buffer {
  const { from = CUSTOMER } = message;
  return metaEvent(phoneNumberId, 'history', { messages: [messageOf(media, message, { from })] });
}

/** A customer's edit of a caption (webhook reference, messages: edit). An undefined caption removes it. */
export function editedMessage(
  original: string,
  media: WhatsAppMedia,
  message: WhatsAppMessage,
  phoneNumberId: string,
): Buffer {
  const { id, type = typeOf(media.mimeType), from = CUSTOMER, sentAt } = message;
  const content = { context: { id: original }, type, [type]: mediaObject(media, message, type) };
  const edit = { original_message_id: original, message: content };
  const edited = { from, id, timestamp: unixSeconds(sentAt), type: 'edit', edit };
  return metaEvent(phoneNumberId, 'messages', { messages: [edited] });
}

/** A customer's revocation of a message (webhook reference, messages: revoke). */
export function revokedMessage(
  original: string,
  { id, from = CUSTOMER, sentAt }: WhatsAppMessage,
  phoneNumberId: string,
): Buffer {
  const revoked = {
    from,
    id,
    timestamp: unixSeconds(sentAt),
    type: 'revoke',
    revoke: { original_message_id: original },
  };
  return metaEvent(phoneNumberId, 'messages', { messages: [revoked] });
}

/** A message without its media (error codes: 131051 unsupported, 131052 download failed, 131053 upload failed). */
export function failedMessage(
  { id, type = 'document', from = CUSTOMER, sentAt }: WhatsAppMessage,
  error: { readonly code: number; readonly title: string },
  phoneNumberId: string,
): Buffer {
  const errors = [{ ...error, message: error.title, error_data: { details: error.title } }];
  const failed = { from, id, timestamp: unixSeconds(sentAt), type, errors };
  return metaEvent(phoneNumberId, 'messages', { messages: [failed] });
}

function metaEvent(phoneNumberId: string, field: string, content: object): Buffer {
  const metadata = { display_phone_number: BUSINESS, phone_number_id: phoneNumberId };
  const change = { field, value: { messaging_product: 'whatsapp', metadata, ...content } };
  const entry = { id: BUSINESS_ACCOUNT_ID, changes: [change] };
  return Buffer.from(metaJson({ object: 'whatsapp_business_account', entry: [entry] }));
}

function messageOf(media: WhatsAppMedia, message: WhatsAppMessage, parties: { from: string; to?: string }): object {
  const { id, type = typeOf(media.mimeType), sentAt } = message;
  return { ...parties, id, timestamp: unixSeconds(sentAt), type, [type]: mediaObject(media, message, type) };
}

function unixSeconds(sentAt = new Date()): string {
  return String(Math.floor(sentAt.getTime() / 1000));
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

/** The message type that a customer's application would use for a MIME type. */
function typeOf(mimeType: string): NonNullable<WhatsAppMessage['type']> {
  if (mimeType.startsWith('image/webp')) return 'sticker';
  const [family = ''] = mimeType.split('/', 1);
  return family === 'image' || family === 'video' || family === 'audio' ? family : 'document';
}
