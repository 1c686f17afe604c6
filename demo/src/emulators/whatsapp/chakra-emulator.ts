import { randomUUID } from 'node:crypto';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import { LookUpLockOut } from '../look-up-lock-out.js';
import { readForm } from '../multipart-form.js';
import { type WhatsAppMedia, WhatsAppMediaStore } from './whatsapp-media-store.js';
import { inboundMessage, WEBHOOK_HEADERS, type WebhookDelivery, type WhatsAppMessage } from './whatsapp-webhook.js';
import { attachmentAnswer, graphErrorAnswer, metadataOf, unknownObject } from './whatsapp-wire.js';

export interface ChakraEmulatorOptions {
  /** The only access token that is let in. */
  readonly token: string;
  /** In the path of uploads; without one there are none. */
  readonly pluginId?: string;
  /** Milliseconds since the epoch; addresses die by it. */
  readonly now?: () => number;
}

/** The published example asks v19.0 and is sent to v22.0. */
const ATTACHMENTS_VERSION = 'v22.0';
const METADATA = /^\/v1\/whatsapp\/v\d+\.\d+\/media\/([^/]+)(\/show)?$/;
const ATTACHMENTS = /^\/v1\/whatsapp\/v\d+\.\d+\/whatsapp_business\/attachments\/$/;

const PUBLIC_MEDIA = '/chakra-public-media/';
const TENANT = '8b1f6d0a-6c1e-4f0e-9d55-2f3a7c1b9e42';

/** An upload, at an address that anyone may open. */
export interface ChakraPublicMedia {
  readonly url: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly bytes: Buffer;
}

/**
 * ChakraHQ's pass-through of Meta's media: metadata without the envelope that its other answers have, the bytes at an
 * address of its own origin or in one step at `/show`, all with the same Bearer; and its own upload to a public address
 * ("Upload Public Media"), which is on an origin of its own in earnest. Whether that one checks types or sizes is not
 * published: it takes what it gets. Source: Chakra's API reference, "Media -
 * Upload & Manage". Its error bodies are not published; that an unknown id gives Meta's own, and the rest `_errors`, is our
 * deduction from "pass-through" and from "Response Format".
 */
export class ChakraEmulator extends EmulatorServer {
  /** What metadata names in front of `/whatsapp_business/attachments/`, instead of the emulator's own address. */
  announcedOrigin: string | null = null;
  fileSizeAsString = false;
  readonly lockOut: LookUpLockOut;

  private readonly store: WhatsAppMediaStore;
  private readonly published = new Map<string, ChakraPublicMedia>();
  private readonly now: () => number;

  constructor(private readonly options: ChakraEmulatorOptions) {
    super();
    this.now = options.now ?? Date.now;
    this.store = new WhatsAppMediaStore(this.now);
    this.lockOut = new LookUpLockOut(this.now);
  }

  /** All uploads, oldest first. */
  get publicMedia(): readonly ChakraPublicMedia[] {
    return [...this.published.values()];
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

  protected answer(request: EmulatorRequest, body: Buffer): Answer | Promise<Answer> {
    const { pathname, query } = splitPath(request.path);
    const published = request.method === 'GET' ? this.published.get(pathname) : undefined;
    if (published)
      return { status: 200, headers: { 'content-type': published.mimeType }, body: published.bytes, isFile: true };
    if (request.headers.authorization !== `Bearer ${this.options.token}`) return this.errorAnswer(401);
    const { pluginId } = this.options;
    const isUpload = pathname === `/v1/ext/plugin/whatsapp/${pluginId}/upload-public-media`;
    if (request.method === 'POST' && pluginId !== undefined && isUpload)
      return this.upload(body, request.headers['content-type']);
    if (request.method !== 'GET') return this.errorAnswer(404);
    return this.lockOut.isBlocked ? this.errorAnswer(429) : this.lockOut.count(this.lookUp(pathname, query));
  }

  private lookUp(pathname: string, query: string): Answer {
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

  /** `<tenant>/<date>/<uuid>.<ext>`, as in the published example. */
  private async upload(body: Buffer, contentType: string | undefined): Promise<Answer> {
    const form = await readForm(body, contentType);
    const file = form?.get('file');
    if (file === undefined || typeof file === 'string') return this.errorAnswer(400);
    const name = form?.get('filename');
    const filename = typeof name === 'string' ? name : file.filename;
    const extension = /\.([A-Za-z0-9]{1,8})$/.exec(filename)?.[1] ?? 'bin';
    const date = new Date(this.now()).toISOString().slice(0, 10);
    const path = `${PUBLIC_MEDIA}${TENANT}/${date}/${randomUUID()}.${extension}`;
    const url = this.url + path;
    this.published.set(path, { url, filename, mimeType: file.type, bytes: file.bytes });
    return json(200, { _data: { publicMediaUrl: url }, _meta: {}, _errors: [] });
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
