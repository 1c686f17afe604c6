import { buffer } from 'node:stream/consumers';
import type { EmulatorServer } from '../../../demo/src/emulators/emulator-server.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { ChakraEmulator } from '../../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { parseConfig } from '../../../src/config/config.js';
import { MediagraphError } from '../../../src/model/errors.js';
import type { MediaRef } from '../../../src/model/media.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { connectChannels } from '../../../src/providers/connect-channels.js';
import type { CallOptions, ProviderAdapter } from '../../../src/providers/provider-adapter.js';
import { MemoryQuota } from '../../support/adapter-context.js';

export const TOKEN = 'EAAJBrefusaltoken0123456789';
export const NUMBER = '106540352242922';
export const APP = '7c1a9f6e-2b64-4c53-9d51-0b8a4c1f2e3d';
export const { photo } = loadMediaSamples();
const cleanups: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

export async function startEmulator<Emulator extends EmulatorServer>(emulator: Emulator): Promise<Emulator> {
  await emulator.start();
  cleanups.push(() => emulator.close());
  return emulator;
}

interface ConnectOptions {
  readonly channel: Readonly<Record<string, unknown>>;
  readonly quota?: MemoryQuota;
}

/** Connects a channel as one replica does. Returns its adapter and its log lines. */
export function connect({ channel, quota = new MemoryQuota() }: ConnectOptions): {
  adapter: ProviderAdapter;
  lines: string[];
} {
  const config = parseConfig(
    {
      network: { allowPrivate: ['127.0.0.0/8'] },
      providers: { [`${channel.provider}`]: { retries: 0, timeout: '5s' } },
      channels: [{ id: 'line', credentials: { token: TOKEN }, ...channel }],
    },
    {},
  );
  const pools = new OriginPools();
  const lines: string[] = [];
  const logger = { info: (...entry: unknown[]) => void lines.push(JSON.stringify(entry)) };
  const { directory, close } = connectChannels(config, { pools, quota, logger });
  cleanups.push(close, () => pools.close());
  return { adapter: directory.get('default', 'line').adapter, lines };
}

export async function meta(now?: () => number) {
  const account = { token: TOKEN, phoneNumberId: NUMBER, appSecret: 'a secret' };
  const api = await startEmulator(new WhatsAppEmulator({ ...account, ...(now && { now }) }));
  const options = { phoneNumberId: NUMBER, mediaOrigins: [api.lookaside.url] };
  return { api, channel: { provider: 'whatsapp-cloud', baseUrl: api.baseUrl, options } };
}

export async function chakra() {
  const api = await startEmulator(new ChakraEmulator({ token: TOKEN }));
  return { api, channel: { provider: 'chakra', baseUrl: api.baseUrl } };
}

export const refOf = (ref: Partial<MediaRef>): MediaRef => ({
  providerMessageId: 'wamid.1',
  providerMediaId: null,
  downloadUrl: null,
  ...ref,
});

export async function open(
  adapter: ProviderAdapter,
  ref: Partial<MediaRef>,
  options: CallOptions = {},
): Promise<Buffer> {
  if (!adapter.openMedia) throw new Error('expected an adapter that opens');
  return buffer((await adapter.openMedia(refOf(ref), options)).body);
}

/** Returns `OK`, or the error of the opening. */
export async function outcomeOf(
  adapter: ProviderAdapter,
  ref: Partial<MediaRef>,
  options: CallOptions = {},
): Promise<'OK' | MediagraphError> {
  const outcome = await open(adapter, ref, options).catch((thrown: unknown) => thrown);
  if (outcome instanceof MediagraphError) return outcome;
  if (outcome instanceof Error) throw outcome;
  return 'OK';
}

export function graphError(code: number, keys: object = {}): string {
  return JSON.stringify({ error: { message: 'x', type: 'OAuthException', code, fbtrace_id: 'AbC-1', ...keys } });
}
