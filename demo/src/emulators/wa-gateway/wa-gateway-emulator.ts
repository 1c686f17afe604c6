import { createHmac, randomUUID } from 'node:crypto';
import { Arrival } from '../arrival.js';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import type { MediaSample } from '../media-samples.js';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';

export interface WaGatewayEmulatorOptions {
  /** The app of the token, a UUID. */
  readonly appId: string;
  /** The only valid token. */
  readonly token: string;
  readonly webhookSecret: string;
  /** Default: `X-WA-Signature`, a deduction: the known copy of the documentation ends before the name. */
  readonly signatureHeader?: string;
  /** Larger files are not stored. Default: 64 MiB (providers: WA Gateway, `MEDIA_MAX_BYTES`). */
  readonly maxBytes?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface WaGatewayMedia extends MediaSample {
  /** A UUID. */
  readonly deviceId: string;
  /** WhatsApp's message id: hexadecimal digits in capitals. */
  readonly messageId: string;
  /** The extension of the stored file, without the dot. Default: `bin`, for any bytes. */
  readonly extension?: string;
  readonly caption?: string;
  /** The file's `Content-Type`. Default: the type, if the gateway supports it. */
  readonly contentType?: string;
  /** How many requests fail to find it first. */
  readonly arrivesAfterRequests?: number;
  /** How long requests fail to find it, from now. */
  readonly arrivesAfterMs?: number;
}

export interface WaGatewayMessageOptions {
  /** A `message` event has either direction. Default: `inbound`. */
  readonly direction?: 'inbound' | 'outbound';
  /**
   * Uses `mimetype`, `filename` and `size` instead of `mime_type`, `file_name` and `file_size`. No page documents which
   * are right.
   */
  readonly otherNames?: boolean;
}

interface StoredMedia {
  readonly media: WaGatewayMedia;
  /** Null: the file is too large to be stored. */
  readonly path: string | null;
  readonly arrival: Arrival;
  isGone: boolean;
}

const DEFAULT_MAX_BYTES = 64 * 2 ** 20;

/** "Supported types". All others are served as `application/octet-stream` (providers: wa-server, Media Handling). */
const SERVED_TYPES: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/webp',
  'video/mp4',
  'audio/mpeg',
  'audio/ogg',
  'application/pdf',
]);

/**
 * wa-server, also called WA Gateway: the media of one app and the webhooks that announce them (providers: wa-server,
 * Media Handling; WA Gateway, Media, Webhooks, Errors). The JSON around error codes, the names of most payload fields,
 * the form of Content-Disposition and the support of ranges are not published. They are our deduction here.
 */
export class WaGatewayEmulator extends EmulatorServer {
  /** The error envelope: `{code, message}`, `{error:{code, message}}` or `{error:code}`. */
  errorShape: 'flat' | 'nested' | 'text' = 'nested';

  private readonly messages = new Map<string, StoredMedia>();
  private readonly now: () => number;

  constructor(private readonly options: WaGatewayEmulatorOptions) {
    super();
    this.now = options.now ?? Date.now;
  }

  /** The `baseUrl` of a channel. */
  get baseUrl(): string {
    return this.url;
  }

  /** Adds a message with a media. @returns its `media_path`; null where the file is too large to be stored */
  addMedia(media: WaGatewayMedia): string | null {
    const { deviceId, messageId, bytes, extension = 'bin' } = media;
    const isStored = bytes.length <= (this.options.maxBytes ?? DEFAULT_MAX_BYTES);
    const path = isStored ? `media/${this.options.appId}/${deviceId}-${messageId}.${extension}` : null;
    const arrival = new Arrival({ afterRequests: media.arrivesAfterRequests, afterMs: media.arrivesAfterMs }, this.now);
    this.messages.set(messageId, { media, path, arrival, isGone: false });
    return path;
  }

  /** Makes the path unknown, as the gateway's cleanup does: "Cleanup removes expired media automatically". */
  expireMedia(messageId: string): void {
    this.stored(messageId).isGone = true;
  }

  /** Deletes a device and its media. @returns the event about it */
  destroyDevice(deviceId: string): WebhookDelivery {
    for (const stored of this.messages.values()) stored.isGone ||= stored.media.deviceId === deviceId;
    return this.event('device_destroyed', deviceId, { device_id: deviceId });
  }

  /** The event of a message that was added. A file that is too large to be stored has no `media_path`. */
  messageEvent(messageId: string, options: WaGatewayMessageOptions = {}): WebhookDelivery {
    const { media, path } = this.stored(messageId);
    const { mimeType, filename, bytes, caption } = media;
    const details = options.otherNames
      ? { mimetype: mimeType, filename, size: bytes.length }
      : { mime_type: mimeType, file_name: filename, file_size: bytes.length };
    return this.event('message', media.deviceId, {
      message_id: messageId,
      direction: options.direction ?? 'inbound',
      from: '6281234567890@s.whatsapp.net',
      type: typeOf(mimeType),
      ...(path !== null && { media_path: path }),
      ...details,
      ...(caption !== undefined && { caption }),
    });
  }

  /** The example of the media page, which has only `payload.media_path`. */
  bareEvent(messageId: string): WebhookDelivery {
    const { path } = this.stored(messageId);
    if (path === null) throw new Error(`expected a media that is stored, got ${messageId}`);
    return this.signed({ payload: { media_path: path } }, randomUUID());
  }

  /** An event without a media, about a message. */
  receiptEvent(deviceId: string, messageId: string): WebhookDelivery {
    return this.event('receipt', deviceId, { message_id: messageId, status: 'read' });
  }

  /**
   * Any event, signed with a hexadecimal HMAC-SHA256 of the body. A repeated delivery has the same `X-WA-Request-ID`,
   * so sending the result twice is a redelivery.
   */
  event(event: string, deviceId: string, payload: object): WebhookDelivery {
    const requestId = randomUUID();
    const timestamp = new Date(this.now()).toISOString();
    const { appId } = this.options;
    return this.signed(
      { event, device_id: deviceId, app_id: appId, payload, timestamp, request_id: requestId },
      requestId,
    );
  }

  private signed(envelope: object, requestId: string): WebhookDelivery {
    const { webhookSecret, signatureHeader = 'X-WA-Signature' } = this.options;
    const body = Buffer.from(JSON.stringify(envelope));
    return {
      body,
      headers: {
        'content-type': 'application/json',
        'x-wa-request-id': requestId,
        [signatureHeader.toLowerCase()]: createHmac('sha256', webhookSecret).update(body).digest('hex'),
      },
    };
  }

  protected answer(request: EmulatorRequest): Answer {
    const { pathname, query } = splitPath(request.path);
    if (pathname === '/health') return { status: 200, headers: JSON_TYPE, body: '{"status":"ok"}' };
    const { authorization } = request.headers;
    if (authorization === undefined) return this.error(401, 'unauthorized');
    if (authorization !== `Bearer ${this.options.token}`) return this.error(401, 'invalid_api_key');
    if (request.method === 'GET' && pathname === '/devices') return this.devices();
    if (request.method !== 'GET' || pathname !== '/media') return this.errorAnswer(404);
    const path = pathParameter(query);
    if (path === null || isTampered(path)) return this.errorAnswer(400);
    if (!path.startsWith(`media/${this.options.appId}/`)) return this.errorAnswer(403);
    return this.bytes(path);
  }

  protected errorAnswer(status: number): Answer {
    return this.error(status, ERROR_CODES[status] ?? 'internal_error');
  }

  /** That the list has this form is our deduction. */
  private devices(): Answer {
    const ids = new Set([...this.messages.values()].map(({ media }) => media.deviceId));
    return {
      status: 200,
      headers: JSON_TYPE,
      body: JSON.stringify([...ids].map((id) => ({ id, status: 'connected' }))),
    };
  }

  private bytes(path: string): Answer {
    const stored = [...this.messages.values()].find((media) => media.path === path);
    if (!stored?.arrival.request() || stored.isGone) return this.errorAnswer(404);
    const { mimeType, bytes, contentType } = stored.media;
    const [essence = ''] = mimeType.split(';', 1);
    const served = SERVED_TYPES.has(essence) ? essence : 'application/octet-stream';
    const name = path.slice(path.lastIndexOf('/') + 1);
    return {
      status: 200,
      headers: {
        'content-type': contentType ?? served,
        'content-disposition': `inline; filename="${name}"`,
      },
      body: bytes,
      isFile: true,
    };
  }

  private stored(messageId: string): StoredMedia {
    const stored = this.messages.get(messageId);
    if (!stored) throw new Error(`expected a message that was added, got ${messageId}`);
    return stored;
  }

  private error(status: number, code: string): Answer {
    const message = `The request was answered with ${status}.`;
    const body = { flat: { code, message }, nested: { error: { code, message } }, text: { error: code } };
    return { status, headers: JSON_TYPE, body: JSON.stringify(body[this.errorShape]) };
  }
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** The published codes (providers: WA Gateway, Errors). */
const ERROR_CODES: Readonly<Record<number, string>> = {
  400: 'validation_error',
  401: 'invalid_api_key',
  403: 'forbidden',
  404: 'not_found',
  409: 'device_not_connected',
  413: 'request_too_large',
  429: 'rate_limit_exceeded',
};

/** The `path` parameter, raw as in the documented example or percent-encoded. Null: absent or malformed. */
function pathParameter(query: string): string | null {
  const raw = /(?:^|&)path=([^&]*)/.exec(query)?.[1];
  return raw === undefined || raw === '' ? null : decode(raw);
}

/** "Path traversal attacks are prevented": dot segments, backslashes and NUL, encoded any number of times. */
function isTampered(path: string): boolean {
  for (let decoded = path; ; ) {
    if (decoded.includes('\0') || decoded.split(/[/\\]/).some((part) => part === '.' || part === '..')) return true;
    const next = decode(decoded);
    if (next === null || next === decoded) return next === null;
    decoded = next;
  }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** WebP is always a sticker, never an image. */
function typeOf(mimeType: string): string {
  if (mimeType.startsWith('image/webp')) return 'sticker';
  const [family = ''] = mimeType.split('/', 1);
  return ['image', 'video', 'audio'].includes(family) ? family : 'document';
}
