import type { Channel } from '../../model/channel.js';
import type { ProviderMedia } from '../../model/media.js';
import type { WebhookItem, WebhookReceiver } from '../provider-adapter.js';
import {
  announcedMedia,
  dateOfTime,
  directionOf,
  kindOfMessageType,
  voiceOfMessageType,
  webUrlOf,
  whatsappContact,
} from '../webhooks/announced-media.js';
import { objectOf, readJson, stringOf } from '../webhooks/body.js';
import { WebhookFaults, withNestingFault } from '../webhooks/faults.js';
import { JsonObject, type JsonPart } from '../webhooks/json-walk.js';
import { announcementOf, type MetaItem, type MetaMedia, readMetaBody, toEvents } from '../webhooks/meta-body.js';
import { deliveryIdOf, signatureOf } from '../webhooks/request.js';
import { hmac, isHexOf } from '../webhooks/signature.js';

const TOLERANCE_MS = 300_000;

export interface KirimWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  readonly secret: string;
  /** `X-Kirim-Signature`; one page of the documentation uses another name. */
  readonly signatureHeader: string;
  /** A subscription covers a whole organisation. Meta-shaped events of other numbers are ignored. */
  readonly phoneNumberId?: string;
}

/** The fields that distinguish the documented shapes of a body. */
const BODY = ['entry', 'kirim', 'event', 'type', 'data'];
/** The plugin's enrichment (kirimdev-hermes, adapter.py): `media_status` is `pending`, `ready` or any other text. */
const ENRICHMENT = ['media_url', 'media_status'];
/** developers.kirim.chat, sending/receive-messages. */
const MESSAGE = [
  ...['id', 'type', 'media_url', 'mime_type', 'filename', 'caption', 'timestamp', 'created_at'],
  ...['direction', 'from', 'to', 'voice'],
];

/**
 * Receives Kirim Chat's webhooks. The signature is `t=<unix seconds>,v1=<hex>` over `<t>.<raw body>`, at most five
 * minutes old, with several `v1` while a secret is being replaced (developers.kirim.chat, webhooks/signing).
 * X-Kirim-Delivery-Id is the same in all attempts of a delivery. X-Kirim-Event-Id is a message's id, which other events
 * share.
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
    parse(rawBody, contentType, now) {
      const { value, isTooDeep } = readJson(rawBody, contentType, faults);
      const body = objectOf(value, '(root)', faults).pick(BODY);
      if (body.has('entry')) {
        const items = readMetaBody(value, faults, { phoneNumberId: options.phoneNumberId, now });
        return withNestingFault(withEnrichment(items, body.get('kirim')), isTooDeep);
      }
      const event = body.get('event') ?? body.get('type');
      if (event === undefined) throw faults.protocol('JSON that is none of the documented shapes');
      return withNestingFault(event === 'message.received' ? [envelopeOf(body.get('data'), faults)] : [], isTooDeep);
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

// The message id identifies the media: Kirim's API does not accept Meta's media id. The URL belongs to a message only
// if the body has a single message with media; otherwise the adapter asks the API.
function* withEnrichment(items: Iterable<MetaItem>, kirim: JsonPart | undefined): Iterable<WebhookItem> {
  const enrichment = kirim instanceof JsonObject ? kirim.pick(ENRICHMENT) : null;
  const isReady = enrichment?.get('media_status') === 'ready';
  const status: ProviderMedia['status'] = enrichment?.get('media_status') === 'pending' ? 'PENDING' : 'READY';
  const address = isReady ? (webUrlOf(enrichment.get('media_url'))?.href ?? null) : null;
  for (const { item, isSole } of withSole(items)) {
    const media: MetaItem =
      item?.type === 'metaMedia'
        ? { ...item, announcement: { ...item.announcement, status, availableUntil: null } }
        : item;
    yield* toEvents([media], () => ({ providerMediaId: null, downloadUrl: isSole ? address : null }));
  }
}

/** Pairs each item with whether it is the only media of the body. The first media is held back until that is known. */
function* withSole(items: Iterable<MetaItem>): Iterable<{ readonly item: MetaItem; readonly isSole: boolean }> {
  let first: MetaMedia | null = null;
  let isSole = true;
  for (const item of items) {
    if (item?.type === 'metaMedia' && isSole && first === null) {
      first = item;
      continue;
    }
    if (item?.type === 'metaMedia' && first !== null) {
      yield { item: first, isSole: false };
      first = null;
      isSole = false;
    }
    yield { item, isSole: false };
  }
  if (first !== null) yield { item: first, isSole: true };
}

function envelopeOf(data: JsonPart | undefined, faults: WebhookFaults): WebhookItem {
  const envelope = objectOf(data, 'data', faults).pick(['message']);
  const message = objectOf(envelope.get('message'), 'data.message', faults).pick(MESSAGE);
  const id = stringOf(message.get('id'), 'data.message.id', faults);
  const type = message.get('type');
  const kind = kindOfMessageType(type);
  const downloadUrl = webUrlOf(message.get('media_url'))?.href ?? null;
  if (kind === null && downloadUrl === null) return null;
  const direction = directionOf(message.get('direction')) ?? 'INBOUND';
  const media = announcedMedia({
    providerMessageId: faults.messageId(id),
    providerMediaId: null,
    downloadUrl,
    kind,
    mimeType: message.get('mime_type'),
    filename: message.get('filename'),
    caption: message.get('caption'),
    createdAt: dateOfTime(message.get('timestamp') ?? message.get('created_at')),
    voice: voiceOfMessageType(type) ?? message.get('voice'),
    contact: whatsappContact(message.get(direction === 'INBOUND' ? 'from' : 'to')),
    direction,
  });
  return announcementOf(media);
}
