import { randomUUID } from 'node:crypto';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import { LookUpLockOut } from '../look-up-lock-out.js';
import { readForm } from '../multipart-form.js';
import { type WhatsAppMedia, WhatsAppMediaStore } from './whatsapp-media-store.js';
import { inboundMessage, WEBHOOK_HEADERS, type WebhookDelivery, type WhatsAppMessage } from './whatsapp-webhook.js';
import { attachmentAnswer, graphErrorAnswer, metadataOf, unknownObject } from './whatsapp-wire.js';

export interface ChakraEmulatorOptions {
  /** The only valid access token. */
  readonly token: string;
  /** The plugin in the path of uploads. Absent: there are no uploads. */
  readonly pluginId?: string;
  /** Milliseconds since the epoch, by which URLs expire. */
  readonly now?: () => number;
}

/** In the published example, a request to v19.0 returns a URL of v22.0. */
const ATTACHMENTS_VERSION = 'v22.0';
const METADATA = /^\/v1\/whatsapp\/v\d+\.\d+\/media\/([^/]+)(\/show)?$/;
const ATTACHMENTS = /^\/v1\/whatsapp\/v\d+\.\d+\/whatsapp_business\/attachments\/$/;

const PUBLIC_MEDIA = '/chakra-public-media/';
const TENANT = '8b1f6d0a-6c1e-4f0e-9d55-2f3a7c1b9e42';

/** An upload, at a public URL. */
export interface ChakraPublicMedia {
  readonly url: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly bytes: Buffer;
}

/**
 * ChakraHQ's pass-through of Meta's media. Metadata has no envelope, unlike its other responses. The bytes are at a URL
 * of its own origin, or in one step at `/show`, with the same Bearer token. Its own upload ("Upload Public Media")
 * gives a public URL, which has a separate origin in production. Whether uploads check types or sizes is not published;
 * here they do not. Source: Chakra's API reference, "Media - Upload & Manage". Its error bodies are not published. That
 * an unknown id gives Meta's error, and everything else `_errors`, is our deduction from "pass-through" and from
 * "Response Format".
 */
export class ChakraEmulator extends EmulatorServer {
  /** The origin and path before `/whatsapp_business/attachments/` in metadata, instead of the emulator's own. */
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

  /** The `baseUrl` of a channel. */
  get baseUrl(): string {
    return this.url;
  }

  /** Adds a customer's media, or replaces that with the same id. */
  addMedia(media: WhatsAppMedia): void {
    this.store.add(media);
  }

  /** Expires a media, as after seven days: neither its id nor an earlier URL opens it any more. */
  expire(id: string): void {
    this.store.expire(id);
  }

  /**
   * The pass-through webhook that announces a media: Meta's body without a signature. Its `url` is at Meta's own
   * origin, which does not accept Chakra's tokens. @throws Error for a media that was not added
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

  /** The path is `<tenant>/<date>/<uuid>.<ext>`, as in the published example. */
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
