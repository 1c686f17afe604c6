import { createHash, createHmac, randomBytes } from 'node:crypto';

export interface WhatsAppMedia {
  /** Meta's are digits. */
  readonly id: string;
  readonly bytes: Buffer;
  /** As a webhook tells it, parameters included. */
  readonly mimeType: string;
  /** What the bytes are sent as, where that is not `mimeType`; null = nothing. */
  readonly contentType?: string | null;
  /** Of an upload. */
  readonly filename?: string;
}

/** "The URL is only valid for 5 minutes"; in recorded answers `ext` is the time of the answer and 300 seconds. */
const URL_LIFE_S = 300;

/**
 * The media that Meta has for a business, and the addresses that they are opened by:
 * `/whatsapp_business/attachments/?mid&ext&hash`, where `ext` is the expiry in unix seconds. How `hash` is made is Meta's
 * secret; here it is an HMAC of the same length.
 */
export class WhatsAppMediaStore {
  private readonly media = new Map<string, WhatsAppMedia>();
  private readonly key = randomBytes(32);

  /** @param now milliseconds since the epoch; addresses die by it */
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

  /** Everything that is there, oldest first. */
  get all(): readonly WhatsAppMedia[] {
    return [...this.media.values()];
  }

  /** A new address each time, as path and query. */
  attachmentPath(id: string): string {
    const ext = String(Math.floor(this.now() / 1000) + URL_LIFE_S);
    return `/whatsapp_business/attachments/?mid=${id}&ext=${ext}&hash=${this.hash(id, ext)}`;
  }

  /** What an address opens: null once its time is over or its media is gone, and for one that was made up. */
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

/** `GET` by id tells it in hexadecimal, webhooks in Base64. */
export function sha256Of({ bytes }: WhatsAppMedia, encoding: 'hex' | 'base64'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}
