import { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import type { ProviderMedia } from '../../model/media.js';
import type { WebhookEvent, WebhookParsing, WebhookReceiver } from '../provider-adapter.js';
import { anything, readJson, readShape } from '../webhook-body.js';
import { WebhookFaults } from '../webhook-faults.js';
import { announcedMedia, dateOfTime, kindOfMessageType, webUrlOf } from '../webhook-media.js';
import { readMetaBody } from '../webhook-meta-body.js';
import { deliveryIdOf, signatureOf } from '../webhook-request.js';
import { hmac, isHexOf } from '../webhook-signature.js';

const TOLERANCE_MS = 300_000;

export interface KirimWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  readonly secret: string;
  /** `X-Kirim-Signature`; one page of the documentation calls it otherwise. */
  readonly signatureHeader: string;
  /** Subscriptions are of a whole organisation: Meta-shaped events of other numbers are left out. */
  readonly phoneNumberId?: string;
}

/** Which of the documented shapes a body is. */
const anyBody = z.object({
  entry: anything,
  kirim: anything,
  event: z.string().optional(),
  type: z.string().optional(),
  data: anything,
});
/** The plugin's enrichment (kirimdev-hermes, adapter.py): `media_status` is `pending`, `ready`, or whatever else. */
const enrichment = z.object({ media_url: anything, media_status: anything }).catch({
  media_url: undefined,
  media_status: undefined,
});
/** developers.kirim.chat, sending/receive-messages. */
const envelopeData = z.object({
  message: z.object({
    id: z.string(),
    type: anything,
    media_url: anything,
    mime_type: anything,
    filename: anything,
    caption: anything,
    timestamp: anything,
    created_at: anything,
  }),
});

/**
 * Kirim Chat: `t=<unix seconds>,v1=<hex>` over `<t>.<raw body>`, several `v1` while a secret is being replaced, at most
 * five minutes old (developers.kirim.chat, webhooks/signing). Deliveries are named by X-Kirim-Delivery-Id in all their
 * attempts; X-Kirim-Event-Id is a message's id, which other events share.
 */
export function createKirimWebhook(options: KirimWebhookOptions): WebhookReceiver {
  const { secret, signatureHeader } = options;
  const faults = new WebhookFaults(options.channel);
  return {
    verify(request, now) {
      const signature = readSignature(signatureOf(request, signatureHeader, faults));
      if (signature === null)
        throw faults.rejected(`${signatureHeader} to hold t=<unix seconds>,v1=<hex>`, 'another form');
      if (Math.abs(now.getTime() - Number(signature.time) * 1000) > TOLERANCE_MS)
        throw faults.rejected(`${signatureHeader} to be at most 300 seconds from now`, 'another time');
      const expected = hmac('sha256', secret, `${signature.time}.`, request.rawBody);
      if (!signature.digests.some((hex) => isHexOf(expected, hex)))
        throw faults.rejected(`${signatureHeader} to sign the body with the channel's secret`, 'another signature');
    },
    deliveryId: (request) => deliveryIdOf(request, 'X-Kirim-Delivery-Id'),
    parse(rawBody, contentType) {
      const json = readJson(rawBody, contentType, faults);
      const body = readShape(json, anyBody, faults);
      if (body.entry !== undefined) return parseMetaShape(json, body.kirim, options, faults);
      const event = body.event ?? body.type;
      if (event === undefined) throw faults.protocol('JSON that is none of the documented shapes');
      return event === 'message.received' ? parseEnvelope(body.data, faults) : { events: [], faults: [] };
    },
  };
}

function readSignature(header: string): { time: string; digests: string[] } | null {
  const digests: string[] = [];
  let time: string | null = null;
  for (const part of header.split(',')) {
    const [, name, value] = /^([a-z0-9]+)=(\S*)$/.exec(part.trim()) ?? [];
    if (name === undefined || value === undefined) return null;
    if (name === 'v1') digests.push(value);
    if (name !== 't') continue;
    if (time !== null || !/^\d{1,12}$/.test(value)) return null;
    time = value;
  }
  return time === null || digests.length === 0 ? null : { time, digests };
}

// The message alone names the media: the id inside is Meta's, and no key of Kirim's opens it. An address belongs to a
// message only where the body has one message; without an address, REST is asked.
function parseMetaShape(
  body: unknown,
  kirim: unknown,
  { phoneNumberId }: KirimWebhookOptions,
  faults: WebhookFaults,
): WebhookParsing {
  const told = readMetaBody(body, faults, phoneNumberId);
  const { media_status: mediaStatus, media_url: mediaUrl } = enrichment.parse(kirim);
  const status: ProviderMedia['status'] = mediaStatus === 'pending' ? 'PENDING' : 'READY';
  const isTold = mediaStatus === 'ready' && told.messages.length === 1;
  const downloadUrl = isTold ? (webUrlOf(mediaUrl)?.href ?? null) : null;
  const events = told.messages.map(({ messageId, kind, createdAt, media }) =>
    announcement(
      announcedMedia({
        providerMessageId: messageId,
        providerMediaId: null,
        downloadUrl,
        status,
        kind,
        mimeType: media.mime_type,
        sha256: media.sha256,
        filename: media.filename,
        caption: media.caption,
        createdAt,
      }),
    ),
  );
  return { events, faults: told.faults };
}

function parseEnvelope(data: unknown, faults: WebhookFaults): WebhookParsing {
  const { message } = readShape(data, envelopeData, faults);
  const kind = kindOfMessageType(message.type);
  const downloadUrl = webUrlOf(message.media_url)?.href ?? null;
  if (kind === null && downloadUrl === null) return { events: [], faults: [] };
  const media = announcedMedia({
    providerMessageId: faults.messageId(message.id),
    providerMediaId: null,
    downloadUrl,
    kind,
    mimeType: message.mime_type,
    filename: message.filename,
    caption: message.caption,
    createdAt: dateOfTime(message.timestamp ?? message.created_at),
  });
  return { events: [announcement(media)], faults: [] };
}

function announcement(media: ProviderMedia): WebhookEvent {
  return { type: 'mediaAnnounced', providerMessageId: media.providerMessageId, media: [media] };
}
