import { buffer } from 'node:stream/consumers';
import { CdnEmulator } from '../../../../demo/src/emulators/cdn-emulator.js';
import { LamlEmulator } from '../../../../demo/src/emulators/laml/laml-emulator.js';
import { loadMediaSamples } from '../../../../demo/src/emulators/media-samples.js';
import {
  signalwireMediaSid,
  signalwireMessageSid,
  signalwireProjectId,
  twilioAccountSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../../../demo/src/emulators/sample-ids.js';
import type { MediaRef } from '../../../../src/model/media.js';
import type { ChannelFact, ChannelFacts } from '../../../../src/providers/channel-facts.js';
import { channelSettings } from '../../../../src/providers/channel-schema.js';
import { MediaPath } from '../../../../src/providers/laml/media-path.js';
import type { ProviderAdapter } from '../../../../src/providers/provider-adapter.js';
import { createAdapter } from '../../../../src/providers/registry.js';
import { adapterContext } from '../../../support/adapter-context.js';

const { photo } = loadMediaSamples();
const DAY_MS = 24 * 60 * 60 * 1000;
const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

/** The facts of a catalogue, with the clock of the test. */
class MemoryFacts implements ChannelFacts {
  readonly #facts = new Map<string, { value: string; until: number }>();
  isUnavailable = false;

  constructor(private readonly now: () => number = Date.now) {}

  async recall(channelId: string, fact: string): Promise<ChannelFact | null> {
    if (this.isUnavailable) throw new Error('the catalogue is away');
    const stored = this.#facts.get(`${channelId} ${fact}`);
    const leftMs = stored ? stored.until - this.now() : 0;
    return stored && leftMs > 0 ? { value: stored.value, leftMs } : null;
  }

  async note(channelId: string, fact: string, value: string, forMs: number): Promise<void> {
    if (this.isUnavailable) throw new Error('the catalogue is away');
    this.#facts.set(`${channelId} ${fact}`, { value, until: this.now() + forMs });
  }
}

async function setUp(flavour: 'signalwire' | 'twilio' = 'signalwire') {
  const isTwilio = flavour === 'twilio';
  const accountSid = isTwilio ? twilioAccountSid(1) : signalwireProjectId(1);
  const messageSid = isTwilio ? twilioMessageSid : signalwireMessageSid;
  const mediaSid = isTwilio ? twilioMediaSid : signalwireMediaSid;
  const cdn = await new CdnEmulator().start();
  const laml = new LamlEmulator({ flavour, accountSid, username: accountSid, password: 'secret', cdn });
  for (const index of [1, 2]) laml.addMessage({ sid: messageSid(index), media: [{ ...photo, sid: mediaSid(index) }] });
  await laml.start();
  closeables.push(cdn, laml);
  const credentials = { accountSid, username: accountSid, password: 'secret' };
  const channel = channelSettings.parse({ id: 'sms', provider: flavour, baseUrl: laml.baseUrl, credentials });
  const facts = new MemoryFacts();
  /** Creates the adapter of another replica. */
  const replica = (): ProviderAdapter => {
    const { context, close } = adapterContext({ baseUrl: laml.baseUrl, timeoutMs: 900, facts });
    closeables.push({ close });
    return createAdapter(channel, context);
  };
  const ref = (index: number, downloadUrl: string | null = null): MediaRef => ({
    providerMessageId: messageSid(index),
    providerMediaId: mediaSid(index),
    downloadUrl,
  });
  const announcedUrl = (index: number) => laml.mediaUrl(messageSid(index), mediaSid(index));
  return { laml, cdn, facts, replica, ref, announcedUrl, messageSid };
}

async function listOne(adapter: ProviderAdapter, messageSid: string): Promise<unknown> {
  const [answer] = (await adapter.listMedia?.([messageSid], {})) ?? [];
  return answer;
}

const FAULT = { code: 'PROVIDER_PROTOCOL', retryable: false };

describe('a SignalWire project that answers metadata in place of bytes', () => {
  test('is detected at the first download; from then on every replica lists media as FAILED', async () => {
    const { laml, replica, ref, messageSid } = await setUp();
    laml.bytesWithoutExtension = 'json';
    const [first, second] = [replica(), replica()];
    expect(await first.listedMediaFault?.()).toBeNull();
    await expect(first.openMedia?.(ref(1), {})).rejects.toMatchObject({
      code: FAULT.code,
      details: { retryable: false },
    });
    for (const adapter of [first, second]) {
      expect(await listOne(adapter, messageSid(2))).toMatchObject([{ status: 'FAILED', fault: FAULT }]);
      expect(await adapter.listedMediaFault?.()).toMatchObject(FAULT);
    }
  });

  test('still opens media by the URL of a webhook', async () => {
    const { laml, cdn, replica, ref } = await setUp();
    laml.bytesWithoutExtension = 'json';
    const adapter = replica();
    await expect(adapter.openMedia?.(ref(1), {})).rejects.toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    cdn.put('told', photo);
    const stream = await adapter.openMedia?.(ref(2, cdn.publicUrl('told')), {});
    expect(stream && (await buffer(stream.body))).toEqual(photo.bytes);
  });

  test('counts as repaired once it returns bytes', async () => {
    const { laml, replica, ref, messageSid } = await setUp();
    laml.bytesWithoutExtension = 'json';
    const adapter = replica();
    await expect(adapter.openMedia?.(ref(1), {})).rejects.toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    laml.bytesWithoutExtension = 'redirect';
    (await adapter.openMedia?.(ref(1), { job: true }))?.body.destroy();
    expect(await listOne(adapter, messageSid(2))).toMatchObject([{ status: 'READY' }]);
    expect(await listOne(replica(), messageSid(2))).toMatchObject([{ status: 'READY' }]);
  });

  test('is remembered by its process while the catalogue is unavailable', async () => {
    const { laml, facts, replica, ref, messageSid } = await setUp();
    facts.isUnavailable = true;
    laml.bytesWithoutExtension = 'json';
    const adapter = replica();
    await expect(adapter.openMedia?.(ref(1), {})).rejects.toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    expect(await listOne(adapter, messageSid(2))).toMatchObject([{ status: 'FAILED' }]);
  });

  test.each(['redirect', 'inline'] as const)(
    'is not assumed where the path returns bytes (%s), and needs no extra call',
    async (way) => {
      const { laml, replica, ref, messageSid } = await setUp();
      laml.bytesWithoutExtension = way;
      const adapter = replica();
      expect(await listOne(adapter, messageSid(1))).toMatchObject([{ status: 'READY' }]);
      expect(laml.requestCount).toBe(1);
      (await adapter.openMedia?.(ref(1), {}))?.body.destroy();
      expect(await adapter.listedMediaFault?.()).toBeNull();
    },
  );

  test('is tried again after a day', async () => {
    let now = 0;
    const facts = new MemoryFacts(() => now);
    const path = () => new MediaPath({ channelId: 'sms', facts, now: () => now });
    const first = path();
    await first.note('metadata');
    now = DAY_MS - 1;
    expect([await first.givesMetadata(), await path().givesMetadata()]).toEqual([true, true]);
    now = DAY_MS;
    expect([await first.givesMetadata(), await path().givesMetadata()]).toEqual([false, false]);
  });
});

test('JSON of Twilio says nothing about other media', async () => {
  const { laml, replica, ref, messageSid } = await setUp('twilio');
  laml.bytesWithoutExtension = 'json';
  const adapter = replica();
  await expect(adapter.openMedia?.(ref(1), {})).rejects.toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  expect(await listOne(adapter, messageSid(2))).toMatchObject([{ status: 'READY' }]);
});

describe.each(['signalwire', 'twilio'] as const)('details of a media of %s', (flavour) => {
  test('come from "Retrieve Message Media"', async () => {
    const { laml, replica, ref, announcedUrl } = await setUp(flavour);
    const details = { kind: 'IMAGE', mimeType: 'image/jpeg', sizeBytes: null, sha256: null, filename: null };
    expect(await replica().describeMedia?.([ref(1), ref(2, announcedUrl(2))], {})).toMatchObject([details, details]);
    expect(laml.requests.map(({ path }) => path)).toEqual([
      expect.stringMatching(/\/Media\/[^/]+\.json$/),
      expect.stringMatching(/\/Media\/[^/]+\.json$/),
    ]);
  });

  test('are missing, without a fault, where the API does not know the URL of a webhook', async () => {
    const { replica, ref } = await setUp(flavour);
    const elsewhere = { ...ref(1, 'https://x.test/1'), providerMediaId: 'no-sid' };
    const gone = { ...ref(1), providerMediaId: 'no-sid' };
    expect(await replica().describeMedia?.([elsewhere, gone], {})).toMatchObject([
      { kind: null, mimeType: null },
      { code: 'MEDIA_NOT_FOUND' },
    ]);
  });

  test('ignore fields of another type', async () => {
    const { laml, replica, ref } = await setUp(flavour);
    laml.fault = { kind: 'body', body: '{"content_type":17}' };
    expect(await replica().describeMedia?.([ref(1)], {})).toMatchObject([{ kind: null, mimeType: null }]);
    laml.fault = { kind: 'body', body: 'null' };
    expect(await replica().describeMedia?.([ref(1)], {})).toMatchObject([{ code: 'PROVIDER_PROTOCOL' }]);
  });
});
