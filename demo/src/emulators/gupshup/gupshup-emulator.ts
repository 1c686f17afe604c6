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
  /** The static header that the subscription was given; none unless given. */
  readonly webhookHeader?: GupshupHeader;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface GupshupMedia extends MediaSample {
  /** Numeric, as Meta's are. */
  readonly id: string;
  /** The message that brings it. */
  readonly messageId: string;
  readonly caption?: string;
  /** Sent "as a document": webhook type `file`, whatever the MIME type. */
  readonly asFile?: boolean;
  /** What the file manager says about the file, where that is not the media's own type; null = nothing. */
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
 * Gupshup's file manager, the origin that inbound media live on, apart from the Partner API; and the webhooks that name
 * its addresses (providers: Gupshup, docs/media, media-management). Opened without credentials. That ranges are heeded
 * and that no Content-Disposition is sent is our deduction.
 */
export class GupshupFilemanagerEmulator extends EmulatorServer {
  /** "400 or 404": both are documented. */
  invalidStatus: 400 | 404 = 400;
  /** Unit of the time in the 429's message, which is not documented. */
  epochUnit: 'seconds' | 'milliseconds' = 'milliseconds';

  private readonly media = new Map<string, StoredMedia>();
  private readonly now: () => number;
  private strikes: number[] = [];
  private lockedUntil = 0;

  constructor(private readonly options: GupshupEmulatorOptions) {
    super();
    this.now = options.now ?? Date.now;
  }

  /** Receives a message with a media; replaces one with the same media id. Returns the address of its bytes. */
  addMedia(media: GupshupMedia): string {
    const receivedAt = this.now();
    this.media.set(media.id, { ...media, receivedAt, expiresAt: receivedAt + LIFETIME_MS });
    return this.mediaUrl(media.id);
  }

  /** Ends a media's days before their time. */
  expireMedia(id: string): void {
    this.media.set(id, { ...this.stored(id), expiresAt: this.now() });
  }

  /** Also of media that does not exist. */
  mediaUrl(id: string): string {
    const filename = this.media.get(id)?.filename;
    const name = filename === undefined ? '' : `&fileName=${encodeURIComponent(filename)}`;
    return `${this.url}/wa/${this.options.appId}/wa/media/${id}?download=false${name}`;
  }

  /** Whether it answers nothing but 429. */
  get isLockedOut(): boolean {
    return this.now() < this.lockedUntil;
  }

  /** Current webhooks: five types, `image`, `audio`, `video`, `file` and `sticker`. */
  inboundV2(id: string): WebhookDelivery {
    return inboundV2(this.announcement(id));
  }

  /** Meta's shape with `gs_app_id` and with an address of its own. */
  inboundV3(id: string): WebhookDelivery {
    return inboundV3(this.announcement(id));
  }

  /** The oldest, still seen. */
  inboundV1(id: string): WebhookDelivery {
    return inboundV1(this.announcement(id));
  }

  /** An event about no media, with a message's id in it. */
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

  /** The strike that fills the hour is answered like the others; from then on everything is refused for an hour. */
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
