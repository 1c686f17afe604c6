import { z } from 'zod';
import type { Channel } from '../../model/channel.js';
import type { MediagraphError } from '../../model/errors.js';
import type { ProviderMedia } from '../../model/media.js';
import type { WebhookEvent, WebhookParsing, WebhookReceiver } from '../provider-adapter.js';
import { anything, isForm, isJson, readJson, readShape, WebhookForm } from '../webhook-body.js';
import { WebhookFaults } from '../webhook-faults.js';
import { announcedMedia, dateOfTime } from '../webhook-media.js';
import { deliveryIdOf, headerOf } from '../webhook-request.js';
import { lamlMediaRef } from './webhook-media.js';
import { isSignedLamlRequest } from './webhook-signature.js';

/** Ten media is what a message can have at either provider. */
const MAX_MEDIA = 10;
/**
 * Forms must be read before anyone knows who sent them: one of three megabytes would hold the process for a second. Ten
 * media and the longest text are below 50 KiB.
 */
const MAX_FORM_BYTES = 256 * 1024;

export interface LamlWebhookOptions {
  readonly channel: { readonly id: Channel['id']; readonly provider: 'signalwire' | 'twilio' };
  /** SignalWire: the project's signing key. Twilio: the primary auth token. */
  readonly secret: string;
  /** SignalWire: the project's id. */
  readonly accountSid: string;
  readonly baseUrl: string;
  /** `webhook.url`: what the provider was told to call, to the letter; absent: the request's own address. */
  readonly configuredUrl?: string;
}

/** SIDs become parts of paths. SignalWire's are UUIDs but for its own examples. */
const messageSid = z.string().regex(/^[A-Za-z0-9-]{1,70}$/);
const swmlBody = z.object({ message: anything });
/** signalwire-rest OpenAPI, `inboundMessageWebhook`: what a number sends that is answered with SWML. */
const swmlMessage = z.object({
  message_id: messageSid,
  project_id: z.string(),
  timestamp: anything,
  media: z
    .array(z.object({ url: z.string(), content_type: anything, size: anything }))
    .max(MAX_MEDIA)
    .nullish(),
});

/** A media as a webhook tells of it, before anything about it is believed. */
interface ToldLamlMedia {
  readonly url: string;
  readonly mimeType: unknown;
  readonly sizeBytes?: unknown;
}

/**
 * SignalWire and Twilio: forms with `NumMedia`, `MediaUrl{N}` and `MediaContentType{N}`; SignalWire's SWML variant in
 * JSON. Sources: SignalWire, cXML messaging overview; Twilio, messaging/guides/webhook-request and usage/security.
 * The text of the message (`Body`) is the message's, not a caption of one of its media.
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
    // Twilio's fallback repeats an event with other fields; the token stays.
    deliveryId: (request) => (isSignalwire ? null : deliveryIdOf(request, 'I-Twilio-Idempotency-Token')),
    parse(rawBody, contentType) {
      if (isForm(contentType)) return reader.readForm(new WebhookForm(rawBody, faults));
      if (!isJson(contentType)) throw faults.protocol('a content type that is neither a form nor JSON');
      const json = readJson(rawBody, contentType, faults);
      return isSignalwire ? reader.readSwml(json) : { events: [], faults: [] };
    },
    answer: { contentType: 'text/xml', body: '<Response></Response>' },
  };
}

class LamlWebhookReader {
  readonly #faults: WebhookFaults;

  constructor(private readonly options: LamlWebhookOptions) {
    this.#faults = new WebhookFaults(options.channel);
  }

  /** Status callbacks have no `NumMedia` and tell nothing about media. */
  readForm(form: WebhookForm): WebhookParsing {
    const accountSid = form.get('AccountSid');
    if (accountSid === null) throw this.#faults.protocol('a form without AccountSid');
    return this.#one(() => {
      this.#assertOwn(accountSid);
      const count = this.#mediaCount(form);
      if (count === 0) return null;
      const messageId = readShape(form.get('MessageSid'), messageSid, this.#faults);
      const told = Array.from({ length: count }, (_, at) => this.#mediaOfForm(form, at));
      return this.#announcement(messageId, told, null);
    });
  }

  readSwml(json: unknown): WebhookParsing {
    const { message } = readShape(json, swmlBody, this.#faults);
    if (message === undefined) return { events: [], faults: [] };
    return this.#one(() => {
      const wire = readShape(message, swmlMessage, this.#faults);
      this.#assertOwn(wire.project_id);
      const told = (wire.media ?? []).map(({ url, content_type: mimeType, size: sizeBytes }) => ({
        url,
        mimeType,
        sizeBytes,
      }));
      return told.length === 0 ? null : this.#announcement(wire.message_id, told, dateOfTime(wire.timestamp));
    });
  }

  // Private: a body is one event; what is wrong with it is that event's fault.
  #one(read: () => WebhookEvent | null): WebhookParsing {
    const faults: MediagraphError[] = [];
    const event = this.#faults.collect(faults, read);
    return { events: event ? [event] : [], faults };
  }

  #assertOwn(accountSid: string): void {
    if (accountSid !== this.options.accountSid) throw this.#faults.protocol('an event of another account');
  }

  // Private: a text, "0" to "10"; the fields are looped over by it, not until one is missing.
  #mediaCount(form: WebhookForm): number {
    const text = form.get('NumMedia');
    if (text === null && form.get('MediaUrl0') !== null) throw this.#faults.protocol('a MediaUrl0 without NumMedia');
    if (text === null) return 0;
    if (!/^\d{1,2}$/.test(text) || Number(text) > MAX_MEDIA)
      throw this.#faults.protocol(`a NumMedia that is not 0 to ${MAX_MEDIA}`);
    return Number(text);
  }

  #mediaOfForm(form: WebhookForm, at: number): ToldLamlMedia {
    const url = form.get(`MediaUrl${at}`);
    if (url === null) throw this.#faults.protocol(`no MediaUrl${at} where NumMedia counts it`);
    return { url, mimeType: form.get(`MediaContentType${at}`) };
  }

  #announcement(providerMessageId: string, told: readonly ToldLamlMedia[], createdAt: Date | null): WebhookEvent {
    const { accountSid, baseUrl, channel } = this.options;
    const media = new Map<string | null, ProviderMedia>();
    for (const { url, mimeType, sizeBytes } of told) {
      const place = { provider: channel.provider, accountSid, baseUrl };
      const ref = lamlMediaRef(url, providerMessageId, place, this.#faults);
      const known = media.get(ref.providerMediaId);
      if (known && known.downloadUrl !== ref.downloadUrl)
        throw this.#faults.protocol('two media addresses that end in one name');
      if (!known) media.set(ref.providerMediaId, announcedMedia({ ...ref, mimeType, sizeBytes, createdAt }));
    }
    return { type: 'mediaAnnounced', providerMessageId, media: [...media.values()] };
  }
}
