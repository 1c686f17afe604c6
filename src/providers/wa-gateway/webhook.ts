import type { Channel } from '../../model/channel.js';
import type { MediaFault, ProviderMedia } from '../../model/media.js';
import type { WebhookReceiver, WebhookTold } from '../provider-adapter.js';
import {
  announcedMedia,
  contactText,
  dateOfTime,
  directionOf,
  kindOfMessageType,
  voiceOfMessageType,
  whatsappContact,
} from '../webhooks/announced-media.js';
import { objectOf, readJson, shapeAt, stringOf } from '../webhooks/body.js';
import { toldOf, WebhookFaults } from '../webhooks/faults.js';
import { JsonObject, type JsonPart } from '../webhooks/json-walk.js';
import { announcementOf } from '../webhooks/meta-body.js';
import { deliveryIdOf, signatureOf } from '../webhooks/request.js';
import { hmac, isHexOf } from '../webhooks/signature.js';

const MAX_MEDIA_PATH_BYTES = 400;

export interface WaGatewayWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  readonly secret: string;
  /** Hex HMAC-SHA256 of the raw body, with or without `sha256=` before it. */
  readonly signatureHeader: string;
}

type Fields = ReadonlyMap<string, JsonPart>;

const BODY = ['event', 'app_id', 'device_id', 'timestamp', 'payload'];
const PAYLOAD = [
  ...['message_id', 'media_path', 'type', 'mime_type', 'mimetype', 'file_name', 'filename', 'file_size', 'size'],
  ...['caption', 'direction', 'from', 'to', 'ptt'],
];

/** App and device are parts of the paths of media: no slash, no dot, nothing that is encoded. */
const PATH_NAME = /^[A-Za-z0-9_-]{1,100}$/;
/** The id of a message, as whatsmeow writes it. */
const MESSAGE_NAME = /^[A-Za-z0-9_]{1,100}$/;

/** The gateway's media page: what is above `MEDIA_MAX_BYTES` is told of without a path. */
const TOO_LARGE: MediaFault = {
  code: 'MEDIA_TOO_LARGE',
  message: 'expected the path of a media, got none: the gateway does not store what is above its own limit',
  retryable: false,
};

/**
 * wa-server, "WA Gateway": an envelope `{event, device_id, app_id, payload, timestamp, request_id}`; `message` is sent
 * for both directions. X-WA-Request-ID stays the same across the attempts of a delivery. Source: the gateway's webhooks
 * and media pages; names inside `payload` as in the contract, since the pages do not print them.
 */
export function createWaGatewayWebhook(options: WaGatewayWebhookOptions): WebhookReceiver {
  const { secret, signatureHeader } = options;
  const faults = new WebhookFaults(options.channel);
  return {
    verify(request) {
      const hex = signatureOf(request, signatureHeader, faults).replace(/^sha256=/, '');
      if (!isHexOf(hmac('sha256', secret, request.rawBody), hex))
        throw faults.rejected(`${signatureHeader} to sign the body with the channel's secret`, 'another signature');
    },
    deliveryId: (request) => deliveryIdOf(request, 'X-WA-Request-ID'),
    parse(rawBody, contentType) {
      const { value, isTooDeep } = readJson(rawBody, contentType, faults);
      return toldOf([parseEnvelope(objectOf(value, '(root)', faults).pick(BODY), faults)], isTooDeep);
    },
  };
}

function parseEnvelope(body: Fields, faults: WebhookFaults): WebhookTold {
  const event = body.get('event') ?? bareEventOf(body.get('payload'));
  switch (stringOf(event, 'event', faults)) {
    case 'message':
      return messageOf(body, objectOf(body.get('payload'), 'payload', faults).pick(PAYLOAD), faults);
    case 'device_destroyed': {
      const { app, device } = deviceOf(body, faults);
      return { type: 'deviceDestroyed', providerMediaIdPrefix: mediaPathPrefix(app, device) };
    }
    default:
      return null;
  }
}

// The example of the media page has nothing but `payload.media_path`.
function bareEventOf(payload: JsonPart | undefined): 'message' | undefined {
  const path = payload instanceof JsonObject ? payload.pick(['media_path']).get('media_path') : undefined;
  return typeof path === 'string' ? 'message' : undefined;
}

function messageOf(body: Fields, payload: Fields, faults: WebhookFaults): WebhookTold {
  const path = payload.get('media_path') ?? '';
  if (typeof path !== 'string') throw faults.protocol(shapeAt('payload.media_path'));
  if (path === '') return saysMedia(payload) ? announcementOf(mediaOf(body, payload, null, faults)) : null;
  const parts = partsOfPath(path);
  const isBare = !body.has('app_id') && !body.has('device_id') && parts !== null;
  const { app, device } = isBare ? parts : deviceOf(body, faults);
  if (!isOwnMediaPath(path, mediaPathPrefix(app, device)))
    throw faults.protocol("a media_path that is not of the event's app and device");
  return announcementOf(mediaOf(body, payload, path, faults));
}

function mediaOf(body: Fields, payload: Fields, path: string | null, faults: WebhookFaults): ProviderMedia {
  const told = payload.get('message_id') ?? (path === null ? undefined : partsOfPath(path)?.messageId);
  const type = payload.get('type');
  const direction = directionOf(payload.get('direction'));
  return announcedMedia({
    providerMessageId: faults.messageId(stringOf(told, 'payload.message_id', faults)),
    providerMediaId: path,
    fault: path === null ? TOO_LARGE : null,
    kind: kindOfMessageType(type),
    mimeType: payload.get('mime_type') ?? payload.get('mimetype'),
    sizeBytes: payload.get('file_size') ?? payload.get('size'),
    filename: payload.get('file_name') ?? payload.get('filename'),
    caption: payload.get('caption'),
    createdAt: dateOfTime(body.get('timestamp')),
    voice: voiceOfMessageType(type) ?? payload.get('ptt'),
    direction,
    contact: direction === null ? null : gatewayContact(payload.get(direction === 'INBOUND' ? 'from' : 'to')),
  });
}

/** Whether a message without a path tells of a media all the same: by its type, or where there is none by what it says of a file. */
function saysMedia(payload: Fields): boolean {
  const type = payload.get('type');
  if (typeof type === 'string') return kindOfMessageType(type) !== null;
  return FILE_NAMES.some((name) => typeof payload.get(name) === 'string' && payload.get(name) !== '');
}

const FILE_NAMES = ['mime_type', 'mimetype', 'file_name', 'filename'];

// JIDs of whatsmeow: `user[:device]@server`. Of other servers (`@lid`, `@g.us`) the user is no telephone number.
function gatewayContact(value: JsonPart | undefined): string | null {
  const text = contactText(value);
  if (text === null) return null;
  const [, digits] = /^(\d{1,15})(?::\d{1,4})?@s\.whatsapp\.net$/.exec(text) ?? [];
  return whatsappContact(digits ?? text);
}

interface Device {
  readonly app: string;
  readonly device: string;
}

function deviceOf(body: Fields, faults: WebhookFaults): Device {
  const app = stringOf(body.get('app_id'), 'app_id', faults);
  const device = stringOf(body.get('device_id'), 'device_id', faults);
  if (!PATH_NAME.test(app)) throw faults.protocol(shapeAt('app_id'));
  if (!PATH_NAME.test(device)) throw faults.protocol(shapeAt('device_id'));
  return { app, device };
}

/**
 * `media/{app_id}/{device_id}-{message_id}.{ext}` (the gateway's media page). Devices have hyphens, being UUIDs; WhatsApp's
 * ids have none, so that the last one separates them.
 */
function partsOfPath(path: string): (Device & { readonly messageId: string }) | null {
  if (path.length > MAX_MEDIA_PATH_BYTES) return null;
  const [folder, app = '', file = '', ...others] = path.split('/');
  if (folder !== 'media' || others.length > 0) return null;
  const [name = ''] = file.split('.', 1);
  const hyphen = name.lastIndexOf('-');
  const device = name.slice(0, Math.max(hyphen, 0));
  const messageId = name.slice(hyphen + 1);
  const isSound = PATH_NAME.test(app) && PATH_NAME.test(device) && MESSAGE_NAME.test(messageId);
  return isSound ? { app, device, messageId } : null;
}

function mediaPathPrefix(app: string, device: string): string {
  return `media/${app}/${device}-`;
}

// The path goes back to the gateway with the channel's token, exactly as it came: an alphabet without `%` and `\\` leaves
// no way to encode a dot segment.
function isOwnMediaPath(path: string, prefix: string): boolean {
  return (
    path.length <= MAX_MEDIA_PATH_BYTES &&
    path.length > prefix.length &&
    path.startsWith(prefix) &&
    /^[A-Za-z0-9_.@:=+~/-]+$/.test(path) &&
    !path.split('/').some((segment) => segment === '.' || segment === '..')
  );
}
