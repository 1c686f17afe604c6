import { GupshupFilemanagerEmulator } from '../emulators/gupshup/gupshup-emulator.js';
import { loadMediaSamples } from '../emulators/media-samples.js';
import { waGatewayMessageId, whatsappMediaId, whatsappMessageId } from '../emulators/sample-ids.js';
import { WaGatewayEmulator } from '../emulators/wa-gateway/wa-gateway-emulator.js';
import { ChakraEmulator } from '../emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../emulators/whatsapp/whatsapp-emulator.js';
import type { DemoLine } from '../line.js';

/* Lines at providers that cannot list the media of a message. Only webhooks announce them. */

/** WhatsApp through Chakra, which does not sign webhooks. The secret is in the webhook's URL. */
export async function startChakra(): Promise<DemoLine> {
  const credentials = { token: 'demo-chakra-token' };
  const secret = 'demo-chakra-url-token';
  const emulator = await new ChakraEmulator(credentials).start();
  const { voiceNote } = loadMediaSamples();
  const mediaId = whatsappMediaId(1);
  const messageId = whatsappMessageId(1);
  emulator.addMedia({ ...voiceNote, id: mediaId });
  return {
    channel: { id: 'chakra', provider: 'chakra', baseUrl: emulator.baseUrl, credentials, webhook: { secret } },
    messages: [messageId],
    webhook: {
      messageId,
      sent: 'a voice note',
      provenBy: '?token= of the URL',
      query: `?token=${secret}`,
      make: () => emulator.webhookOf(mediaId, { id: messageId }),
    },
    expiry: {
      run: () => emulator.expire(mediaId),
      request: {
        url: `${emulator.baseUrl}/v1/whatsapp/v19.0/media/${mediaId}`,
        headers: { authorization: `Bearer ${credentials.token}` },
      },
    },
    servers: [emulator],
  };
}

/** WhatsApp at Meta itself, with one origin for the API and another for the bytes. */
export async function startCloud(): Promise<DemoLine> {
  const credentials = { token: 'demo-meta-token' };
  const secret = 'demo-app-secret';
  const phoneNumberId = '106540352242922';
  const emulator = await new WhatsAppEmulator({ ...credentials, phoneNumberId, appSecret: secret }).start();
  const { document } = loadMediaSamples();
  const mediaId = whatsappMediaId(2);
  const messageId = whatsappMessageId(2);
  emulator.addMedia({ ...document, id: mediaId });
  const message = { id: messageId, filename: 'Angebot für Łódź.pdf', caption: 'Passt das so? Danke! 🙂' };
  return {
    channel: {
      id: 'cloud',
      provider: 'whatsapp-cloud',
      baseUrl: emulator.baseUrl,
      credentials,
      options: { phoneNumberId, mediaOrigins: [emulator.lookaside.url] },
      webhook: { secret },
    },
    messages: [messageId],
    webhook: {
      messageId,
      sent: 'a document with a caption',
      provenBy: 'X-Hub-Signature-256',
      make: () => emulator.webhookOf(mediaId, message),
    },
    expiry: {
      run: () => emulator.expire(mediaId),
      request: {
        url: `${emulator.baseUrl}/v23.0/${mediaId}`,
        headers: { authorization: `Bearer ${credentials.token}` },
      },
    },
    servers: [emulator, emulator.lookaside],
  };
}

/** WhatsApp through WA Gateway, which stores every file as `.bin`. */
export async function startGateway(): Promise<DemoLine> {
  const credentials = { token: 'demo-gateway-token' };
  const secret = 'demo-gateway-secret';
  const appId = '6d2f0f1e-93b4-4c68-8a57-0d1c2b3a4f5e';
  const emulator = await new WaGatewayEmulator({ appId, ...credentials, webhookSecret: secret }).start();
  const { sticker } = loadMediaSamples();
  const messageId = waGatewayMessageId(1);
  const path = emulator.addMedia({ ...sticker, deviceId: '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b', messageId });
  return {
    channel: { id: 'gateway', provider: 'wa-gateway', baseUrl: emulator.baseUrl, credentials, webhook: { secret } },
    messages: [messageId],
    webhook: {
      messageId,
      sent: 'a sticker',
      provenBy: 'X-WA-Signature',
      make: () => emulator.messageEvent(messageId),
    },
    expiry: {
      run: () => emulator.expireMedia(messageId),
      request: {
        url: `${emulator.baseUrl}/media?path=${path}`,
        headers: { authorization: `Bearer ${credentials.token}` },
      },
    },
    servers: [emulator],
  };
}

/** WhatsApp through Gupshup, which does not sign webhooks. A static header holds the secret. */
export async function startGupshup(): Promise<DemoLine> {
  const appId = 'b8e1f2c4-6a7d-4f3e-9c10-3a5b7d9e1f20';
  const webhook = { headerName: 'X-Webhook-Token', secret: 'demo-gupshup-header' };
  const webhookHeader = { name: webhook.headerName, value: webhook.secret };
  const emulator = await new GupshupFilemanagerEmulator({ appId, webhookHeader }).start();
  const { video } = loadMediaSamples();
  const mediaId = whatsappMediaId(3);
  const messageId = whatsappMessageId(3);
  const url = emulator.addMedia({ ...video, id: mediaId, messageId, caption: 'The parcel, from all sides' });
  return {
    channel: {
      id: 'gupshup',
      provider: 'gupshup',
      baseUrl: emulator.url,
      credentials: { token: 'demo-gupshup-token' },
      options: { appId },
      webhook,
    },
    messages: [messageId],
    webhook: {
      messageId,
      sent: 'a video with a caption',
      provenBy: webhook.headerName,
      make: () => emulator.inboundV2(mediaId),
    },
    expiry: { run: () => emulator.expireMedia(mediaId), request: { url, headers: {} } },
    servers: [emulator],
  };
}
