import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator, type WaGatewayMedia } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { inboundMessage, signedDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';

/*
 * What the process that sends webhooks and the one that has their media agree on: media number i, from 0, is of the line
 * i modulo 3, and has the same id and the same bytes in both.
 */

export const SECRETS = {
  metaToken: 'bench-meta-token',
  metaApp: 'bench-app-secret',
  gatewayToken: 'bench-gateway-token',
  gatewayWebhook: 'bench-gateway-secret',
  kirimToken: 'bench-kirim-token',
  kirimWebhook: 'bench-kirim-secret',
};
export const PHONE_NUMBER_ID = '106540352242922';
export const GATEWAY_APP_ID = 'b8e1f2c4-6a7d-4f3e-9c10-3a5b7d9e1f20';
const GATEWAY_DEVICE_ID = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b';

const MIME_TYPE = 'image/jpeg';
const BYTES = 2_048;
/** What tells a JPEG. */
const JPEG_START = Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex');

/** Where the providers are: what their process prints when they listen. */
export const providersSchema = z.object({
  meta: z.string(),
  lookaside: z.string(),
  gateway: z.string(),
  kirim: z.string(),
  cdn: z.string(),
});

export type Providers = z.infer<typeof providersSchema>;

export type Line = 'meta' | 'gateway' | 'kirim';
const LINES: readonly Line[] = ['meta', 'gateway', 'kirim'];

export function lineOf(index: number): Line {
  return LINES[index % LINES.length] ?? 'meta';
}

/** A webhook as its provider sends it, again and again if need be. */
export interface Delivery {
  readonly line: Line;
  /** As callers write the message that it is about. */
  readonly messageId: string;
  /** The hash of the bytes of its media, lower-case hex. */
  readonly sha256: string;
  readonly body: Buffer;
  /** Signed when it is sent. */
  headers(now: Date): Readonly<Record<string, string>>;
}

export function photoOf(index: number): { readonly bytes: Buffer; readonly mimeType: string } {
  const bytes = Buffer.alloc(BYTES, `photo ${index} `);
  JPEG_START.copy(bytes);
  return { bytes, mimeType: MIME_TYPE };
}

export function metaMediaId(index: number): string {
  return String(1_000_000_000_000_000 + index);
}

export function gatewayMedia(index: number): WaGatewayMedia {
  const messageId = `3EB0${index.toString(16).toUpperCase().padStart(16, '0')}`;
  return { ...photoOf(index), filename: 'photo.jpg', deviceId: GATEWAY_DEVICE_ID, messageId, extension: 'jpg' };
}

export function kirimCdnKey(index: number): string {
  return `kirim/${kirimMessageId(index)}/photo.jpg`;
}

/** The channels of the configuration, one a line, with the line's name as id. */
export function channelsOver(providers: Providers): readonly object[] {
  return [
    {
      id: 'meta',
      provider: 'whatsapp-cloud',
      baseUrl: providers.meta,
      credentials: { token: SECRETS.metaToken },
      options: { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [providers.lookaside] },
      webhook: { secret: SECRETS.metaApp },
    },
    {
      id: 'gateway',
      provider: 'wa-gateway',
      baseUrl: providers.gateway,
      credentials: { token: SECRETS.gatewayToken },
      webhook: { secret: SECRETS.gatewayWebhook },
    },
    {
      id: 'kirim',
      provider: 'kirim',
      baseUrl: `${providers.kirim}/v1`,
      credentials: { token: SECRETS.kirimToken },
      options: { allowPrivate: ['127.0.0.0/8'] },
      webhook: { secret: SECRETS.kirimWebhook },
    },
  ];
}

/** Makes the webhooks of the three providers. */
export class Deliveries {
  readonly #gateway = new WaGatewayEmulator({
    appId: GATEWAY_APP_ID,
    token: SECRETS.gatewayToken,
    webhookSecret: SECRETS.gatewayWebhook,
  });

  constructor(private readonly providers: Providers) {}

  of(index: number): Delivery {
    switch (lineOf(index)) {
      case 'meta':
        return this.#meta(index);
      case 'gateway':
        return this.#ofGateway(index);
      case 'kirim':
        return this.#kirim(index);
    }
  }

  #meta(index: number): Delivery {
    const id = `wamid.HBgLMTY1MDU1NTEyMzQVAgASG${String(index).padStart(12, '0')}`;
    const payload = inboundMessage({ ...photoOf(index), id: metaMediaId(index) }, { id }, PHONE_NUMBER_ID);
    const { body, headers } = signedDelivery(payload, SECRETS.metaApp);
    return delivery('meta', id, index, body, () => headers);
  }

  #ofGateway(index: number): Delivery {
    const media = gatewayMedia(index);
    this.#gateway.addMedia(media);
    const { body, headers } = this.#gateway.messageEvent(media.messageId);
    return delivery('gateway', media.messageId, index, body, () => headers);
  }

  /** developers.kirim.chat: sending/receive-messages for the body, webhooks/signing for the headers. */
  #kirim(index: number): Delivery {
    const id = kirimMessageId(index);
    const message = {
      id,
      type: 'image',
      media_url: `${this.providers.cdn}/${kirimCdnKey(index)}`,
      mime_type: MIME_TYPE,
      created_at: new Date().toISOString(),
    };
    const body = Buffer.from(JSON.stringify({ id: `wbd_${index}`, event: 'message.received', data: { message } }));
    return delivery('kirim', id, index, body, (now) => {
      const time = Math.floor(now.getTime() / 1000);
      const digest = createHmac('sha256', SECRETS.kirimWebhook).update(`${time}.`).update(body).digest('hex');
      return {
        'content-type': 'application/json',
        'x-kirim-delivery-id': `wbd_${index}`,
        'x-kirim-signature': `t=${time},v1=${digest}`,
      };
    });
  }
}

function delivery(line: Line, id: string, index: number, body: Buffer, headers: Delivery['headers']): Delivery {
  const sha256 = createHash('sha256').update(photoOf(index).bytes).digest('hex');
  return { line, messageId: `${line}:${id}`, sha256, body, headers };
}
