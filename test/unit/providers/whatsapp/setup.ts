import { createHash } from 'node:crypto';
import { CdnEmulator } from '../../../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../../../demo/src/emulators/emulator-server.js';
import { loadMediaSamples } from '../../../../demo/src/emulators/media-samples.js';
import { ChakraEmulator } from '../../../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { PROVIDER_NAMES, type ProviderName } from '../../../../src/model/channel.js';
import { MediagraphError } from '../../../../src/model/errors.js';
import type { MediaDetails, MediaRef } from '../../../../src/model/media.js';
import { OriginPools } from '../../../../src/net/client/origin-pools.js';
import type { CallPolicy } from '../../../../src/net/client/provider-http-client.js';
import { type ChannelSettings, channelSettings } from '../../../../src/providers/channel-schema.js';
import { connectChannels } from '../../../../src/providers/connect-channels.js';
import type { ByteStream, ProviderAdapter } from '../../../../src/providers/provider-adapter.js';
import { MemoryQuota } from '../../../support/adapter-context.js';

const TOKEN = 'EAAJBwhatsapptoken0123456789';
export const BEARER = `Bearer ${TOKEN}`;
export const APP_SECRET = '0123456789abcdef0123456789abcdef';
export const PHONE_NUMBER_ID = '106540352242922';
export const MEDIA_ID = '1761991787669262';
export const LOOPBACK = ['127.0.0.0/8'];
export const PAGE = '<!doctype html><html><body>Log in to Facebook</body></html>';
export const samples = loadMediaSamples();

export const cleanups: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

export interface Connection {
  readonly policy?: Partial<CallPolicy>;
  readonly maxBytes?: number;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Connects a channel as the configuration does, with its real HTTP clients. */
function connect(channel: Readonly<Record<string, unknown>>, { policy, maxBytes = 10_000_000 }: Connection): Adapter {
  const callPolicy: CallPolicy = { timeoutMs: 5_000, retries: 0, maxConcurrency: 8, ...policy };
  const providers = Object.fromEntries(PROVIDER_NAMES.map((name) => [name, callPolicy])) as Record<
    ProviderName,
    CallPolicy
  >;
  const pools = new OriginPools();
  const { directory, close } = connectChannels(
    {
      channels: [channelSettings.parse({ id: 'wa', credentials: { token: TOKEN }, ...channel })],
      providers,
      network: { allowPrivate: [], allowedPorts: [80, 443] },
      upload: { maxBytes },
    },
    { pools, quota: new MemoryQuota() },
  );
  cleanups.push(close, () => pools.close());
  return withMethods(directory.get('default', 'wa').adapter);
}

type Adapter = ProviderAdapter & Required<Pick<ProviderAdapter, 'describeMedia' | 'openMedia'>>;

function withMethods(adapter: ProviderAdapter): Adapter {
  const { describeMedia, openMedia } = adapter;
  if (!describeMedia || !openMedia) throw new Error('expected an adapter that describes and opens');
  return Object.assign(adapter, { describeMedia, openMedia });
}

async function startEmulator<Emulator extends EmulatorServer>(emulator: Emulator): Promise<Emulator> {
  await emulator.start();
  cleanups.push(() => emulator.close());
  return emulator;
}

interface Meta {
  readonly meta: WhatsAppEmulator;
  readonly adapter: Adapter;
}

export async function startMeta(connection: Connection = {}, now?: () => number): Promise<Meta> {
  const account = { token: TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: APP_SECRET };
  const meta = await startEmulator(new WhatsAppEmulator({ ...account, ...(now ? { now } : {}) }));
  meta.addMedia({ ...samples.photo, id: MEDIA_ID });
  const options = { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [meta.lookaside.url], ...connection.options };
  return { meta, adapter: connect({ provider: 'whatsapp-cloud', baseUrl: meta.baseUrl, options }, connection) };
}

export async function startChakra(connection: Connection = {}, now?: () => number) {
  const chakra = await startEmulator(new ChakraEmulator({ token: TOKEN, ...(now ? { now } : {}) }));
  chakra.addMedia({ ...samples.photo, id: MEDIA_ID });
  const { options = {} } = connection;
  return { chakra, adapter: connect({ provider: 'chakra', baseUrl: chakra.baseUrl, options }, connection) };
}

/** Starts a server at another origin, with a file at the path of every announced URL. */
export async function startElsewhere(): Promise<CdnEmulator> {
  const cdn = await startEmulator(new CdnEmulator());
  cdn.put('whatsapp_business/attachments/', samples.photo);
  return cdn;
}

export function refOf(providerMediaId: string | null): MediaRef {
  return { providerMessageId: 'wamid.HBgL', providerMediaId, downloadUrl: null };
}

export async function describeOne(adapter: Adapter, id: string | null = MEDIA_ID): Promise<MediaDetails | Error> {
  const [details, ...more] = await adapter.describeMedia([refOf(id)], {});
  if (details === undefined || more.length > 0) throw new Error('expected one answer');
  return details;
}

export async function bytesOf(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function openedBytes(adapter: Adapter, id: string | null = MEDIA_ID): Promise<Buffer> {
  return bytesOf(await adapter.openMedia(refOf(id), {}));
}

/** Returns the error of opening; closes a stream that was opened unexpectedly. */
export async function refusalOf(adapter: Adapter, id: string | null = MEDIA_ID): Promise<MediagraphError> {
  const outcome = await adapter.openMedia(refOf(id), {}).catch((thrown: unknown) => thrown);
  if (outcome instanceof MediagraphError) return outcome;
  if (isStream(outcome)) outcome.body.destroy();
  throw new Error('expected a MediagraphError', { cause: outcome });
}

function isStream(value: unknown): value is ByteStream {
  return typeof value === 'object' && value !== null && 'body' in value;
}

/** The credentials of each request, in order. */
export function credentialsAt(emulator: EmulatorServer): Array<string | undefined> {
  return emulator.requests.map(({ headers }) => headers.authorization);
}

export const PHOTO_DETAILS: MediaDetails = {
  kind: 'IMAGE',
  mimeType: 'image/jpeg',
  sizeBytes: samples.photo.bytes.length,
  sha256: createHash('sha256').update(samples.photo.bytes).digest('hex'),
  filename: null,
  caption: null,
};

export const OF_CHANNEL = { provider: 'whatsapp-cloud', channelId: 'wa' };
export const GRAPH_ERROR = (code: number, subcode?: number) =>
  JSON.stringify({
    error: { message: 'x', type: 'OAuthException', code, error_subcode: subcode, fbtrace_id: 'AbC-1' },
  });

export const META_CHANNEL = {
  id: 'wa',
  provider: 'whatsapp-cloud',
  baseUrl: 'https://graph.facebook.com',
  credentials: { token: TOKEN },
  options: { phoneNumberId: PHONE_NUMBER_ID },
};
export const CHAKRA_CHANNEL = {
  id: 'wa',
  provider: 'chakra',
  baseUrl: 'https://api.chakrahq.com',
  credentials: { token: TOKEN },
};

type WhatsAppSettings = Extract<ChannelSettings, { provider: 'whatsapp-cloud' | 'chakra' }>;

export function parsed(channel: object): WhatsAppSettings {
  const settings = channelSettings.parse(channel);
  if (settings.provider === 'whatsapp-cloud' || settings.provider === 'chakra') return settings;
  throw new Error('expected a channel of WhatsApp');
}
