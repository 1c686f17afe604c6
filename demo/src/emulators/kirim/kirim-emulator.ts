import { Arrival } from '../arrival.js';
import type { CdnEmulator, CdnFile } from '../cdn-emulator.js';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import { kirimRequestId } from '../sample-ids.js';
import { type RateLimit, TokenBucket } from '../token-bucket.js';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';
import { kirimDelivery } from './kirim-webhook.js';

export interface KirimEmulatorOptions {
  /** The only valid key, for example `kdv_live_…`. */
  readonly token: string;
  /** The target of the redirects. */
  readonly cdn: CdnEmulator;
  /**
   * Present: the paths of generation B, `/{phone_number_id}/messages/…`. Absent: those of generation A, `/messages/…`.
   */
  readonly phoneNumberId?: string;
  /** The secrets that sign the webhooks: one, or several during a replacement. Absent: none. */
  readonly webhookSecrets?: readonly string[];
  /** The limit on requests with the valid key. Default: 6000 per minute, the Pro plan's reads. */
  readonly rateLimit?: RateLimit;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface KirimMedia extends CdnFile {
  /** Documents have a name. Other media mostly has none. */
  readonly filename?: string;
  readonly caption?: string;
}

export interface KirimMessage {
  readonly id: string;
  /** Absent: a text message. WhatsApp has at most one media per message. */
  readonly media?: KirimMedia;
  /** How many requests for the media find it still in flight first. */
  readonly arrivesAfterRequests?: number;
  /** How long the media is in flight, from now. */
  readonly arrivesAfterMs?: number;
  /** The CDN's `Content-Type`. Default: the media's own type. Null: no such header. */
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
 * sending/receive-messages, concepts/errors, concepts/rate-limits). It is read-only, since no known page documents an
 * upload or a deletion. That generation B keeps the `/media` sub-path, and that stickers redirect like images, is our
 * deduction.
 */
export class KirimEmulator extends EmulatorServer {
  /** True: errors have no `message`, like the published example, although its schema requires one. */
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

  /** The `baseUrl` of a channel. */
  get baseUrl(): string {
    return `${this.url}/v1`;
  }

  /** Adds a customer's message, or replaces that with the same id. */
  addMessage(message: KirimMessage): void {
    const { id, media = null, arrivesAfterRequests: afterRequests, arrivesAfterMs: afterMs } = message;
    const arrival = new Arrival({ afterRequests, afterMs }, this.now);
    this.messages.set(id, { id, media, arrival, createdAt: new Date(this.now()), isGone: false });
    if (media) this.options.cdn.put(keyOf(id, media), media, { contentType: message.contentType });
  }

  /**
   * Removes a message's file from the CDN. How long Kirim keeps media is not published, and the answer then is our
   * deduction.
   */
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

  /** The CDN's URL of a message's file. Kirim redirects to public URLs without signature or expiry. */
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
    if (route.messageId === null) return this.list();
    return route.wantsMedia ? this.redirectToMedia(route.messageId) : this.message(route.messageId);
  }

  /** All codes are documented, except those of 404, 500 and 429, which are not published. */
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
    const { message, media } = match.groups;
    if (message === undefined) return { messageId: null, wantsMedia: false };
    const messageId = decode(message);
    return messageId === null ? null : { messageId, wantsMedia: media !== undefined };
  }

  /**
   * A 302 to the public CDN URL. A text message, media still in flight and an unknown message have the same 404, as in
   * Kirim's API.
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

  /** The first page of all messages, newest first, of the default length (concepts/pagination). */
  private list(): Answer {
    const page = [...this.messages.values()].reverse().slice(0, PAGE_LENGTH);
    const requestId = this.nextRequestId();
    const headers = { ...this.rateLimitHeaders(), 'x-request-id': requestId, 'content-type': 'application/json' };
    const data = page.map((message) => this.resource(message));
    const hasMore = this.messages.size > PAGE_LENGTH;
    const body = { data, has_more: hasMore, next_cursor: hasMore ? 'opaque' : null, request_id: requestId };
    return { status: 200, headers, body: JSON.stringify(body) };
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

  /** `request_id` equals `X-Request-Id`. Every success and 4xx has the X-RateLimit-* headers. */
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
  /** Null: the list of all messages. */
  readonly messageId: string | null;
  readonly wantsMedia: boolean;
}

const GENERATION_A = /^\/v1\/messages(?:\/(?<message>[^/]+)(?<media>\/media)?)?$/;
const GENERATION_B = /^\/v1\/(?<phone>[^/]+)\/messages(?:\/(?<message>[^/]+)(?<media>\/media)?)?$/;
/** The default of `limit`. */
const PAGE_LENGTH = 25;

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

/** WhatsApp's message types, where WebP is always a sticker, never an image. */
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
