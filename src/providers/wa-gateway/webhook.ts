import type { Channel } from '../../model/channel.js';
import type { MediaFault, ProviderMedia } from '../../model/media.js';
import type { WebhookItem, WebhookReceiver } from '../provider-adapter.js';
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
import { WebhookFaults, withNestingFault } from '../webhooks/faults.js';
import { JsonObject, type JsonPart } from '../webhooks/json-walk.js';
import { announcementOf } from '../webhooks/meta-body.js';
import { deliveryIdOf, signatureOf } from '../webhooks/request.js';
import { hmac, isHexOf } from '../webhooks/signature.js';

const MAX_MEDIA_PATH_BYTES = 400;

export interface WaGatewayWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  readonly secret: string;
  /** Hexadecimal HMAC-SHA256 of the raw body, with or without the prefix `sha256=`. */
  readonly signatureHeader: string;
}

type Fields = ReadonlyMap<string, JsonPart>;

const BODY = ['event', 'app_id', 'device_id', 'timestamp', 'payload'];
const PAYLOAD = [
  ...['message_id', 'media_path', 'type', 'mime_type', 'mimetype', 'file_name', 'filename', 'file_size', 'size'],
  ...['caption', 'direction', 'from', 'to', 'ptt'],
];

/** App and device ids are parts of media paths, so they contain no slash, dot or escape. */
const PATH_NAME = /^[A-Za-z0-9_-]{1,100}$/;
/** A message id in whatsmeow's format. */
const MESSAGE_NAME = /^[A-Za-z0-9_]{1,100}$/;

/** The gateway announces media above `MEDIA_MAX_BYTES` without a path (the gateway's media page). */
const TOO_LARGE: MediaFault = {
  code: 'MEDIA_TOO_LARGE',
  message: 'expected the path of a media, got none: the gateway does not store media above its own limit',
  retryable: false,
};

/**
 * Receives the webhooks of wa-server ("WA Gateway"): an envelope `{event, device_id, app_id, payload, timestamp,
 * request_id}`. `message` covers both directions. X-WA-Request-ID is the same in all attempts of a delivery. Sources:
 * the gateway's webhooks and media pages. They do not print the names inside `payload`, which follow the contract.
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
      return withNestingFault([parseEnvelope(objectOf(value, '(root)', faults).pick(BODY), faults)], isTooDeep);
    },
  };
}

function parseEnvelope(body: Fields, faults: WebhookFaults): WebhookItem {
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

// The example of the media page has only `payload.media_path`.
function bareEventOf(payload: JsonPart | undefined): 'message' | undefined {
  const path = payload instanceof JsonObject ? payload.pick(['media_path']).get('media_path') : undefined;
  return typeof path === 'string' ? 'message' : undefined;
}

function messageOf(body: Fields, payload: Fields, faults: WebhookFaults): WebhookItem {
  const path = payload.get('media_path') ?? '';
  if (typeof path !== 'string') throw faults.protocol(shapeAt('payload.media_path'));
  if (path === '') return hasFileFields(payload) ? announcementOf(mediaOf(body, payload, null, faults)) : null;
  const parts = partsOfPath(path);
  const isBare = !body.has('app_id') && !body.has('device_id') && parts !== null;
  const { app, device } = isBare ? parts : deviceOf(body, faults);
  if (!isOwnMediaPath(path, mediaPathPrefix(app, device)))
    throw faults.protocol("a media_path that is not of the event's app and device");
  return announcementOf(mediaOf(body, payload, path, faults));
}

function mediaOf(body: Fields, payload: Fields, path: string | null, faults: WebhookFaults): ProviderMedia {
  const messageId = payload.get('message_id') ?? (path === null ? undefined : partsOfPath(path)?.messageId);
  const type = payload.get('type');
  const direction = directionOf(payload.get('direction'));
  return announcedMedia({
    providerMessageId: faults.messageId(stringOf(messageId, 'payload.message_id', faults)),
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

/** Whether a message without a path has a media: by its type, or without one by the fields of a file. */
function hasFileFields(payload: Fields): boolean {
  const type = payload.get('type');
  if (typeof type === 'string') return kindOfMessageType(type) !== null;
  return FILE_NAMES.some((name) => typeof payload.get(name) === 'string' && payload.get(name) !== '');
}

const FILE_NAMES = ['mime_type', 'mimetype', 'file_name', 'filename'];

// whatsmeow's JIDs are `user[:device]@server`. The user is a phone number at this server only, not at `@lid` or
// `@g.us`.
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
 * Parses `media/{app_id}/{device_id}-{message_id}.{ext}` (the gateway's media page). The last hyphen separates: device
 * ids are UUIDs with hyphens, and WhatsApp's message ids have none.
 */
function partsOfPath(path: string): (Device & { readonly messageId: string }) | null {
  if (path.length > MAX_MEDIA_PATH_BYTES) return null;
  const [folder, app = '', file = '', ...further] = path.split('/');
  if (folder !== 'media' || further.length > 0) return null;
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

// The path is sent back to the gateway with the channel's token, exactly as received. An alphabet without `%` and `\\`
// excludes encoded dot segments.
function isOwnMediaPath(path: string, prefix: string): boolean {
  return (
    path.length <= MAX_MEDIA_PATH_BYTES &&
    path.length > prefix.length &&
    path.startsWith(prefix) &&
    /^[A-Za-z0-9_.@:=+~/-]+$/.test(path) &&
    !path.split('/').some((segment) => segment === '.' || segment === '..')
  );
}
