import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import { GupshupFilemanagerEmulator } from '../../demo/src/emulators/gupshup/gupshup-emulator.js';
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
  whatsappMessageId,
} from '../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { ChakraEmulator } from '../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { PROVIDER_NAMES, type ProviderName } from '../../src/model/channel.js';
import type { MediaRef } from '../../src/model/media.js';
import type { AdapterSubject } from '../support/adapter-bed.js';
import { describeAdapterContract } from '../support/adapter-contract.js';
import { APP_ID, DEVICE_ID, PHONE_NUMBER_ID } from '../support/emulated-providers.js';
import { samples } from '../support/sample-messages.js';
import { ACCOUNTS } from '../support/test-bed.js';

/** Credentials of every provider; none of them is a part of another text. */
const TOKEN = 'contract-token-0123456789';
const ABSENT = 99;
const { photo } = samples;

const SUBJECTS: Readonly<Record<ProviderName, () => Promise<AdapterSubject>>> = {
  kirim: async () => {
    const cdn = new CdnEmulator();
    const api = new KirimEmulator({ token: TOKEN, cdn });
    await started(cdn, api);
    return {
      emulators: [cdn, api],
      trusted: [api],
      origin: cdn,
      channel: { provider: 'kirim', baseUrl: api.baseUrl, credentials: { token: TOKEN } },
      credentials: [TOKEN],
      receive: (index) => {
        const id = kirimMessageId(index);
        api.addMessage({ id, media: photo });
        return { ref: refOf({ providerMessageId: id }), mark: id };
      },
      absent: () => refOf({ providerMessageId: kirimMessageId(ABSENT) }),
    };
  },
  signalwire: () => laml('signalwire', signalwireMessageSid, signalwireMediaSid),
  twilio: () => laml('twilio', twilioMessageSid, twilioMediaSid),
  'whatsapp-cloud': async () => {
    const api = new WhatsAppEmulator({ token: TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: 'a secret' });
    await started(api);
    const { lookaside } = api;
    const options = { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [lookaside.url] };
    return {
      emulators: [api, lookaside],
      trusted: [api, lookaside],
      origin: lookaside,
      channel: { provider: 'whatsapp-cloud', baseUrl: api.baseUrl, credentials: { token: TOKEN }, options },
      credentials: [TOKEN],
      ...whatsapp(api),
    };
  },
  chakra: async () => {
    const pluginId = 'a-plugin';
    const api = new ChakraEmulator({ token: TOKEN, pluginId });
    await started(api);
    return {
      emulators: [api],
      trusted: [api],
      origin: api,
      channel: { provider: 'chakra', baseUrl: api.baseUrl, credentials: { token: TOKEN }, options: { pluginId } },
      credentials: [TOKEN],
      ...whatsapp(api),
    };
  },
  'wa-gateway': async () => {
    const api = new WaGatewayEmulator({ appId: APP_ID, token: TOKEN, webhookSecret: 'a secret' });
    await started(api);
    return {
      emulators: [api],
      trusted: [api],
      origin: api,
      channel: { provider: 'wa-gateway', baseUrl: api.baseUrl, credentials: { token: TOKEN } },
      credentials: [TOKEN],
      receive: (index) => {
        const messageId = waGatewayMessageId(index);
        const providerMediaId = api.addMedia({ ...photo, deviceId: DEVICE_ID, messageId });
        return { ref: refOf({ providerMessageId: messageId, providerMediaId }), mark: messageId };
      },
      absent: () => refOf({ providerMediaId: `media/${APP_ID}/${DEVICE_ID}-${waGatewayMessageId(ABSENT)}.bin` }),
    };
  },
  gupshup: async () => {
    const api = new GupshupPartnerEmulator({ appId: APP_ID, token: TOKEN });
    const files = new GupshupFilemanagerEmulator({ appId: APP_ID });
    await started(api, files);
    return {
      emulators: [api, files],
      trusted: [api],
      origin: files,
      channel: {
        provider: 'gupshup',
        baseUrl: api.baseUrl,
        credentials: { token: TOKEN, header: 'token' },
        options: { appId: APP_ID },
      },
      credentials: [TOKEN],
      receive: (index) => {
        const id = whatsappMediaId(index);
        const messageId = whatsappMessageId(index);
        const downloadUrl = files.addMedia({ ...photo, id, messageId });
        return { ref: refOf({ providerMessageId: messageId, providerMediaId: id, downloadUrl }), mark: id };
      },
      absent: () => refOf({ downloadUrl: files.mediaUrl(whatsappMediaId(ABSENT)) }),
    };
  },
};

describe.each(PROVIDER_NAMES)('the adapter of %s', (provider) => {
  describeAdapterContract(SUBJECTS[provider]);
});

async function laml(
  flavour: 'signalwire' | 'twilio',
  messageSid: (index: number) => string,
  mediaSid: (index: number) => string,
): Promise<AdapterSubject> {
  const cdn = new CdnEmulator();
  const accountSid = ACCOUNTS[flavour];
  const credentials = { accountSid, username: accountSid, password: TOKEN };
  const api = new LamlEmulator({ flavour, ...credentials, cdn });
  await started(cdn, api);
  return {
    emulators: [cdn, api],
    trusted: [api],
    origin: cdn,
    channel: { provider: flavour, baseUrl: api.baseUrl, credentials },
    credentials: [Buffer.from(`${accountSid}:${TOKEN}`).toString('base64'), TOKEN],
    receive: (index) => {
      const sid = messageSid(index);
      api.addMessage({ sid, media: [{ ...photo, sid: mediaSid(index) }] });
      return { ref: refOf({ providerMessageId: sid, providerMediaId: mediaSid(index) }), mark: sid };
    },
    absent: () => refOf({ providerMessageId: messageSid(ABSENT), providerMediaId: mediaSid(ABSENT) }),
  };
}

function whatsapp(api: WhatsAppEmulator | ChakraEmulator): Pick<AdapterSubject, 'receive' | 'absent'> {
  return {
    receive: (index) => {
      const id = whatsappMediaId(index);
      api.addMedia({ ...photo, id });
      return { ref: refOf({ providerMessageId: whatsappMessageId(index), providerMediaId: id }), mark: id };
    },
    absent: () => refOf({ providerMediaId: whatsappMediaId(ABSENT) }),
  };
}

function refOf(ref: Partial<MediaRef>): MediaRef {
  return { providerMessageId: null, providerMediaId: null, downloadUrl: null, ...ref };
}

async function started(...emulators: readonly EmulatorServer[]): Promise<void> {
  await Promise.all(emulators.map((emulator) => emulator.start()));
}
