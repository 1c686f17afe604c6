import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import { GupshupPartnerEmulator } from '../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { ChakraEmulator } from '../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { metaChannel, metaEmulator } from './meta.js';
import { ACCOUNTS, CHANNELS, kirimChannel, SECRETS } from './test-bed.js';

/** Channels of {@link UploadProviders} besides those of the test bed. */
export const CHAKRA = 'chakra';
export const GUPSHUP = 'gupshup';
export const GATEWAY = 'gateway';

const GUPSHUP_APP = 'b8e1f2c4-6a7d-4f3e-9c10-3a5b7d9e1f20';
const GUPSHUP_TOKEN = 'sk_0123456789gupshup';

const CHAKRA_TOKEN = 'chakra-token-0123456789';
const GATEWAY_TOKEN = 'gateway-token-0123456789';
const PLUGIN_ID = '5f0c2f1e-plugin';

/** All seven providers as uploads and deletions meet them, emulated, and the channels that lead to them. */
export class UploadProviders {
  readonly cdn = new CdnEmulator();
  readonly kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn: this.cdn });
  readonly signalwire = this.#laml('signalwire', SECRETS.signalwirePassword);
  readonly twilio = this.#laml('twilio', SECRETS.twilioPassword);
  readonly meta = metaEmulator();
  readonly chakra = new ChakraEmulator({ token: CHAKRA_TOKEN, pluginId: PLUGIN_ID });
  readonly gateway = new WaGatewayEmulator({ appId: GUPSHUP_APP, token: GATEWAY_TOKEN, webhookSecret: 'a secret' });
  readonly gupshup = new GupshupPartnerEmulator({ appId: GUPSHUP_APP, token: GUPSHUP_TOKEN });

  static async start(): Promise<UploadProviders> {
    const providers = new UploadProviders();
    await Promise.all(providers.all.map((emulator) => emulator.start()));
    return providers;
  }

  get all(): readonly EmulatorServer[] {
    const { cdn, kirim, signalwire, twilio, meta, chakra, gateway, gupshup } = this;
    return [cdn, kirim, signalwire, twilio, meta, chakra, gateway, gupshup];
  }

  channels(): Array<Readonly<Record<string, unknown>>> {
    return [
      kirimChannel(this.kirim.baseUrl),
      this.#lamlChannel('signalwire', SECRETS.signalwirePassword),
      this.#lamlChannel('twilio', SECRETS.twilioPassword),
      metaChannel(this.meta),
      {
        id: CHAKRA,
        provider: 'chakra',
        baseUrl: this.chakra.baseUrl,
        credentials: { token: CHAKRA_TOKEN },
        options: { pluginId: PLUGIN_ID },
      },
      this.gupshupChannel(),
      { id: GATEWAY, provider: 'wa-gateway', baseUrl: this.gateway.baseUrl, credentials: { token: GATEWAY_TOKEN } },
    ];
  }

  gupshupChannel(
    id: string = GUPSHUP,
    header: 'authorization' | 'token' = 'authorization',
  ): Readonly<Record<string, unknown>> {
    const credentials = { token: GUPSHUP_TOKEN, header };
    return { id, provider: 'gupshup', baseUrl: this.gupshup.baseUrl, credentials, options: { appId: GUPSHUP_APP } };
  }

  /** Ends all faults, and clears the recorded requests; the media of the providers stay. */
  reset(): void {
    for (const emulator of this.all) {
      emulator.fault = null;
      emulator.faults.length = 0;
      emulator.latencyMs = 0;
      emulator.clearRequests();
    }
    this.meta.lookaside.clearRequests();
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((emulator) => emulator.close()));
  }

  #laml(flavour: 'signalwire' | 'twilio', password: string): LamlEmulator {
    const accountSid = ACCOUNTS[flavour];
    return new LamlEmulator({ flavour, accountSid, username: accountSid, password, cdn: this.cdn });
  }

  #lamlChannel(provider: 'signalwire' | 'twilio', password: string): Readonly<Record<string, unknown>> {
    const accountSid = ACCOUNTS[provider];
    const credentials = { accountSid, username: accountSid, password };
    return { id: CHANNELS[provider], provider, baseUrl: this[provider].baseUrl, credentials };
  }
}

/** Requests of a method that reached an emulator. */
export function requestsOf(emulator: EmulatorServer, method: string): string[] {
  return emulator.requests.filter((request) => request.method === method).map(({ path }) => path);
}
