import { loadMediaSamples } from '../../../../demo/src/emulators/media-samples.js';
import {
  WaGatewayEmulator,
  type WaGatewayMedia,
} from '../../../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { WaGatewayAdapter } from '../../../../src/providers/wa-gateway/adapter.js';
import { waGatewayChannel } from '../../../../src/providers/wa-gateway/settings.js';
import { adapterContext, type ContextOptions } from '../../../support/adapter-context.js';

export const APP = 'b1580b43-f254-4a5e-bad3-6b16f49517d9';
export const DEVICE = '367ec376-2c93-45bc-ad97-bbbb42507021';
export const MESSAGE = 'AC4A3F9F8767CFB3DC015AA3A4805AC9';
export const PATH = `media/${APP}/${DEVICE}-${MESSAGE}.bin`;
export const TOKEN = 'wa-token-0123456789';

export const samples = loadMediaSamples();
export const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

export async function setUp(options: Partial<ContextOptions> & { maxBytes?: number } = {}) {
  const clock = { now: Date.UTC(2026, 10, 21) };
  const now = () => clock.now;
  const { maxBytes } = options;
  const webhookSecret = 'webhook-secret';
  const gateway = await new WaGatewayEmulator({ appId: APP, token: TOKEN, webhookSecret, maxBytes, now }).start();
  const { context, close } = adapterContext({ baseUrl: gateway.baseUrl, ...options });
  const channel = waGatewayChannel.parse({
    id: 'wa',
    provider: 'wa-gateway',
    baseUrl: gateway.baseUrl,
    credentials: { token: TOKEN },
  });
  closeables.push(gateway, { close });
  const add = (media: Partial<WaGatewayMedia> = {}) =>
    gateway.addMedia({ ...samples.photo, deviceId: DEVICE, messageId: MESSAGE, ...media });
  return { gateway, clock, add, adapter: new WaGatewayAdapter(channel, context, now) };
}
