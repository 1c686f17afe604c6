import { createHash } from 'node:crypto';
import { request } from 'undici';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { GupshupPartnerEmulator } from '../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  twilioMediaSid,
  twilioMessageSid,
  waGatewayMessageId,
  whatsappMediaId,
} from '../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { ChakraEmulator } from '../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { APP_ID, DEVICE_ID, PHONE_NUMBER_ID } from '../support/emulated-providers.js';
import { until } from '../support/eventually.js';
import { samples } from '../support/sample-messages.js';
import { ACCOUNTS } from '../support/test-bed.js';
import { WebhookBed } from '../support/webhook-bed.js';

const METRICS_TOKEN = 'a-token-of-the-metrics-0123456789';
const MEDIA_KEY = 'an-api-key-of-the-pages-0123456789';
const PLUGIN_ID = 'a-plugin';

/** What the shell examples have in their environment. */
const ENVIRONMENT = {
  MEDIA_KEY,
  KIRIM_TOKEN: 'kdv_live_0123456789abcdefghijklmn',
  KIRIM_WEBHOOK_SECRET: 'kirim-webhook-secret',
  SIGNALWIRE_PROJECT_ID: ACCOUNTS.signalwire,
  SIGNALWIRE_API_TOKEN: 'PT0123456789',
  SIGNALWIRE_SIGNING_KEY: 'PSK0123456789',
  TWILIO_ACCOUNT_SID: ACCOUNTS.twilio,
  TWILIO_AUTH_TOKEN: 'twilio-auth-token',
  META_TOKEN: 'EAA0123456789',
  META_PHONE_NUMBER_ID: PHONE_NUMBER_ID,
  META_APP_SECRET: 'meta-app-secret',
  META_VERIFY_TOKEN: 'meta-verify-token',
  META_MEDIA_ID: whatsappMediaId(2),
  CHAKRA_TOKEN: 'chakra-token',
  CHAKRA_PLUGIN_ID: PLUGIN_ID,
  CHAKRA_WEBHOOK_SECRET: 'chakraUrlSecret',
  CHAKRA_MEDIA_ID: whatsappMediaId(1),
  GATEWAY_TOKEN: 'gateway-token',
  GATEWAY_WEBHOOK_SECRET: 'gateway-webhook-secret',
  GUPSHUP_TOKEN: 'sk_0123456789',
  GUPSHUP_APP_ID: APP_ID,
  GUPSHUP_WEBHOOK_SECRET: 'gupshup-webhook-secret',
  ROUTER_SECRET: 'a-router-secret',
} as const;

/** What the pages' addresses stand for: a server over stand-ins for the providers, with the channels of the pages. */
export class World {
  private constructor(
    private readonly bed: WebhookBed,
    private readonly servers: ReadonlyArray<{ close(): Promise<void> }>,
    private readonly gatewayMediaPath: string,
    private readonly addresses: Readonly<Record<string, string>>,
  ) {}

  static async start(): Promise<World> {
    const env = ENVIRONMENT;
    const cdn = new CdnEmulator();
    const kirim = new KirimEmulator({ token: env.KIRIM_TOKEN, cdn });
    const signalwire = laml('signalwire', env.SIGNALWIRE_API_TOKEN, cdn);
    const twilio = laml('twilio', env.TWILIO_AUTH_TOKEN, cdn);
    const meta = new WhatsAppEmulator({
      token: env.META_TOKEN,
      phoneNumberId: PHONE_NUMBER_ID,
      appSecret: env.META_APP_SECRET,
    });
    const chakra = new ChakraEmulator({ token: env.CHAKRA_TOKEN, pluginId: PLUGIN_ID });
    const gateway = new WaGatewayEmulator({
      appId: APP_ID,
      token: env.GATEWAY_TOKEN,
      webhookSecret: env.GATEWAY_WEBHOOK_SECRET,
    });
    const gupshup = new GupshupPartnerEmulator({ appId: APP_ID, token: env.GUPSHUP_TOKEN });
    const servers = [cdn, kirim, signalwire, twilio, meta, chakra, gateway, gupshup];
    await Promise.all(servers.map((server) => server.start()));

    const { photo, sticker, voiceNote, video, document } = samples;
    const caption = 'This is where we are, can you deliver here?';
    kirim.addMessage({ id: kirimMessageId(1), media: { ...photo, filename: undefined, caption } });
    kirim.addMessage({ id: kirimMessageId(2), media: sticker });
    kirim.addMessage({ id: kirimMessageId(3), media: voiceNote });
    signalwire.addMessage({
      sid: signalwireMessageSid(1),
      media: [
        { ...photo, sid: signalwireMediaSid(1) },
        { ...video, sid: signalwireMediaSid(2) },
      ],
    });
    twilio.addMessage({ sid: twilioMessageSid(1), media: [{ ...document, sid: twilioMediaSid(1) }] });
    meta.addMedia({ ...document, id: env.META_MEDIA_ID });
    chakra.addMedia({ ...voiceNote, id: env.CHAKRA_MEDIA_ID });
    const path = gateway.addMedia({ ...sticker, deviceId: DEVICE_ID, messageId: waGatewayMessageId(1) });
    cdn.put('photo.jpg', photo);
    cdn.put('offer.pdf', document);

    const bed = await WebhookBed.start({
      config: { auth: { mode: 'apiKey', apiKeys: [allScopes(MEDIA_KEY)] }, metrics: { token: METRICS_TOKEN } },
      channels: [
        {
          id: 'support',
          provider: 'kirim',
          baseUrl: kirim.baseUrl,
          credentials: { token: env.KIRIM_TOKEN },
          webhook: { secret: env.KIRIM_WEBHOOK_SECRET },
        },
        lamlChannel('sms', 'signalwire', signalwire.baseUrl, env.SIGNALWIRE_API_TOKEN),
        lamlChannel('mms', 'twilio', twilio.baseUrl, env.TWILIO_AUTH_TOKEN),
        {
          id: 'wa-cloud',
          provider: 'whatsapp-cloud',
          baseUrl: meta.baseUrl,
          credentials: { token: env.META_TOKEN },
          options: { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [meta.lookaside.url] },
          webhook: { secret: env.META_APP_SECRET, verifyToken: env.META_VERIFY_TOKEN },
        },
        {
          id: 'wa-chakra',
          provider: 'chakra',
          baseUrl: chakra.baseUrl,
          credentials: { token: env.CHAKRA_TOKEN },
          options: { pluginId: PLUGIN_ID },
          webhook: { secret: env.CHAKRA_WEBHOOK_SECRET },
        },
        {
          id: 'wa-gateway',
          provider: 'wa-gateway',
          baseUrl: gateway.baseUrl,
          credentials: { token: env.GATEWAY_TOKEN },
          webhook: { secret: env.GATEWAY_WEBHOOK_SECRET },
        },
        {
          id: 'wa-gupshup',
          provider: 'gupshup',
          baseUrl: gupshup.baseUrl,
          credentials: { token: env.GUPSHUP_TOKEN },
          options: { appId: APP_ID },
          webhook: { secret: env.GUPSHUP_WEBHOOK_SECRET },
        },
      ],
    });
    const { url } = bed.app;
    return new World(bed, servers, path ?? '', {
      'https://media.example.com': url,
      'http://mediagraph:4000': url,
      'wss://media.example.com': url.replace('http', 'ws'),
      'https://api-kckit.kirim.chat/v1': kirim.baseUrl,
      'https://example.signalwire.com/api/laml/2010-04-01': signalwire.baseUrl,
      'https://api.twilio.com/2010-04-01': twilio.baseUrl,
      'https://graph.facebook.com': meta.baseUrl,
      'https://api.chakrahq.com': chakra.baseUrl,
      'https://gateway.example.com': gateway.baseUrl,
      'https://partner.gupshup.io': gupshup.baseUrl,
      'https://files.example.com/': cdn.publicUrl(''),
      'https://example.com/offer.pdf': cdn.publicUrl('offer.pdf'),
      'YOUR-KEY': MEDIA_KEY,
      // The README's shortened ids, and its "some media".
      'msg_01HX…': kirimMessageId(1),
      '0a059168-…': signalwireMessageSid(1),
      '(id: "…")': '(id: "AQdzdXBwb3J0Hm1zZ18wMUhYTjZFSDMxRjY1M1FEQzI4OEVSWkhUR1PrNQ8")',
    });
  }

  get url(): string {
    return this.bed.app.url;
  }

  get authorization(): string {
    return `Bearer ${MEDIA_KEY}`;
  }

  get environment(): Readonly<Record<string, string>> {
    return { ...ENVIRONMENT, GATEWAY_MEDIA_PATH: this.gatewayMediaPath };
  }

  /** An example with the addresses of this world in place of the pages'. */
  here(text: string): string {
    return Object.entries(this.addresses).reduce((sofar, [there, here]) => sofar.replaceAll(there, here), text);
  }

  /** The answer to an operation, as text. */
  async answer(query: string): Promise<string> {
    const headers = { 'content-type': 'application/json', authorization: this.authorization };
    const { bytes } = await this.bed.send('POST', '/graphql', headers, Buffer.from(JSON.stringify({ query })));
    return bytes.toString();
  }

  /** Subscribes and unsubscribes. @returns the error of the subscription, or '' */
  async refusalOf(query: string): Promise<string> {
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: this.authorization,
    };
    const options = { method: 'POST', headers, body: JSON.stringify({ query }) } as const;
    const { body } = await request(`${this.bed.app.url}/graphql`, options);
    let output = '';
    body.setEncoding('utf8').on('data', (text: string) => {
      output += String(text).replace(':\n\n', '');
    });
    body.on('error', () => {});
    await until('a subscription, or why there is none', async () => {
      const { bytes } = await this.bed.send('GET', '/metrics', { authorization: `Bearer ${METRICS_TOKEN}` });
      return output !== '' || /^mediagraph_subscriptions [1-9]/m.test(bytes.toString());
    });
    body.destroy();
    return output;
  }

  async close(): Promise<void> {
    await this.bed.close();
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

function allScopes(key: string): Readonly<Record<string, unknown>> {
  const sha256 = createHash('sha256').update(key).digest('hex');
  return { sha256, tenant: 'default', scopes: ['media:read', 'media:write', 'media:delete'] };
}

function laml(flavour: 'signalwire' | 'twilio', password: string, cdn: CdnEmulator): LamlEmulator {
  const accountSid = ACCOUNTS[flavour];
  return new LamlEmulator({ flavour, accountSid, username: accountSid, password, cdn });
}

function lamlChannel(
  id: string,
  provider: 'signalwire' | 'twilio',
  baseUrl: string,
  password: string,
): Readonly<Record<string, unknown>> {
  const accountSid = ACCOUNTS[provider];
  const webhook = { secret: password, url: `https://media.example.com/webhooks/${id}` };
  return { id, provider, baseUrl, credentials: { accountSid, username: accountSid, password }, webhook };
}
