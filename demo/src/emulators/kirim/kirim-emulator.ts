import { Arrival } from '../arrival.js';
import type { CdnEmulator, CdnFile } from '../cdn-emulator.js';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import { kirimRequestId } from '../sample-ids.js';
import { type RateLimit, TokenBucket } from '../token-bucket.js';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';
import { kirimDelivery } from './kirim-webhook.js';

export interface KirimEmulatorOptions {
  /** The only key that is let in, e.g. `kdv_live_…`. */
  readonly token: string;
  /** Where the redirects lead. */
  readonly cdn: CdnEmulator;
  /** Present: paths of generation B, `/{phone_number_id}/messages/…`; absent: generation A, `/messages/…`. */
  readonly phoneNumberId?: string;
  /** Sign the webhooks: one secret, or several while one is being replaced; none unless given. */
  readonly webhookSecrets?: readonly string[];
  /** Requests that bear the right key; 6000 a minute (the Pro plan's reads) unless given. */
  readonly rateLimit?: RateLimit;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface KirimMedia extends CdnFile {
  /** WhatsApp names documents; for other media it is mostly absent. */
  readonly filename?: string;
  readonly caption?: string;
}

export interface KirimMessage {
  readonly id: string;
  /** Absent: a text message. WhatsApp has at most one media a message. */
  readonly media?: KirimMedia;
  /** The first so many requests for the media find it in flight. */
  readonly arrivesAfterRequests?: number;
  /** The media is in flight for so long from now. */
  readonly arrivesAfterMs?: number;
  /** What the CDN says about the file, where that is not the media's own type; null = nothing. */
  readonly contentType?: string | null;
}

interface StoredMessage {
  readonly id: string;
  readonly media: KirimMedia | null;
  readonly arrival: Arrival;
  readonly createdAt: Date;
  isGone: boolean;
}

/**
 * Kirim's messages API (providers: Kirim, "Redirect to the media asset for a message"; developers.kirim.chat
 * sending/receive-messages, concepts/errors, concepts/rate-limits). Reading only: no stored page documents an upload or
 * a deletion. That generation B keeps the `/media` sub-path, and that stickers redirect like images, is our deduction.
 */
export class KirimEmulator extends EmulatorServer {
  /** Errors come without `message`, as the published example does although its schema requires it. */
  omitsErrorMessage = false;

  private readonly messages = new Map<string, StoredMessage>();
  private readonly bucket: TokenBucket;
  private readonly now: () => number;
  private requestIds = 0;

  constructor(private readonly options: KirimEmulatorOptions) {
    super();
    this.now = options.now ?? Date.now;
    this.bucket = new TokenBucket(options.rateLimit ?? { limit: 6000, windowMs: 60_000 }, this.now);
  }

  /** What a channel has as its `baseUrl`. */
  get baseUrl(): string {
    return `${this.url}/v1`;
  }

  /** Receives a message from a customer; replaces one with the same id. */
  addMessage(message: KirimMessage): void {
    const { id, media = null, arrivesAfterRequests: afterRequests, arrivesAfterMs: afterMs } = message;
    const arrival = new Arrival({ afterRequests, afterMs }, this.now);
    this.messages.set(id, { id, media, arrival, createdAt: new Date(this.now()), isGone: false });
    if (media) this.options.cdn.put(keyOf(id, media), media, { contentType: message.contentType });
  }

  /** The CDN has a message's file no longer. How long Kirim keeps media is not published; the answer then is our deduction. */
  expire(messageId: string): void {
    const message = this.stored(messageId);
    message.isGone = true;
    if (message.media) this.options.cdn.remove(keyOf(messageId, message.media));
  }

  /** The signed `message.received` of a message that was added (developers.kirim.chat, sending/receive-messages). */
  webhookOf(messageId: string): WebhookDelivery {
    const message = this.resource(this.stored(messageId));
    return kirimDelivery('message.received', { message }, this.options.webhookSecrets ?? [], new Date(this.now()));
  }

  /** Where the CDN has a message's file, without signature or expiry: Kirim redirects to public addresses. */
  mediaUrl(messageId: string): string | null {
    const media = this.messages.get(messageId)?.media;
    return media ? this.options.cdn.publicUrl(keyOf(messageId, media)) : null;
  }

  protected answer(request: EmulatorRequest): Answer {
    if (request.headers.authorization !== `Bearer ${this.options.token}`) return this.errorAnswer(401);
    if (!this.bucket.take()) return this.errorAnswer(429);
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.errorAnswer(404);
    const route = this.route(splitPath(request.path).pathname);
    if (route === 'invalid-phone-number') return this.error(400, 'invalid_phone_number', 'No such phone number.');
    if (route === null) return this.errorAnswer(404);
    return route.wantsMedia ? this.redirectToMedia(route.messageId) : this.message(route.messageId);
  }

  /** Every code is one that the documentation names, but those of 404, 500 and 429, which are not published. */
  protected errorAnswer(status: number): Answer {
    const answer = this.error(status, ERROR_CODES[status] ?? 'internal_error', `The request failed with ${status}.`);
    if (status !== 429) return answer;
    return { ...answer, headers: { ...answer.headers, 'retry-after': String(this.bucket.retryAfterSeconds) } };
  }

  private route(pathname: string): Route | 'invalid-phone-number' | null {
    const { phoneNumberId } = this.options;
    const match = (phoneNumberId === undefined ? GENERATION_A : GENERATION_B).exec(pathname);
    if (!match?.groups) return null;
    if (match.groups.phone !== phoneNumberId) return 'invalid-phone-number';
    const messageId = decode(match.groups.message ?? '');
    return messageId === null ? null : { messageId, wantsMedia: match.groups.media !== undefined };
  }

  /**
   * 302 to the public CDN address. A text message, media still in flight and an unknown message are told apart by
   * nothing: all are the same 404.
   */
  private redirectToMedia(messageId: string): Answer {
    const message = this.messages.get(messageId);
    const url = this.mediaUrl(messageId);
    if (url === null || !message?.arrival.request() || message.isGone) return this.errorAnswer(404);
    return { status: 302, headers: { ...this.successHeaders(), location: url } };
  }

  /** The message resource: flat, with `media_url`, `mime_type`, `caption` and `filename` for media messages. */
  private message(messageId: string): Answer {
    const message = this.messages.get(messageId);
    if (!message) return this.errorAnswer(404);
    const headers = { ...this.successHeaders(), 'content-type': 'application/json' };
    return { status: 200, headers, body: JSON.stringify(this.resource(message)) };
  }

  private resource({ id, media, arrival, createdAt, isGone }: StoredMessage): object {
    return {
      id,
      type: media === null ? 'text' : typeOf(media.mimeType),
      direction: 'inbound',
      created_at: createdAt.toISOString(),
      ...(media === null
        ? { content: 'Hello' }
        : {
            media_url: arrival.hasArrived && !isGone ? this.mediaUrl(id) : null,
            mime_type: media.mimeType,
            caption: media.caption ?? null,
            filename: media.filename ?? null,
          }),
    };
  }

  private stored(messageId: string): StoredMessage {
    const message = this.messages.get(messageId);
    if (!message) throw new Error(`expected a message that was added, got ${messageId}`);
    return message;
  }

  /** `request_id` equals `X-Request-Id`; X-RateLimit-* come with every success and 4xx. */
  private error(status: number, code: string, message: string): Answer {
    const requestId = this.nextRequestId();
    const type = ERROR_TYPES[status] ?? 'api_error';
    const text = this.omitsErrorMessage ? {} : { message };
    return {
      status,
      headers: {
        'content-type': 'application/json',
        'x-request-id': requestId,
        ...(status < 500 ? this.rateLimitHeaders() : {}),
      },
      body: JSON.stringify({ error: { type, code, ...text, request_id: requestId } }),
    };
  }

  private successHeaders(): Record<string, string> {
    return { 'x-request-id': this.nextRequestId(), ...this.rateLimitHeaders() };
  }

  private rateLimitHeaders(): Record<string, string> {
    return {
      'x-ratelimit-limit': String(this.bucket.limit),
      'x-ratelimit-remaining': String(this.bucket.remaining),
      'x-ratelimit-reset': String(this.bucket.fullAtSeconds),
    };
  }

  private nextRequestId(): string {
    this.requestIds += 1;
    return kirimRequestId(this.requestIds);
  }
}

interface Route {
  readonly messageId: string;
  readonly wantsMedia: boolean;
}

const GENERATION_A = /^\/v1\/messages\/(?<message>[^/]+)(?<media>\/media)?$/;
const GENERATION_B = /^\/v1\/(?<phone>[^/]+)\/messages\/(?<message>[^/]+)(?<media>\/media)?$/;

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found',
  409: 'conflict',
  422: 'invalid_request_error',
  429: 'rate_limit_error',
};

const ERROR_CODES: Readonly<Record<number, string>> = {
  400: 'invalid_field_value',
  401: 'invalid_api_key',
  403: 'permission_denied',
  404: 'resource_not_found',
  409: 'idempotency_in_progress',
  422: 'idempotency_key_reuse',
  429: 'rate_limit_exceeded',
};

function keyOf(messageId: string, media: KirimMedia): string {
  return `kirim/${messageId}/${media.filename ?? 'file'}`;
}

/** WhatsApp's message types; webp is a sticker there, never an image. */
function typeOf(mimeType: string): string {
  if (mimeType.startsWith('image/webp')) return 'sticker';
  const [family = ''] = mimeType.split('/', 1);
  return ['image', 'video', 'audio'].includes(family) ? family : 'document';
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
