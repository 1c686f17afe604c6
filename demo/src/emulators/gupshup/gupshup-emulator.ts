import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import type { MediaSample } from '../media-samples.js';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';
import {
  type GupshupAnnouncement,
  type GupshupHeader,
  type GupshupMessage,
  inboundV1,
  inboundV2,
  inboundV3,
  statusEvent,
} from './gupshup-webhook.js';

export interface GupshupEmulatorOptions {
  /** A UUID. */
  readonly appId: string;
  readonly appName?: string;
  /** The static header of the webhook subscription. Absent: none. */
  readonly webhookHeader?: GupshupHeader;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface GupshupMedia extends MediaSample {
  /** Digits, as in Meta's ids. */
  readonly id: string;
  /** The message of the media. */
  readonly messageId: string;
  readonly caption?: string;
  /** True: it was sent "as a document". The webhook type is then `file` for any MIME type. */
  readonly asFile?: boolean;
  /** The file manager's `Content-Type`. Default: the media's own type. Null: no such header. */
  readonly contentType?: string | null;
}

interface StoredMedia extends GupshupMedia {
  readonly receivedAt: number;
  readonly expiresAt: number;
}

/** `urlExpiry` minus `timestamp` in every published sample (providers: Gupshup, docs/media). */
const LIFETIME_MS = 7 * 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;
/** "20+ invalid calls in an hour" (providers: Gupshup, media-management). */
const STRIKES = 20;

/**
 * Gupshup's file manager, the origin of inbound media, which is not that of the Partner API; and the webhooks with its
 * URLs (providers: Gupshup, docs/media, media-management). It needs no credentials. That it supports ranges and sends
 * no Content-Disposition is our deduction.
 */
export class GupshupFilemanagerEmulator extends EmulatorServer {
  /** The status of an invalid media id. "400 or 404": both are documented. */
  invalidStatus: 400 | 404 = 400;
  /** The unit of the time in the message of a 429, which is not documented. */
  epochUnit: 'seconds' | 'milliseconds' = 'milliseconds';

  private readonly media = new Map<string, StoredMedia>();
  private readonly now: () => number;
  private strikes: number[] = [];
  private lockedUntil = 0;

  constructor(private readonly options: GupshupEmulatorOptions) {
    super();
    this.now = options.now ?? Date.now;
  }

  /** Adds a message with a media, or replaces that with the same media id. @returns the URL of its bytes */
  addMedia(media: GupshupMedia): string {
    const receivedAt = this.now();
    this.media.set(media.id, { ...media, receivedAt, expiresAt: receivedAt + LIFETIME_MS });
    return this.mediaUrl(media.id);
  }

  /** Expires a media at once. */
  expireMedia(id: string): void {
    this.media.set(id, { ...this.stored(id), expiresAt: this.now() });
  }

  /** A URL in the file manager's form. The media need not exist. */
  mediaUrl(id: string): string {
    const filename = this.media.get(id)?.filename;
    const name = filename === undefined ? '' : `&fileName=${encodeURIComponent(filename)}`;
    return `${this.url}/wa/${this.options.appId}/wa/media/${id}?download=false${name}`;
  }

  /** Whether every request is answered with 429. */
  get isLockedOut(): boolean {
    return this.now() < this.lockedUntil;
  }

  /** The current webhook, with the types `image`, `audio`, `video`, `file` and `sticker`. */
  inboundV2(id: string): WebhookDelivery {
    return inboundV2(this.announcement(id));
  }

  /** The webhook in Meta's form, with `gs_app_id` and a URL of the file manager. */
  inboundV3(id: string): WebhookDelivery {
    return inboundV3(this.announcement(id));
  }

  /** The oldest webhook, which still occurs. */
  inboundV1(id: string): WebhookDelivery {
    return inboundV1(this.announcement(id));
  }

  /** An event without a media, about a message. */
  statusEvent(messageId: string): WebhookDelivery {
    return statusEvent(this.message(messageId));
  }

  protected answer(request: EmulatorRequest): Answer {
    if (this.isLockedOut) return this.errorAnswer(429);
    const { pathname } = splitPath(request.path);
    const prefix = `/wa/${this.options.appId}/wa/media/`;
    const media = pathname.startsWith(prefix) ? this.media.get(pathname.slice(prefix.length)) : undefined;
    if (!media || media.expiresAt <= this.now()) return this.invalid();
    const contentType = media.contentType === undefined ? media.mimeType : media.contentType;
    const headers: Record<string, string> = contentType === null ? {} : { 'content-type': contentType };
    return { status: 200, headers, body: media.bytes, isFile: true };
  }

  protected errorAnswer(status: number): Answer {
    const message =
      status === 429
        ? `Api rate limit reached due to multiple invalid calls. New quota will be available on ${this.quotaEpoch()}`
        : (MESSAGES[status] ?? 'Internal Server Error');
    return {
      status,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ status: 'error', message }),
    };
  }

  /**
   * Counts an invalid call. The one that reaches the limit is answered like the others; after it everything is refused
   * for an hour.
   */
  private invalid(): Answer {
    const now = this.now();
    this.strikes = [...this.strikes.filter((at) => at > now - HOUR_MS), now];
    if (this.strikes.length >= STRIKES) {
      this.lockedUntil = now + HOUR_MS;
      this.strikes = [];
    }
    return this.errorAnswer(this.invalidStatus);
  }

  private quotaEpoch(): number {
    const epochMs = this.isLockedOut ? this.lockedUntil : this.now() + HOUR_MS;
    return this.epochUnit === 'seconds' ? Math.ceil(epochMs / 1000) : epochMs;
  }

  private announcement(id: string): GupshupAnnouncement {
    const media = this.stored(id);
    const { mimeType, filename, bytes, caption, asFile = false, expiresAt } = media;
    return {
      ...this.message(media.messageId, media.receivedAt),
      media: { id, mimeType, filename, bytes, caption, asFile, url: this.mediaUrl(id), expiresAt },
    };
  }

  private message(id: string, receivedAt = this.now()): GupshupMessage {
    const { appId, appName = 'DemoApp', webhookHeader: header = null } = this.options;
    return { id, appId, appName, header, receivedAt };
  }

  private stored(id: string): StoredMedia {
    const media = this.media.get(id);
    if (!media) throw new Error(`expected a media that was added, got ${id}`);
    return media;
  }
}

const MESSAGES: Readonly<Record<number, string>> = { 400: 'Invalid Media Id', 404: 'Invalid Media Id' };
