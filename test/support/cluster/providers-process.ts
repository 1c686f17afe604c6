/**
 * A process of its own that is every provider of the cluster, and the source of uploads. `cluster-providers.ts` forks it
 * and calls it over the channel; it ends with the channel.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import type { Answer, EmulatorRequest } from '../../../demo/src/emulators/faults.js';
import { KirimEmulator } from '../../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../../../demo/src/emulators/laml/laml-emulator.js';
import {
  kirimMessageId,
  twilioAccountSid,
  twilioMediaSid,
  twilioMessageSid,
  waGatewayMessageId,
  whatsappMediaId,
  whatsappMessageId,
} from '../../../demo/src/emulators/sample-ids.js';
import { WaGatewayEmulator } from '../../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { WhatsAppEmulator } from '../../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { PHOTO_TYPE, photoBytes, sha256Of } from './photos.js';
import type { AcceptedUpload, ProvidersCalls, ProvidersFacts, ReceivedPhoto } from './providers-protocol.js';

const META_TOKEN = 'meta-token-of-the-cluster';
const APP_SECRET = 'an app secret of the cluster';
const PHONE_NUMBER_ID = '106540352242922';
const KIRIM_TOKEN = 'kdv_live_token_of_the_cluster';
const KIRIM_SECRET = 'whsec_a secret of the cluster';
const TWILIO_ACCOUNT = twilioAccountSid(1);
const TWILIO_TOKEN = 'an auth token of the cluster';
const TWILIO_URL = 'https://media.example.com/webhooks/mms';
const GATEWAY_APP = 'b8e1f2c4-6a7d-4f3e-9c10-3a5b7d9e1f20';
const GATEWAY_DEVICE = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b';
const GATEWAY_TOKEN = 'a-gateway-token-of-the-cluster';
const GATEWAY_SECRET = 'a gateway secret of the cluster';
/** Above what the load asks for: the cluster's own quotas are no subject here. */
const NO_RATE_LIMIT = { limit: 1_000_000, windowMs: 60_000 };

const uploads: AcceptedUpload[] = [];
const deleted: string[] = [];
const sources = new Map<string, number>();

class RecordingMeta extends WhatsAppEmulator {
  protected override async answer(request: EmulatorRequest, body: Buffer): Promise<Answer> {
    const answer = await super.answer(request, body);
    if (answer.status !== 200) return answer;
    if (request.method === 'DELETE') deleted.push(/\/(\d+)(\?|$)/.exec(request.path)?.[1] ?? request.path);
    if (request.method !== 'POST') return answer;
    const { id }: { id: string } = JSON.parse(String(answer.body));
    const added = this.media.find((media) => media.id === id);
    if (added) uploads.push({ id, sha256: sha256Of(added.bytes) });
    return answer;
  }
}

class RecordingTwilio extends LamlEmulator {
  protected override answer(request: EmulatorRequest): Answer {
    const answer = super.answer(request);
    if (request.method === 'DELETE' && answer.status === 204)
      deleted.push(/\/Messages\/([^/]+)/.exec(request.path)?.[1] ?? request.path);
    return answer;
  }
}

const cdn = new CdnEmulator();
const meta = new RecordingMeta({ token: META_TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: APP_SECRET });
const kirim = new KirimEmulator({
  token: KIRIM_TOKEN,
  cdn,
  webhookSecrets: [KIRIM_SECRET],
  rateLimit: NO_RATE_LIMIT,
});
const twilio = new RecordingTwilio({
  flavour: 'twilio',
  accountSid: TWILIO_ACCOUNT,
  username: TWILIO_ACCOUNT,
  password: TWILIO_TOKEN,
  cdn,
});
const gateway = new WaGatewayEmulator({ appId: GATEWAY_APP, token: GATEWAY_TOKEN, webhookSecret: GATEWAY_SECRET });

function channels(): ProvidersFacts['channels'] {
  return [
    {
      id: 'cloud',
      provider: 'whatsapp-cloud',
      baseUrl: meta.baseUrl,
      credentials: { token: META_TOKEN },
      options: { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [meta.lookaside.url] },
      webhook: { secret: APP_SECRET },
    },
    {
      id: 'wa',
      provider: 'kirim',
      baseUrl: kirim.baseUrl,
      credentials: { token: KIRIM_TOKEN },
      webhook: { secret: KIRIM_SECRET },
    },
    {
      id: 'mms',
      provider: 'twilio',
      baseUrl: twilio.baseUrl,
      credentials: { accountSid: TWILIO_ACCOUNT, username: TWILIO_ACCOUNT, password: TWILIO_TOKEN },
      webhook: { secret: TWILIO_TOKEN, url: TWILIO_URL },
    },
    {
      id: 'gateway',
      provider: 'wa-gateway',
      baseUrl: gateway.baseUrl,
      credentials: { token: GATEWAY_TOKEN },
      webhook: { secret: GATEWAY_SECRET },
    },
  ];
}

/** Serves the photos that uploads name, and counts the requests for each. */
async function startSource(): Promise<string> {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    sources.set(path, (sources.get(path) ?? 0) + 1);
    const [, index] = /^\/photos\/(\d+)\.jpg$/.exec(path) ?? [];
    if (index === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': PHOTO_TYPE }).end(photoBytes(Number(index)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  return `http://127.0.0.1:${address.port}`;
}

const receivers = {
  meta(index) {
    const [mediaId, id] = [whatsappMediaId(index), whatsappMessageId(index)];
    meta.addMedia({ id: mediaId, bytes: photoBytes(index), mimeType: PHOTO_TYPE });
    return { channelId: 'cloud', messageId: `cloud:${id}`, delivery: meta.webhookOf(mediaId, { id }) };
  },
  kirim(index) {
    const id = kirimMessageId(index);
    kirim.addMessage({ id, media: { bytes: photoBytes(index), mimeType: PHOTO_TYPE } });
    return { channelId: 'wa', messageId: `wa:${id}`, delivery: kirim.webhookOf(id) };
  },
  twilio(index) {
    const sid = twilioMessageSid(index);
    const media = [{ sid: twilioMediaSid(index), bytes: photoBytes(index), mimeType: PHOTO_TYPE }];
    twilio.addMessage({ sid, media });
    return { channelId: 'mms', messageId: `mms:${sid}`, delivery: twilio.webhookOf(sid, TWILIO_URL) };
  },
  gateway(index) {
    const messageId = waGatewayMessageId(index);
    gateway.addMedia({
      deviceId: GATEWAY_DEVICE,
      messageId,
      filename: `${index}.jpg`,
      bytes: photoBytes(index),
      mimeType: PHOTO_TYPE,
    });
    return { channelId: 'gateway', messageId: `gateway:${messageId}`, delivery: gateway.messageEvent(messageId) };
  },
} satisfies Record<string, (index: number) => ReceivedPhoto>;

const calls: ProvidersCalls = {
  async start() {
    await Promise.all([cdn, meta, kirim, twilio, gateway].map((emulator) => emulator.start()));
    return { channels: channels(), sourceUrl: await startSource() };
  },
  async receive({ provider, index }) {
    return receivers[provider](index);
  },
  async asked() {
    return { uploads, sources: Object.fromEntries(sources), deleted, present: meta.media.map(({ id }) => id) };
  },
};

interface Call {
  readonly id: number;
  readonly name: keyof ProvidersCalls;
  readonly argument: Parameters<ProvidersCalls['receive']>[0];
}

async function perform({ id, name, argument }: Call): Promise<void> {
  try {
    process.send?.({ id, result: await calls[name](argument) });
  } catch (thrown) {
    process.send?.({ id, error: String(thrown) });
  }
}

process.on('message', (call: Call) => void perform(call));
process.once('disconnect', () => process.exit());
