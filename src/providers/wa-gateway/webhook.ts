import { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import type { WebhookEvent, WebhookParsing, WebhookReceiver } from '../provider-adapter.js';
import { anything, readJson, readShape } from '../webhook-body.js';
import { WebhookFaults } from '../webhook-faults.js';
import { announcedMedia, dateOfTime, kindOfMessageType } from '../webhook-media.js';
import { deliveryIdOf, signatureOf } from '../webhook-request.js';
import { hmac, isHexOf } from '../webhook-signature.js';

const MAX_MEDIA_PATH_BYTES = 400;

export interface WaGatewayWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  readonly secret: string;
  /** Hex HMAC-SHA256 of the raw body, with or without `sha256=` before it. */
  readonly signatureHeader: string;
}

/** Both are parts of the paths of media: no slash, no dot, nothing that is encoded. */
const pathName = z.string().regex(/^[A-Za-z0-9_-]{1,100}$/);
const anyEvent = z.object({ event: z.string() });
const deviceEvent = z.object({ app_id: pathName, device_id: pathName });
const messageEvent = deviceEvent.extend({
  timestamp: anything,
  payload: z.object({
    message_id: z.string(),
    media_path: z.string(),
    type: anything,
    mime_type: anything,
    mimetype: anything,
    file_name: anything,
    filename: anything,
    file_size: anything,
    size: anything,
    caption: anything,
  }),
});
/** Media above the gateway's size limit is told of without a path: nobody can fetch it. */
const pathless = z.object({ payload: z.object({ media_path: z.literal('').nullish() }) });

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
    parse: (rawBody, contentType) => parseEnvelope(readJson(rawBody, contentType, faults), faults),
  };
}

function parseEnvelope(body: unknown, faults: WebhookFaults): WebhookParsing {
  switch (readShape(body, anyEvent, faults).event) {
    case 'message': {
      const event = messageOf(body, faults);
      return { events: event === null ? [] : [event], faults: [] };
    }
    case 'device_destroyed': {
      const providerMediaIdPrefix = mediaPathPrefix(readShape(body, deviceEvent, faults));
      return { events: [{ type: 'deviceDestroyed', providerMediaIdPrefix }], faults: [] };
    }
    default:
      return { events: [], faults: [] };
  }
}

function messageOf(body: unknown, faults: WebhookFaults): WebhookEvent | null {
  if (pathless.safeParse(body).success) return null;
  const wire = readShape(body, messageEvent, faults);
  const { payload, timestamp } = wire;
  const providerMessageId = faults.messageId(payload.message_id);
  if (!isOwnMediaPath(payload.media_path, mediaPathPrefix(wire)))
    throw faults.protocol("a media_path that is not of the event's app and device");
  const media = announcedMedia({
    providerMessageId,
    providerMediaId: payload.media_path,
    kind: kindOfMessageType(payload.type),
    mimeType: payload.mime_type ?? payload.mimetype,
    sizeBytes: payload.file_size ?? payload.size,
    filename: payload.file_name ?? payload.filename,
    caption: payload.caption,
    createdAt: dateOfTime(timestamp),
  });
  return { type: 'mediaAnnounced', providerMessageId, media: [media] };
}

// `media/{app_id}/{device_id}-{message_id}.{ext}`: the gateway's media page.
function mediaPathPrefix({ app_id: app, device_id: device }: z.infer<typeof deviceEvent>): string {
  return `media/${app}/${device}-`;
}

// The path goes back to the gateway with the channel's token, exactly as it came: an alphabet without `%` and `\` leaves
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
