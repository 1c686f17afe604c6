import { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import { MAX_PROVIDER_MEDIA_ID_BYTES } from '../../model/ids.js';
import type { ProviderMedia } from '../../model/media.js';
import type { WebhookEvent, WebhookParsing, WebhookReceiver } from '../provider-adapter.js';
import { anything, isForm, parseJson, readJson, readShape, WebhookForm } from '../webhook-body.js';
import { WebhookFaults } from '../webhook-faults.js';
import { announcedMedia, dateOfUnixTime, kindOfMessageType, webUrlOf, whatsappKeepsUntil } from '../webhook-media.js';
import { readMetaBody } from '../webhook-meta-body.js';
import { signatureOf } from '../webhook-request.js';
import { isSameSecret } from '../webhook-signature.js';

export interface GupshupWebhookOptions {
  readonly channel: Pick<Channel, 'id' | 'provider'>;
  /** The static header that the subscription was told to send, and what it holds. */
  readonly headerName: string;
  readonly secret: string;
  /** Version 3 names its app: another one's events are faults. Absent: not compared. */
  readonly appId?: string;
}

/** Which of the three generations a body is. */
const anyBody = z.object({
  gs_app_id: anything,
  entry: anything,
  messageobj: anything,
  type: z.string().optional(),
  payload: anything,
  timestamp: anything,
});
type AnyBody = z.infer<typeof anyBody>;

const messageType = z.object({ type: z.string() });
/** docs.gupshup.io, docs/media. Samples spell the key `contentType`, the table `content-type`. */
const version2Message = z.object({
  id: z.string(),
  payload: z.object({
    url: anything,
    contentType: anything,
    'content-type': anything,
    urlExpiry: anything,
    name: anything,
    caption: anything,
  }),
});
const legacyMessage = z.object({
  id: z.string(),
  url: anything,
  mediaId: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .max(MAX_PROVIDER_MEDIA_ID_BYTES)
    .nullish(),
  timestamp: anything,
  contentType: anything,
  caption: anything,
  name: anything,
});

const NOTHING: WebhookParsing = { events: [], faults: [] };

/**
 * Gupshup: no signature, a static header is all there is (partner-docs.gupshup.io, set subscription v3). Bodies of
 * version 2, of version 3 (Meta's with `gs_app_id` and addresses on Gupshup's own file manager), and of the legacy
 * version 1. The bytes can be had from the address alone, so a media without one is a fault.
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
      const json = isForm(contentType) ? formBody(rawBody, faults) : readJson(rawBody, contentType, faults);
      const body = readShape(json, anyBody, faults);
      if (body.entry !== undefined) {
        if (appId !== undefined && body.gs_app_id !== undefined && body.gs_app_id !== appId)
          return { events: [], faults: [faults.protocol('an event of another app')] };
        return parseVersion3(json, faults, now);
      }
      if (body.messageobj !== undefined) return parseLegacy(body.messageobj, faults, now);
      if (body.type === undefined) throw faults.protocol('a body that is none of the documented versions');
      return body.type === 'message' ? parseVersion2(body, faults, now) : NOTHING;
    },
  };
}

// Version 1 in a form: `messageobj` is JSON in a field beside `botname` and others.
function formBody(rawBody: Buffer, faults: WebhookFaults): unknown {
  const form = new WebhookForm(rawBody, faults);
  return { messageobj: form.get('messageobj') ?? undefined, type: form.get('type') ?? undefined };
}

function parseVersion2({ payload, timestamp }: AnyBody, faults: WebhookFaults, now: Date): WebhookParsing {
  const kind = kindOfMessageType(readShape(payload, messageType, faults).type);
  if (kind === null) return NOTHING;
  const { id, payload: told } = readShape(payload, version2Message, faults);
  const createdAt = dateOfUnixTime(timestamp);
  return announcement(
    announcedMedia({
      providerMessageId: faults.messageId(id),
      providerMediaId: null,
      downloadUrl: addressOf(told.url, faults),
      kind,
      mimeType: told.contentType ?? told['content-type'],
      filename: told.name,
      caption: told.caption,
      createdAt,
      availableUntil: dateOfUnixTime(told.urlExpiry) ?? whatsappKeepsUntil(createdAt, now),
    }),
  );
}

function parseVersion3(body: unknown, faults: WebhookFaults, now: Date): WebhookParsing {
  const told = readMetaBody(body, faults);
  const events: WebhookEvent[] = [];
  for (const { messageId, kind, createdAt, media } of told.messages) {
    const downloadUrl = faults.collect(told.faults, () => addressOf(media.url, faults));
    if (downloadUrl === undefined) continue;
    const announced = announcedMedia({
      providerMessageId: messageId,
      providerMediaId: media.id,
      downloadUrl,
      kind,
      mimeType: media.mime_type,
      sha256: media.sha256,
      filename: media.filename,
      caption: media.caption,
      createdAt,
      availableUntil: whatsappKeepsUntil(createdAt, now),
    });
    events.push(...announcement(announced).events);
  }
  return { events, faults: told.faults };
}

function parseLegacy(messageobj: unknown, faults: WebhookFaults, now: Date): WebhookParsing {
  const message = typeof messageobj === 'string' ? parseJson(messageobj, faults) : messageobj;
  const kind = kindOfMessageType(readShape(message, messageType, faults).type);
  if (kind === null) return NOTHING;
  const told = readShape(message, legacyMessage, faults);
  const createdAt = dateOfUnixTime(told.timestamp);
  return announcement(
    announcedMedia({
      providerMessageId: faults.messageId(told.id),
      providerMediaId: told.mediaId ?? null,
      downloadUrl: addressOf(told.url, faults),
      kind,
      mimeType: told.contentType,
      filename: told.name,
      caption: told.caption,
      createdAt,
      availableUntil: whatsappKeepsUntil(createdAt, now),
    }),
  );
}

function addressOf(url: unknown, faults: WebhookFaults): string {
  const address = webUrlOf(url);
  if (address === null) throw faults.protocol('a media without an http or https address');
  return address.href;
}

function announcement(media: ProviderMedia): WebhookParsing {
  const { providerMessageId } = media;
  return { events: [{ type: 'mediaAnnounced', providerMessageId, media: [media] }], faults: [] };
}
