import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { GupshupFilemanagerEmulator } from '../../demo/src/emulators/gupshup/gupshup-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { ChakraEmulator } from '../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { ACCOUNTS, CHANNELS, kirimChannel, SECRETS } from './test-bed.js';

export const APP_ID = 'b8e1f2c4-6a7d-4f3e-9c10-3a5b7d9e1f20';
export const DEVICE_ID = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b';
export const PHONE_NUMBER_ID = '106540352242922';

/** By channel. */
export const WEBHOOK_SECRETS = {
  wa: 'whsec_a secret of Kirim',
  sms: 'a signing key of SignalWire',
  mms: 'an auth token of Twilio',
  cloud: 'an app secret of Meta',
  chakra: 'chakra-url-token',
  gateway: 'a gateway secret',
  gupshup: 'gupshup-header',
} as const;

/** The URL that SignalWire and Twilio call: their signatures cover it. */
export const LAML_URLS = {
  sms: 'https://media.example.com/webhooks/sms',
  mms: 'https://media.example.com/webhooks/mms',
} as const;

type Urls = Readonly<Record<'wa' | 'sms' | 'mms' | 'cloud' | 'lookaside' | 'chakra' | 'gateway', string>>;

/** A channel of every provider, all with webhooks, at the given base URLs. Gupshup's API is asked for nothing. */
export function webhookChannels(urls: Urls): Array<Readonly<Record<string, unknown>>> {
  const laml = (provider: 'signalwire' | 'twilio', password: string) => {
    const id = CHANNELS[provider];
    const credentials = { accountSid: ACCOUNTS[provider], username: ACCOUNTS[provider], password };
    return {
      id,
      provider,
      baseUrl: urls[id],
      credentials,
      webhook: { secret: WEBHOOK_SECRETS[id], url: LAML_URLS[id] },
    };
  };
  return [
    kirimChannel(urls.wa, { webhook: { secret: WEBHOOK_SECRETS.wa } }),
    laml('signalwire', SECRETS.signalwirePassword),
    laml('twilio', SECRETS.twilioPassword),
    {
      id: 'cloud',
      provider: 'whatsapp-cloud',
      baseUrl: urls.cloud,
      credentials: { token: 'meta-token' },
      options: { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [urls.lookaside] },
      webhook: { secret: WEBHOOK_SECRETS.cloud, verifyToken: 'hello' },
    },
    {
      id: 'chakra',
      provider: 'chakra',
      baseUrl: urls.chakra,
      credentials: { token: 'chakra-token' },
      webhook: { secret: WEBHOOK_SECRETS.chakra },
    },
    {
      id: 'gateway',
      provider: 'wa-gateway',
      baseUrl: urls.gateway,
      credentials: { token: 'gateway-token' },
      webhook: { secret: WEBHOOK_SECRETS.gateway },
    },
    {
      id: 'gupshup',
      provider: 'gupshup',
      baseUrl: 'https://partner.gupshup.io',
      credentials: { token: 'gupshup-token' },
      options: { appId: APP_ID },
      webhook: { secret: WEBHOOK_SECRETS.gupshup },
    },
  ];
}

/** Every provider, emulated, and the channels that lead to them. */
export class EmulatedProviders {
  readonly cdn = new CdnEmulator();
  readonly kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn: this.cdn });
  readonly signalwire = this.#laml('signalwire', SECRETS.signalwirePassword);
  readonly twilio = this.#laml('twilio', SECRETS.twilioPassword);
  readonly meta = new WhatsAppEmulator({
    token: 'meta-token',
    phoneNumberId: PHONE_NUMBER_ID,
    appSecret: WEBHOOK_SECRETS.cloud,
  });
  readonly chakra = new ChakraEmulator({ token: 'chakra-token' });
  readonly gateway = new WaGatewayEmulator({
    appId: APP_ID,
    token: 'gateway-token',
    webhookSecret: WEBHOOK_SECRETS.gateway,
  });
  readonly gupshup = new GupshupFilemanagerEmulator({
    appId: APP_ID,
    webhookHeader: { name: 'X-Webhook-Token', value: WEBHOOK_SECRETS.gupshup },
  });

  async start(): Promise<void> {
    await Promise.all(this.#all.map((emulator) => emulator.start()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((emulator) => emulator.close()));
  }

  channels(): Array<Readonly<Record<string, unknown>>> {
    const { kirim, signalwire, twilio, meta, chakra, gateway } = this;
    return webhookChannels({
      wa: kirim.baseUrl,
      sms: signalwire.baseUrl,
      mms: twilio.baseUrl,
      cloud: meta.baseUrl,
      lookaside: meta.lookaside.url,
      chakra: chakra.baseUrl,
      gateway: gateway.baseUrl,
    });
  }

  /** Requests that reached any of them. */
  get requestCount(): number {
    return this.#all.reduce((sum, { requestCount }) => sum + requestCount, this.meta.lookaside.requestCount);
  }

  get #all() {
    const { cdn, kirim, signalwire, twilio, meta, chakra, gateway, gupshup } = this;
    return [cdn, kirim, signalwire, twilio, meta, chakra, gateway, gupshup];
  }

  #laml(flavour: 'signalwire' | 'twilio', password: string): LamlEmulator {
    const accountSid = ACCOUNTS[flavour];
    return new LamlEmulator({ flavour, accountSid, username: accountSid, password, cdn: this.cdn });
  }
}
