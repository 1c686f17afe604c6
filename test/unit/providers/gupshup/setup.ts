import {
  GupshupFilemanagerEmulator,
  type GupshupMedia,
} from '../../../../demo/src/emulators/gupshup/gupshup-emulator.js';
import { loadMediaSamples } from '../../../../demo/src/emulators/media-samples.js';
import { MediagraphError } from '../../../../src/model/errors.js';
import type { MediaRef } from '../../../../src/model/media.js';
import { GupshupAdapter } from '../../../../src/providers/gupshup/adapter.js';
import { gupshupChannel } from '../../../../src/providers/gupshup/settings.js';
import { adapterContext, type ContextOptions, MemoryQuota } from '../../../support/adapter-context.js';
import { RawServer } from '../../../support/raw-server.js';

export const APP = '7c1a9f6e-2b64-4c53-9d51-0b8a4c1f2e3d';
export const TOKEN = 'sk_0123456789abcdef';
export const SECRET = 'static-webhook-secret';
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export const samples = loadMediaSamples();
export const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

export async function setUp(options: Partial<ContextOptions> & { header?: 'authorization' | 'token' } = {}) {
  const clock = { now: Date.UTC(2026, 10, 21) };
  const now = () => clock.now;
  const webhookHeader = { name: 'X-Webhook-Token', value: SECRET };
  const files = await new GupshupFilemanagerEmulator({ appId: APP, webhookHeader, now }).start();
  const partner = await RawServer.start();
  const { context, close } = adapterContext({ baseUrl: partner.url, quota: new MemoryQuota(now), ...options });
  closeables.push(files, partner, { close });
  const channel = gupshupChannel.parse({
    id: 'wa',
    provider: 'gupshup',
    baseUrl: partner.url,
    credentials: { token: TOKEN, header: options.header },
    options: { appId: APP },
  });
  const add = (media: Partial<GupshupMedia> = {}) =>
    files.addMedia({ ...samples.photo, id: '1852559851913765', messageId: 'ABEG', ...media });
  return { files, partner, clock, add, adapter: new GupshupAdapter(channel, context, now) };
}

export function ref(downloadUrl: string | null): MediaRef {
  return { providerMessageId: 'ABEG', providerMediaId: '1852559851913765', downloadUrl };
}

/** Opens a media and closes the stream. Returns `OK` or the code of the error. */
export async function outcomeOf(adapter: GupshupAdapter, url: string): Promise<string> {
  try {
    (await adapter.openMedia(ref(url), {})).body.destroy();
    return 'OK';
  } catch (thrown) {
    return thrown instanceof MediagraphError ? thrown.code : String(thrown);
  }
}

/** URLs of media that never existed. */
export function invalidUrls(files: GupshupFilemanagerEmulator, number: number, from = 0): string[] {
  return Array.from({ length: number }, (_, index) => files.mediaUrl(`9${from + index}`));
}

export async function outcomesOf(adapter: GupshupAdapter, urls: readonly string[]): Promise<string[]> {
  return Promise.all(urls.map((url) => outcomeOf(adapter, url)));
}
