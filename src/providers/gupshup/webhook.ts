import type { Channel } from '../../model/channel.js';
import type { ProviderMedia } from '../../model/media.js';
import type { WebhookItem, WebhookReceiver } from '../provider-adapter.js';
import { isMediaId } from '../toolkit/meta-media.js';
import {
  announcedMedia,
  dateOfUnixTime,
  kindOfMessageType,
  voiceOfMessageType,
  webUrlOf,
  whatsappContact,
  whatsappKeepsUntil,
} from '../webhooks/announced-media.js';
import { isForm, objectOf, parseJson, readJson, shapeAt, stringOf, WebhookForm } from '../webhooks/body.js';
import { partFault, WebhookFaults, withNestingFault } from '../webhooks/faults.js';
import { JsonObject, type JsonPart } from '../webhooks/json-walk.js';
import { announcementOf, type MetaLocator, readMetaBody, toEvents } from '../webhooks/meta-body.js';
import { signatureOf } from '../webhooks/request.js';
import { isSameSecret } from '../webhooks/signature.js';

export interface GupshupWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  /** The static header that the subscription sends, and its value. */
  readonly headerName: string;
  readonly secret: string;
  /** The app that events of version 3 must name; others are faults. Absent means that the app is not checked. */
  readonly appId?: string;
}

/** The fields that distinguish the three versions of a body. */
const BODY = ['gs_app_id', 'entry', 'messageobj', 'type', 'payload', 'timestamp'];
/** docs.gupshup.io, docs/media. The samples spell the key `contentType`, the table `content-type`. */
const VERSION_2 = ['id', 'type', 'source', 'sender', 'payload'];
const VERSION_2_MEDIA = ['url', 'contentType', 'content-type', 'urlExpiry', 'name', 'caption'];
const LEGACY = ['id', 'type', 'from', 'url', 'mediaId', 'timestamp', 'contentType', 'caption', 'name'];

const NO_ADDRESS = 'a media without an http or https address';
const NO_ADDRESS_FAULT = partFault(NO_ADDRESS);

type Fields = ReadonlyMap<string, JsonPart>;

/**
 * Receives Gupshup's webhooks. They have no signature; a static header is the only proof (partner-docs.gupshup.io, set
 * subscription v3). Three bodies exist: version 2, version 3 (Meta's body with `gs_app_id` and URLs of Gupshup's file
 * manager), and the legacy version 1. The bytes are available by URL only, so a media without one is a fault.
 */
export function createGupshupWebhook(options: GupshupWebhookOptions): WebhookReceiver {
  const { headerName, secret, appId } = options;
  const faults = new WebhookFaults(options.channel);
  return {
    verify(request) {
      if (!isSameSecret(signatureOf(request, headerName, faults), secret))
        throw faults.rejected(`${headerName} to be the channel's secret`, 'another text');
    },
    deliveryId: () => null,
    parse(rawBody, contentType, now) {
      if (isForm(contentType)) return [parseLegacyForm(rawBody, faults, now)];
      const { value, isTooDeep } = readJson(rawBody, contentType, faults);
      const body = objectOf(value, '(root)', faults).pick(BODY);
      const app = body.get('gs_app_id');
      if (body.has('entry')) {
        if (appId !== undefined && app !== undefined && app !== appId) return [OTHER_APP_FAULT];
        return withNestingFault(toEvents(readMetaBody(value, faults, { now }), locate), isTooDeep);
      }
      const messageobj = body.get('messageobj');
      const type = body.get('type');
      if (messageobj !== undefined) return withNestingFault([parseLegacy(messageobj, faults, now)], isTooDeep);
      if (type === undefined) throw faults.protocol('a body that is none of the documented versions');
      return withNestingFault(type === 'message' ? [parseVersion2(body, faults, now)] : [], isTooDeep);
    },
  };
}

const OTHER_APP_FAULT = partFault('an event of another app');

// Version 1 as a form: the field `messageobj` contains JSON, beside `botname` and others.
function parseLegacyForm(rawBody: Buffer, faults: WebhookFaults, now: Date): WebhookItem {
  const form = new WebhookForm(rawBody, faults);
  const messageobj = form.get('messageobj');
  if (messageobj !== null) return parseLegacy(messageobj, faults, now);
  if (form.get('type') === null) throw faults.protocol('a body that is none of the documented versions');
  return null;
}

function parseVersion2(body: Fields, faults: WebhookFaults, now: Date): WebhookItem {
  const message = objectOf(body.get('payload'), 'payload', faults).pick(VERSION_2);
  const type = stringOf(message.get('type'), 'payload.type', faults);
  const kind = kindOfMessageType(type);
  if (kind === null) return null;
  const id = stringOf(message.get('id'), 'payload.id', faults);
  const media = objectOf(message.get('payload'), 'payload.payload', faults).pick(VERSION_2_MEDIA);
  const sender = message.get('sender');
  const phone = sender instanceof JsonObject ? sender.pick(['phone']).get('phone') : undefined;
  const createdAt = dateOfUnixTime(body.get('timestamp'));
  return announcementOf(
    inbound({
      providerMessageId: faults.messageId(id),
      providerMediaId: null,
      downloadUrl: addressOf(media.get('url'), faults),
      kind,
      mimeType: media.get('contentType') ?? media.get('content-type'),
      filename: media.get('name'),
      caption: media.get('caption'),
      createdAt,
      availableUntil: dateOfUnixTime(media.get('urlExpiry')) ?? whatsappKeepsUntil(createdAt, now),
      voice: voiceOfMessageType(type),
      contact: whatsappContact(message.get('source')) ?? whatsappContact(phone),
    }),
  );
}

// In version 3 the id is Meta's and the URL Gupshup's. Without the URL the bytes cannot be fetched.
const locate: MetaLocator = ({ mediaId, url, announcement }) => {
  const address = webUrlOf(url);
  if (address === null && !announcement.fault) return NO_ADDRESS_FAULT;
  return { providerMediaId: mediaId, downloadUrl: address?.href ?? null };
};

function parseLegacy(messageobj: JsonPart, faults: WebhookFaults, now: Date): WebhookItem {
  const part = typeof messageobj === 'string' ? parseJson(Buffer.from(messageobj), faults).value : messageobj;
  const message = objectOf(part, 'messageobj', faults).pick(LEGACY);
  const type = stringOf(message.get('type'), 'messageobj.type', faults);
  const kind = kindOfMessageType(type);
  if (kind === null) return null;
  const id = stringOf(message.get('id'), 'messageobj.id', faults);
  const mediaId = message.get('mediaId') ?? null;
  if (mediaId !== null && (typeof mediaId !== 'string' || !isMediaId(mediaId)))
    throw faults.protocol(shapeAt('messageobj.mediaId'));
  const createdAt = dateOfUnixTime(message.get('timestamp'));
  return announcementOf(
    inbound({
      providerMessageId: faults.messageId(id),
      providerMediaId: mediaId,
      downloadUrl: addressOf(message.get('url'), faults),
      kind,
      mimeType: message.get('contentType'),
      filename: message.get('name'),
      caption: message.get('caption'),
      createdAt,
      availableUntil: whatsappKeepsUntil(createdAt, now),
      voice: voiceOfMessageType(type),
      contact: whatsappContact(message.get('from')),
    }),
  );
}

/** In versions 1 and 2 a `message` comes from a customer; what the business sends is a `message-event`. */
function inbound(announcement: Parameters<typeof announcedMedia>[0]): ProviderMedia {
  return announcedMedia({ ...announcement, direction: 'INBOUND' });
}

function addressOf(url: JsonPart | undefined, faults: WebhookFaults): string {
  const address = webUrlOf(url);
  if (address === null) throw faults.protocol(NO_ADDRESS);
  return address.href;
}
