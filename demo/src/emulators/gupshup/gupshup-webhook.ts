import { createHash } from 'node:crypto';
import type { MediaSample } from '../media-samples.js';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';

/** `meta={"headers":{…}}` of a subscription: the only authentication that Gupshup has. */
export interface GupshupHeader {
  readonly name: string;
  readonly value: string;
}

export interface GupshupMessage {
  /** WhatsApp's message id. */
  readonly id: string;
  readonly appId: string;
  readonly appName: string;
  readonly header: GupshupHeader | null;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
}

export interface GupshupAnnouncement extends GupshupMessage {
  readonly media: MediaSample & {
    readonly id: string;
    readonly caption: string | undefined;
    readonly asFile: boolean;
    readonly url: string;
    readonly expiresAt: number;
  };
}

type MediaType = 'image' | 'audio' | 'video' | 'file' | 'sticker';

const CUSTOMER = { phone: '918x98xx21x4', name: 'Smit', country_code: '91', dial_code: '8x98xx21x4' };
const DISPLAY_PHONE_NUMBER = '15550783881';
const PHONE_NUMBER_ID = '106540352242922';

/**
 * Version 2 (providers: Gupshup, docs/media): times are in milliseconds, and a document is a `file`, the only type with
 * a `name`.
 */
export function inboundV2(announcement: GupshupAnnouncement): WebhookDelivery {
  const { id, appName, receivedAt, media } = announcement;
  const type = typeOf(announcement);
  const payload = {
    ...(media.caption !== undefined && { caption: media.caption }),
    ...(type === 'file' && { name: media.filename }),
    url: media.url,
    contentType: media.mimeType,
    urlExpiry: media.expiresAt,
  };
  const message = { id, source: CUSTOMER.phone, type, payload, sender: CUSTOMER };
  return delivery(announcement, { app: appName, timestamp: receivedAt, version: 2, type: 'message', payload: message });
}

/** Version 3: the Cloud API's webhook with `gs_app_id`, and a URL of the file manager in the media object. */
export function inboundV3(announcement: GupshupAnnouncement): WebhookDelivery {
  const { id, appId, receivedAt, media } = announcement;
  const kind = typeOf(announcement);
  const type = kind === 'file' ? 'document' : kind;
  const mediaObject = {
    ...(media.caption !== undefined && { caption: media.caption }),
    ...(type === 'document' && { filename: media.filename }),
    mime_type: media.mimeType,
    sha256: createHash('sha256').update(media.bytes).digest('base64'),
    id: media.id,
    url: media.url,
    ...(type === 'audio' && { voice: media.mimeType.includes('opus') }),
    ...(type === 'sticker' && { animated: false }),
  };
  const timestamp = String(Math.floor(receivedAt / 1000));
  return delivery(
    announcement,
    metaEvent(appId, {
      contacts: [{ profile: { name: CUSTOMER.name }, wa_id: CUSTOMER.phone }],
      messages: [{ from: CUSTOMER.phone, id, timestamp, type, [type]: mediaObject }],
    }),
  );
}

/** Version 1: `botname` and `messageobj`. Its other fields are not published. */
export function inboundV1(announcement: GupshupAnnouncement): WebhookDelivery {
  const { id, appName, receivedAt, media } = announcement;
  const messageobj = {
    type: typeOf(announcement),
    url: media.url,
    mediaId: media.id,
    from: CUSTOMER.phone,
    id,
    timestamp: receivedAt,
  };
  return delivery(announcement, { botname: appName, messageobj });
}

/** A `message-event` of version 2, about a sent message and without a media. */
export function statusEvent(message: GupshupMessage): WebhookDelivery {
  const { id, appName, receivedAt } = message;
  const payload = {
    id,
    gsId: 'ee4a68a0-1203-4c85-8dc3-49d0b3226a35',
    type: 'delivered',
    destination: CUSTOMER.phone,
    payload: { ts: Math.floor(receivedAt / 1000) },
  };
  return delivery(message, { app: appName, timestamp: receivedAt, version: 2, type: 'message-event', payload });
}

function metaEvent(appId: string, value: object): object {
  const metadata = { display_phone_number: DISPLAY_PHONE_NUMBER, phone_number_id: PHONE_NUMBER_ID };
  const change = { field: 'messages', value: { messaging_product: 'whatsapp', metadata, ...value } };
  return {
    entry: [{ id: '102290129340398', changes: [change] }],
    gs_app_id: appId,
    object: 'whatsapp_business_account',
  };
}

function delivery({ header }: GupshupMessage, body: object): WebhookDelivery {
  return {
    body: Buffer.from(JSON.stringify(body)),
    headers: {
      'content-type': 'application/json',
      ...(header && { [header.name.toLowerCase()]: header.value }),
    },
  };
}

/** WebP is always a sticker, never an image. */
function typeOf({ media: { mimeType, asFile } }: GupshupAnnouncement): MediaType {
  if (asFile) return 'file';
  if (mimeType.startsWith('image/webp')) return 'sticker';
  const [family = ''] = mimeType.split('/', 1);
  return family === 'image' || family === 'video' || family === 'audio' ? family : 'file';
}
