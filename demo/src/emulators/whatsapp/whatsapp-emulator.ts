import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import { LookUpLockOut } from '../look-up-lock-out.js';
import { readForm } from '../multipart-form.js';
import { WhatsAppLookasideEmulator } from './whatsapp-lookaside-emulator.js';
import { type WhatsAppMedia, WhatsAppMediaStore } from './whatsapp-media-store.js';
import { fileTypeRefusal, uploadLimitOf } from './whatsapp-upload-rules.js';
import { inboundMessage, signedDelivery, type WebhookDelivery, type WhatsAppMessage } from './whatsapp-webhook.js';
import { type GraphError, graphErrorAnswer, metadataOf, metaJson, unknownObject } from './whatsapp-wire.js';

export interface WhatsAppEmulatorOptions {
  /** The only valid access token. */
  readonly token: string;
  /** The number to which all media was sent. */
  readonly phoneNumberId: string;
  /** Signs the webhooks. */
  readonly appSecret: string;
  /** Milliseconds since the epoch, by which URLs expire. */
  readonly now?: () => number;
}

/**
 * Meta's Cloud API: metadata by id, uploads and deletions. The bytes are on {@link lookaside}, an origin of its own.
 * The response to an upload that is too large is not published. Its status 413, and that Meta checks each kind's size
 * limit at the upload, are our deduction. Sources: Meta's business messaging OpenAPI v23.0 and its page on media.
 * Status codes, headers and escaping follow responses that github.com/ignacio-chiazzo/ruby_whatsapp_sdk recorded in
 * October 2024.
 */
export class WhatsAppEmulator extends EmulatorServer {
  /** The origin of the bytes. It starts and closes with the API. */
  readonly lookaside: WhatsAppLookasideEmulator;
  /** The origin in metadata, instead of the lookaside's own. */
  announcedOrigin: string | null = null;
  /** True: `file_size` is a string, as documented. In real responses it is a number. */
  fileSizeAsString = false;
  /**
   * The response to a call with `phone_number_id`. `refused` is "Param phone_number_id is not a valid whatsapp business
   * phone number id ID", which was observed for customers' media (github.com/chatwoot/chatwoot/pull/13319).
   */
  phoneNumberParameter: 'heeded' | 'refused' = 'heeded';
  readonly lockOut: LookUpLockOut;

  private readonly store: WhatsAppMediaStore;
  private traces = 0;
  private uploads = 0;

  constructor(private readonly options: WhatsAppEmulatorOptions) {
    super();
    this.store = new WhatsAppMediaStore(options.now ?? Date.now);
    this.lockOut = new LookUpLockOut(options.now ?? Date.now);
    this.lookaside = new WhatsAppLookasideEmulator(options.token, this.store);
  }

  override async start(port = 0, host = '127.0.0.1'): Promise<this> {
    await this.lookaside.start(0, host);
    return super.start(port, host);
  }

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.lookaside.close()]);
  }

  /** The `baseUrl` of a channel. */
  get baseUrl(): string {
    return this.url;
  }

  /** Adds a customer's media, or replaces that with the same id. */
  addMedia(media: WhatsAppMedia): void {
    this.store.add(media);
  }

  /** The media that Meta has for the business, oldest first. */
  get media(): readonly WhatsAppMedia[] {
    return this.store.all;
  }

  /** Expires a media, as after seven days: neither its id nor an earlier URL opens it any more. */
  expire(id: string): void {
    this.store.expire(id);
  }

  /** The signed webhook that announces a media. @throws Error for a media that was not added */
  webhookOf(mediaId: string, message: WhatsAppMessage): WebhookDelivery {
    const media = this.store.find(mediaId);
    if (!media) throw new Error(`expected a media that was added, got ${mediaId}`);
    const url = this.mediaUrl(mediaId);
    return signedDelivery(
      inboundMessage(media, { url, ...message }, this.options.phoneNumberId),
      this.options.appSecret,
    );
  }

  protected answer(request: EmulatorRequest, body: Buffer): Answer | Promise<Answer> {
    if (request.headers.authorization !== `Bearer ${this.options.token}`) return this.errorAnswer(401);
    const { pathname, query } = splitPath(request.path);
    const number = /^\/v\d+\.\d+\/([^/]+)\/media$/.exec(pathname)?.[1];
    if (request.method === 'POST') return this.upload(number ?? '', body, request.headers['content-type']);
    // The version is optional for look-ups by id.
    const id = /^(?:\/v\d+\.\d+)?\/([^/]+)$/.exec(pathname)?.[1] ?? '';
    const isNumber = request.method === 'GET' && id === this.options.phoneNumberId;
    if (isNumber) return this.success({ id, ...(query.includes('fields=') ? {} : { display_phone_number: '+1 555' }) });
    if (this.lockOut.isBlocked) return this.errorAnswer(429);
    return this.lockOut.count(this.answerById(request.method, id, new URLSearchParams(query).get('phone_number_id')));
  }

  private answerById(method: string, id: string, number: string | null): Answer {
    if (number !== null && this.phoneNumberParameter === 'refused') return this.error(400, NUMBER_REFUSED);
    const phoneNumberId = number ?? this.options.phoneNumberId;
    const media = phoneNumberId === this.options.phoneNumberId ? this.store.find(id) : null;
    if (method === 'DELETE') return this.delete(media);
    if (method !== 'GET' || !media) return this.error(400, unknownObject(id));
    return this.success(metadataOf(media, this.mediaUrl(id), this));
  }

  protected errorAnswer(status: number): Answer {
    return this.error(status, ERRORS[status] ?? UNKNOWN_ERROR);
  }

  /** The part's own type counts. The field `type` is not compared (Cloud API, "Upload media"). */
  private async upload(number: string, body: Buffer, contentType: string | undefined): Promise<Answer> {
    if (number !== this.options.phoneNumberId) return this.error(400, unknownObject(number, 'post'));
    const form = await readForm(body, contentType);
    const file = form?.get('file');
    if (form?.get('messaging_product') !== 'whatsapp') return this.error(400, parameterError('messaging_product'));
    if (file === undefined || typeof file === 'string') return this.error(400, parameterError('file'));
    const limit = uploadLimitOf(file.type);
    if (limit === null)
      return this.error(400, { message: fileTypeRefusal(file.type), type: 'OAuthException', code: 100 });
    if (file.bytes.length > limit)
      return this.error(413, { message: '(#100) The file is too large', type: 'OAuthException', code: 100 });
    this.uploads += 1;
    const id = String(1_500_000_000_000_000 + this.uploads);
    this.store.add({ id, bytes: file.bytes, mimeType: file.type, filename: file.filename });
    return this.success({ id });
  }

  /** An unknown id is an invalid parameter, as in a recorded response of v20. */
  private delete(media: WhatsAppMedia | null): Answer {
    if (!media)
      return this.error(400, { message: '(#100) Invalid post_id parameter', type: 'OAuthException', code: 100 });
    this.store.expire(media.id);
    return this.success({ success: true });
  }

  private success(body: object): Answer {
    return {
      status: 200,
      headers: { 'content-type': 'application/json; charset=UTF-8', 'x-fb-request-id': this.nextTraceId() },
      body: metaJson(body),
    };
  }

  private mediaUrl(id: string): string {
    return (this.announcedOrigin ?? this.lookaside.url) + this.store.attachmentPath(id);
  }

  private error(status: number, error: GraphError): Answer {
    return graphErrorAnswer(status, error, this.nextTraceId());
  }

  private nextTraceId(): string {
    this.traces += 1;
    return `ATf5-CLoxGyJe${String(this.traces).padStart(10, '0')}`;
  }
}

function parameterError(name: string): GraphError {
  return { message: `(#100) The parameter ${name} is required.`, type: 'OAuthException', code: 100 };
}

const NUMBER_REFUSED: GraphError = {
  message: '(#100) Param phone_number_id is not a valid whatsapp business phone number id ID',
  type: 'OAuthException',
  code: 100,
};

const UNKNOWN_ERROR: GraphError = { message: 'An unknown error occurred', type: 'OAuthException', code: 1 };

/** The errors of Meta's list of error codes, with abridged texts. */
const ERRORS: Readonly<Record<number, GraphError>> = {
  400: { message: '(#100) Invalid parameter', type: 'OAuthException', code: 100 },
  401: { message: 'Error validating access token', type: 'OAuthException', code: 190 },
  403: { message: '(#10) Application does not have permission', type: 'OAuthException', code: 10 },
  404: { message: '(#2500) Unknown path components', type: 'OAuthException', code: 2500 },
  429: { message: '(#80007) Rate limit issues', type: 'OAuthException', code: 80007 },
  503: { message: '(#2) Service temporarily unavailable', type: 'OAuthException', code: 2 },
};
