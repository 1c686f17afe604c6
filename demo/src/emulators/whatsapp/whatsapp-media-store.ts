import { createHash, createHmac, randomBytes } from 'node:crypto';

export interface WhatsAppMedia {
  /** Digits, as in Meta's ids. */
  readonly id: string;
  readonly bytes: Buffer;
  /** The type in a webhook, with parameters. */
  readonly mimeType: string;
  /** The `Content-Type` of the bytes. Default: `mimeType`. Null: no such header. */
  readonly contentType?: string | null;
  /** The file name of an upload. */
  readonly filename?: string;
}

/** "The URL is only valid for 5 minutes". In recorded responses `ext` is the response's time plus 300 seconds. */
const URL_LIFE_S = 300;

/**
 * The media that Meta has for a business, and their URLs: `/whatsapp_business/attachments/?mid&ext&hash`, where `ext`
 * is the expiry in Unix seconds. How Meta computes `hash` is not public; here it is an HMAC of the same length.
 */
export class WhatsAppMediaStore {
  private readonly media = new Map<string, WhatsAppMedia>();
  private readonly key = randomBytes(32);

  /** @param now milliseconds since the epoch, by which URLs expire */
  constructor(private readonly now: () => number) {}

  add(media: WhatsAppMedia): void {
    this.media.set(media.id, media);
  }

  expire(id: string): void {
    this.media.delete(id);
  }

  find(id: string): WhatsAppMedia | null {
    return this.media.get(id) ?? null;
  }

  /** All media, oldest first. */
  get all(): readonly WhatsAppMedia[] {
    return [...this.media.values()];
  }

  /** A new URL with each call, as path and query. */
  attachmentPath(id: string): string {
    const ext = String(Math.floor(this.now() / 1000) + URL_LIFE_S);
    return `/whatsapp_business/attachments/?mid=${id}&ext=${ext}&hash=${this.hash(id, ext)}`;
  }

  /** The media of a URL. Null: the URL has expired or is forged, or the media is gone. */
  open(query: string): WhatsAppMedia | null {
    const parameters = new URLSearchParams(query);
    const id = parameters.get('mid') ?? '';
    const ext = parameters.get('ext') ?? '';
    const valid = parameters.get('hash') === this.hash(id, ext) && Number(ext) * 1000 > this.now();
    return valid ? this.find(id) : null;
  }

  private hash(id: string, ext: string): string {
    return `AT${createHmac('sha512', this.key).update(`${id} ${ext}`).digest('base64url').slice(0, 44)}`;
  }
}

/** The hash, which is hexadecimal in `GET` by id and Base64 in webhooks. */
export function sha256Of({ bytes }: WhatsAppMedia, encoding: 'hex' | 'base64'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}
