import type { Channel } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import type { MediaDirection, ProviderMedia } from '../../model/media.js';
import type { WebhookEvent, WebhookItem, WebhookReceiver } from '../provider-adapter.js';
import { announcedMedia, contactText, dateOfTime, directionOf } from '../webhooks/announced-media.js';
import { isForm, isJson, objectOf, readJson, shapeAt, stringOf, WebhookForm } from '../webhooks/body.js';
import { WebhookFaults, withNestingFault } from '../webhooks/faults.js';
import { JsonList, type JsonPart } from '../webhooks/json-walk.js';
import { deliveryIdOf, headerOf } from '../webhooks/request.js';
import { lamlMediaRef } from './webhook-media.js';
import { isSignedLamlRequest } from './webhook-signature.js';

/** The maximum number of media per message at both providers. */
const MAX_MEDIA = 10;
/**
 * A form is parsed before its sender is verified, and three megabytes would block the process for a second. Ten media
 * and the longest text take less than 50 KiB.
 */
const MAX_FORM_BYTES = 256 * 1024;

export interface LamlWebhookOptions {
  readonly channel: { readonly id: Channel['id']; readonly provider: 'signalwire' | 'twilio' };
  /** SignalWire: the project's signing key. Twilio: the primary auth token. */
  readonly secret: string;
  /** For SignalWire, the project's id. */
  readonly accountSid: string;
  readonly baseUrl: string;
  /** `webhook.url`: the URL exactly as configured at the provider; absent means the request's own. */
  readonly configuredUrl?: string;
}

/** SIDs become parts of paths. SignalWire's are UUIDs, except in its own examples. */
const MESSAGE_SID = /^[A-Za-z0-9-]{1,70}$/;
/** signalwire-rest OpenAPI, `inboundMessageWebhook`: the webhook of a number that is answered with SWML. */
const SWML_MESSAGE = ['message_id', 'project_id', 'timestamp', 'media', 'direction', 'from', 'to'];
const SWML_MEDIA = ['url', 'content_type', 'size'];

/** A media in a webhook, before validation. */
interface AnnouncedLamlMedia {
  readonly url: string;
  readonly mimeType: unknown;
  readonly sizeBytes?: unknown;
}

/** The facts about a message in a webhook. */
interface AnnouncedLamlMessage {
  readonly createdAt: Date | null;
  readonly direction: MediaDirection;
  readonly contact: string | null;
}

/**
 * Receives the webhooks of SignalWire and Twilio: forms with `NumMedia`, `MediaUrl{N}` and `MediaContentType{N}`, and
 * SignalWire's SWML variant in JSON. Sources: SignalWire, cXML messaging overview; Twilio,
 * messaging/guides/webhook-request and usage/security. The text of the message (`Body`) belongs to the message and is
 * no caption of a media.
 */
export function createLamlWebhook(options: LamlWebhookOptions): WebhookReceiver {
  const { channel, secret, configuredUrl } = options;
  const isSignalwire = channel.provider === 'signalwire';
  const headers = isSignalwire ? ['X-SignalWire-Signature', 'X-Twilio-Signature'] : ['X-Twilio-Signature'];
  const reader = new LamlWebhookReader(options);
  const faults = new WebhookFaults(channel);
  return {
    verify(request) {
      const signature = headers.map((name) => headerOf(request, name)).find((value) => value !== null);
      if (signature === undefined || signature === null)
        throw faults.rejected(`the header ${headers.join(' or ')}`, 'a request without it');
      if (isForm(request.headers['content-type'] ?? '') && request.rawBody.length > MAX_FORM_BYTES)
        throw faults.rejected(`a form of at most ${MAX_FORM_BYTES} bytes`, 'a longer one');
      if (!isSignedLamlRequest(request, signature, { secret, configuredUrl, signsRawBody: isSignalwire }))
        throw faults.rejected(`${headers[0]} to sign the URL and the body with the channel's key`, 'another signature');
    },
    // Twilio's fallback URL gets the event with other fields but the same token.
    deliveryId: (request) => (isSignalwire ? null : deliveryIdOf(request, 'I-Twilio-Idempotency-Token')),
    parse(rawBody, contentType) {
      if (isForm(contentType)) return [reader.readForm(new WebhookForm(rawBody, faults))];
      if (!isJson(contentType)) throw faults.protocol('a content type that is neither a form nor JSON');
      const { value, isTooDeep } = readJson(rawBody, contentType, faults);
      return withNestingFault(isSignalwire ? [reader.readSwml(value)] : [], isTooDeep);
    },
    answer: { contentType: 'text/xml', body: '<Response></Response>' },
  };
}

class LamlWebhookReader {
  readonly #faults: WebhookFaults;

  constructor(private readonly options: LamlWebhookOptions) {
    this.#faults = new WebhookFaults(options.channel);
  }

  /** A status callback has no `NumMedia` and contains no media. */
  readForm(form: WebhookForm): WebhookItem {
    const accountSid = form.get('AccountSid');
    if (accountSid === null) throw this.#faults.protocol('a form without AccountSid');
    return this.#asEvent(() => {
      this.#assertOwn(accountSid);
      const count = this.#mediaCount(form);
      if (count === 0) return null;
      const messageId = this.#messageSid(form.get('MessageSid'), 'MessageSid');
      const media = Array.from({ length: count }, (_, at) => this.#mediaOfForm(form, at));
      const direction = directionOfForm(form);
      const contact = lamlContact(form.get(direction === 'INBOUND' ? 'From' : 'To'));
      return this.#announcement(messageId, media, { createdAt: null, direction, contact });
    });
  }

  readSwml(json: JsonPart): WebhookItem {
    const part = objectOf(json, '(root)', this.#faults).pick(['message']).get('message');
    if (part === undefined) return null;
    return this.#asEvent(() => {
      const message = objectOf(part, 'message', this.#faults).pick(SWML_MESSAGE);
      const messageId = this.#messageSid(message.get('message_id'), 'message.message_id');
      this.#assertOwn(stringOf(message.get('project_id'), 'message.project_id', this.#faults));
      const media = this.#mediaOfSwml(message.get('media') ?? null);
      const direction = directionOf(message.get('direction')) ?? 'INBOUND';
      const contact = lamlContact(message.get(direction === 'INBOUND' ? 'from' : 'to'));
      const createdAt = dateOfTime(message.get('timestamp'));
      return media.length === 0 ? null : this.#announcement(messageId, media, { createdAt, direction, contact });
    });
  }

  // A body holds one event, so its error is a fault of that event.
  #asEvent(read: () => WebhookEvent | null): WebhookItem {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof MediagraphError)) throw thrown;
      return { type: 'fault', code: 'PROVIDER_PROTOCOL', message: thrown.message };
    }
  }

  #messageSid(part: JsonPart | undefined, place: string): string {
    const sid = stringOf(part, place, this.#faults);
    if (!MESSAGE_SID.test(sid)) throw this.#faults.protocol(shapeAt(place));
    return sid;
  }

  #mediaOfSwml(media: JsonPart): AnnouncedLamlMedia[] {
    if (media === null) return [];
    const parts = media instanceof JsonList ? media.first(MAX_MEDIA + 1) : [];
    if (!(media instanceof JsonList) || parts.length > MAX_MEDIA) throw this.#faults.protocol(shapeAt('message.media'));
    return parts.map((part) => {
      const fields = objectOf(part, 'message.media', this.#faults).pick(SWML_MEDIA);
      const url = stringOf(fields.get('url'), 'message.media.url', this.#faults);
      return { url, mimeType: fields.get('content_type'), sizeBytes: fields.get('size') };
    });
  }

  #assertOwn(accountSid: string): void {
    if (accountSid !== this.options.accountSid) throw this.#faults.protocol('an event of another account');
  }

  // `NumMedia` is "0" to "10". It bounds the loop over the fields, so that a missing field is detected.
  #mediaCount(form: WebhookForm): number {
    const text = form.get('NumMedia');
    if (text === null && form.get('MediaUrl0') !== null) throw this.#faults.protocol('a MediaUrl0 without NumMedia');
    if (text === null) return 0;
    if (!/^\d{1,2}$/.test(text) || Number(text) > MAX_MEDIA)
      throw this.#faults.protocol(`a NumMedia that is not 0 to ${MAX_MEDIA}`);
    return Number(text);
  }

  #mediaOfForm(form: WebhookForm, at: number): AnnouncedLamlMedia {
    const url = form.get(`MediaUrl${at}`);
    if (url === null) throw this.#faults.protocol(`no MediaUrl${at} where NumMedia counts it`);
    return { url, mimeType: form.get(`MediaContentType${at}`) };
  }

  #announcement(
    providerMessageId: string,
    media: readonly AnnouncedLamlMedia[],
    message: AnnouncedLamlMessage,
  ): WebhookEvent {
    const { accountSid, baseUrl, channel } = this.options;
    const mediaById = new Map<string | null, ProviderMedia>();
    for (const { url, mimeType, sizeBytes } of media) {
      const place = { provider: channel.provider, accountSid, baseUrl };
      const ref = lamlMediaRef(url, providerMessageId, place, this.#faults);
      const known = mediaById.get(ref.providerMediaId);
      if (known && known.downloadUrl !== ref.downloadUrl)
        throw this.#faults.protocol('two media addresses that end in one name');
      if (!known) mediaById.set(ref.providerMediaId, announcedMedia({ ...ref, mimeType, sizeBytes, ...message }));
    }
    return { type: 'mediaAnnounced', providerMessageId, media: [...mediaById.values()] };
  }
}

const SENT_STATES: ReadonlySet<string | null> = new Set([
  'queued',
  'sending',
  'sent',
  'delivered',
  'undelivered',
  'failed',
]);

// Twilio sends `Direction` as in the message resource, else the state of an outgoing message; an incoming one is
// `received`.
function directionOfForm(form: WebhookForm): MediaDirection {
  const direction = directionOf(form.get('Direction'));
  const state = form.get('SmsStatus') ?? form.get('MessageStatus');
  return direction ?? (SENT_STATES.has(state) ? 'OUTBOUND' : 'INBOUND');
}

// At Twilio `whatsapp:+14155238886` is an address outside of SMS. Short codes are not E.164 numbers.
function lamlContact(value: unknown): string | null {
  return contactText(typeof value === 'string' && value.startsWith('whatsapp:') ? value.slice(9) : value);
}
