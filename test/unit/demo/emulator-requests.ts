import { Agent, request } from 'undici';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator, type KirimEmulatorOptions } from '../../../demo/src/emulators/kirim/kirim-emulator.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';

export const samples = loadMediaSamples();
export const dispatcher = new Agent();
const started: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((emulator) => emulator.close()));
});

afterAll(() => dispatcher.destroy());

/** Closes the emulator after the test. */
export function closeLater(emulator: { close(): Promise<void> }): void {
  started.push(emulator);
}

export interface Got {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
}

export async function get(
  url: string,
  headers: Record<string, string> = {},
  method: 'GET' | 'HEAD' | 'DELETE' = 'GET',
): Promise<Got> {
  const response = await request(url, { dispatcher, method, headers });
  return {
    status: response.statusCode,
    headers: response.headers,
    bytes: Buffer.from(await response.body.arrayBuffer()),
  };
}

export function jsonOf(got: Got): unknown {
  return JSON.parse(got.bytes.toString());
}

export async function startCdn(now?: () => number): Promise<CdnEmulator> {
  const cdn = await new CdnEmulator(now ? { now } : {}).start();
  closeLater(cdn);
  return cdn;
}

export async function startKirim(options: Partial<KirimEmulatorOptions> = {}) {
  const cdn = options.cdn ?? (await startCdn());
  const kirim = await new KirimEmulator({ token: 'kdv_live_0123456789abcdefghijklmn', cdn, ...options }).start();
  closeLater(kirim);
  return { cdn, kirim };
}

export const bearer = { authorization: 'Bearer kdv_live_0123456789abcdefghijklmn' };
