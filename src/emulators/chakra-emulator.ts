import { EmulatorServer, splitPath } from './emulator-server.js';
import type { Answer, EmulatorRequest } from './faults.js';
import { type WhatsAppMedia, WhatsAppMediaStore } from './whatsapp-media-store.js';
import { inboundMessage, WEBHOOK_HEADERS, type WebhookDelivery, type WhatsAppMessage } from './whatsapp-webhook.js';
import { attachmentAnswer, graphErrorAnswer, metadataOf, unknownObject } from './whatsapp-wire.js';

export interface ChakraEmulatorOptions {
  /** The only access token that is let in. */
  readonly token: string;
  /** Milliseconds since the epoch; addresses die by it. */
  readonly now?: () => number;
}

/** The published example asks v19.0 and is sent to v22.0. */
const ATTACHMENTS_VERSION = 'v22.0';
const METADATA = /^\/v1\/whatsapp\/v\d+\.\d+\/media\/([^/]+)(\/show)?$/;
const ATTACHMENTS = /^\/v1\/whatsapp\/v\d+\.\d+\/whatsapp_business\/attachments\/$/;

/**
 * ChakraHQ's pass-through of Meta's media: metadata without the envelope that its other answers have, the bytes at an
 * address of its own origin or in one step at `/show`, all with the same Bearer. Source: Chakra's API reference, "Media -
 * Upload & Manage". Its error bodies are not published; that an unknown id gives Meta's own, and the rest `_errors`, is our
 * deduction from "pass-through" and from "Response Format".
 */
export class ChakraEmulator extends EmulatorServer {
  /** What metadata names in front of `/whatsapp_business/attachments/`, instead of the emulator's own address. */
  announcedOrigin: string | null = null;
  fileSizeAsString = false;

  private readonly store: WhatsAppMediaStore;

  constructor(private readonly options: ChakraEmulatorOptions) {
    super();
    this.store = new WhatsAppMediaStore(options.now ?? Date.now);
  }

  /** What a channel has as its `baseUrl`. */
  get baseUrl(): string {
    return this.url;
  }

  /** Receives a media from a customer; replaces one with the same id. */
  addMedia(media: WhatsAppMedia): void {
    this.store.add(media);
  }

  /** After seven days: neither the id nor an address that was made before opens it any more. */
  expire(id: string): void {
    this.store.expire(id);
  }

  /**
   * The pass-through webhook that announces a media: Meta's body without a signature, its `url` at Meta's own origin, which
   * no key of Chakra's opens. @throws Error for a media that was not added
   */
  webhookOf(mediaId: string, message: WhatsAppMessage): WebhookDelivery {
    const media = this.store.find(mediaId);
    if (!media) throw new Error(`expected a media that was added, got ${mediaId}`);
    const url = `https://lookaside.fbsbx.com${this.store.attachmentPath(mediaId)}`;
    return { body: inboundMessage(media, { url, ...message }, '106540352242922'), headers: WEBHOOK_HEADERS };
  }

  protected answer(request: EmulatorRequest): Answer {
    if (request.headers.authorization !== `Bearer ${this.options.token}`) return this.errorAnswer(401);
    const { pathname, query } = splitPath(request.path);
    if (request.method !== 'GET') return this.errorAnswer(404);
    if (ATTACHMENTS.test(pathname)) {
      const media = this.store.open(query);
      return media ? attachmentAnswer(media) : textError(404, 'Media could not be fetched');
    }
    const [, id, show] = METADATA.exec(pathname) ?? [];
    if (id === undefined) return this.errorAnswer(404);
    const media = this.store.find(id);
    if (show !== undefined) return media ? attachmentAnswer(media) : textError(400, 'Media could not be fetched');
    if (!media) return graphErrorAnswer(400, unknownObject(id), 'ATf5-CLoxGyJeSu2vrRDOZR');
    return json(200, metadataOf(media, this.mediaUrl(id), this));
  }

  protected errorAnswer(status: number): Answer {
    return json(status, { _data: null, _meta: {}, _errors: [{ message: `The request failed with ${status}.` }] });
  }

  private mediaUrl(id: string): string {
    const origin = this.announcedOrigin ?? `${this.url}/v1/whatsapp/${ATTACHMENTS_VERSION}`;
    return origin + this.store.attachmentPath(id);
  }
}

function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) };
}

function textError(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body };
}
