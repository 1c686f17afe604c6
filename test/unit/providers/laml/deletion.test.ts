import { CdnEmulator } from '../../../../demo/src/emulators/cdn-emulator.js';
import type { Fault } from '../../../../demo/src/emulators/faults.js';
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
import { channelSettings } from '../../../../src/providers/channel-schema.js';
import type { ProviderAdapter } from '../../../../src/providers/provider-adapter.js';
import { createAdapter } from '../../../../src/providers/registry.js';
import { adapterContext } from '../../../support/adapter-context.js';
import { mediagraphErrorOf } from '../../../support/mediagraph-error.js';

const { photo } = loadMediaSamples();
/** Shorter than the first wait, so that a 404 is final immediately. */
const TOO_SHORT_TO_RETRY_MS = 900;
const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

type Flavour = 'signalwire' | 'twilio';

async function setUp(flavour: Flavour, timeoutMs = 2_000) {
  const isTwilio = flavour === 'twilio';
  const accountSid = isTwilio ? twilioAccountSid(1) : signalwireProjectId(1);
  const messageSid = isTwilio ? twilioMessageSid(1) : signalwireMessageSid(1);
  const [sid, otherSid] = isTwilio
    ? [twilioMediaSid(1), twilioMediaSid(2)]
    : [signalwireMediaSid(1), signalwireMediaSid(2)];
  const cdn = await new CdnEmulator().start();
  const laml = new LamlEmulator({ flavour, accountSid, username: accountSid, password: 'secret', cdn });
  laml.addMessage({ sid: messageSid, media: [{ ...photo, sid }] });
  await laml.start();
  const { context, close } = adapterContext({ baseUrl: laml.baseUrl, timeoutMs });
  closeables.push(cdn, laml, { close });
  const credentials = { accountSid, username: accountSid, password: 'secret' };
  const channel = channelSettings.parse({ id: 'sms', provider: flavour, baseUrl: laml.baseUrl, credentials });
  const ref: MediaRef = { providerMessageId: messageSid, providerMediaId: sid, downloadUrl: null };
  return { laml, cdn, adapter: createAdapter(channel, context), messageSid, sid, otherSid, ref };
}

function deletion(adapter: ProviderAdapter, ref: MediaRef): Promise<void> {
  if (!adapter.deleteMedia) throw new Error('expected an adapter that deletes');
  return adapter.deleteMedia(ref, {});
}

describe.each(['signalwire', 'twilio'] as const)('a deletion at %s', (flavour) => {
  test('removes the media from listings and downloads', async () => {
    const { laml, adapter, messageSid, sid, ref } = await setUp(flavour);
    expect(await adapter.listMedia?.([messageSid], {})).toMatchObject([[{ providerMediaId: sid }]]);
    laml.clearRequests();
    await deletion(adapter, ref);
    expect(laml.requests).toMatchObject([{ method: 'DELETE' }]);
    expect(laml.requests[0]?.path).toMatch(flavour === 'twilio' ? /\/Media\/ME[0-9a-f]+\.json$/ : /\/Media\/[^/.]+$/);
    expect(await adapter.listMedia?.([messageSid], {})).toEqual([[]]);
    expect(await mediagraphErrorOf(Promise.resolve(adapter.openMedia?.(ref, {})))).toMatchObject({
      code: 'MEDIA_NOT_FOUND',
    });
  });

  test('succeeds again, without the wait for a media that may be late', async () => {
    const { laml, adapter, ref } = await setUp(flavour);
    await deletion(adapter, ref);
    await deletion(adapter, ref);
    expect(laml.requestCount).toBe(2);
  });

  test('of a media that never existed, or has no id, succeeds', async () => {
    const { laml, adapter, ref, otherSid } = await setUp(flavour, TOO_SHORT_TO_RETRY_MS);
    await deletion(adapter, { ...ref, providerMediaId: otherSid });
    expect(laml.requestCount).toBe(1);
    await deletion(adapter, { ...ref, providerMessageId: null });
    await deletion(adapter, { ...ref, providerMediaId: null });
    expect(laml.requestCount).toBe(1);
  });

  test('waits for a media that was announced and is not there yet', async () => {
    const { laml, adapter, messageSid, sid, ref } = await setUp(flavour);
    laml.addMessage({ sid: messageSid, media: [{ ...photo, sid, notFoundFirst: 1 }] });
    await deletion(adapter, ref);
    expect(laml.requestCount).toBe(2);
    expect(await adapter.listMedia?.([messageSid], {})).toEqual([[]]);
  });

  test('is refused while the message is in progress, and may be tried again', async () => {
    const { laml, adapter, messageSid, ref } = await setUp(flavour);
    laml.setInProgress(messageSid, true);
    const refusal = await mediagraphErrorOf(deletion(adapter, ref));
    expect(refusal).toMatchObject({
      code: 'PROVIDER_REJECTED',
      message: expect.stringContaining('still in progress'),
      details: { provider: flavour, channelId: 'sms', retryable: true, upstreamCode: '20009' },
    });
    laml.setInProgress(messageSid, false);
    await deletion(adapter, ref);
  });

  const IN_PROGRESS = JSON.stringify({ code: 20009, message: 'x', status: 422 });
  test.each<[string, Fault, object]>([
    ['20009 with 422', { kind: 'status', status: 422, body: IN_PROGRESS }, { code: 'PROVIDER_REJECTED' }],
    ['20009 with 409', { kind: 'status', status: 409, body: IN_PROGRESS }, { code: 'PROVIDER_REJECTED' }],
    ['another refusal', { kind: 'status', status: 400 }, { code: 'PROVIDER_REJECTED' }],
    [
      'a page with 404',
      { kind: 'status', status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' },
      { code: 'PROVIDER_REJECTED' },
    ],
    ['401', { kind: 'status', status: 401 }, { code: 'PROVIDER_CREDENTIALS' }],
    [
      '429',
      { kind: 'status', status: 429, headers: { 'retry-after': '7' } },
      { code: 'PROVIDER_RATE_LIMITED', details: { retryAfterMs: 7000 } },
    ],
    ['500', { kind: 'status', status: 500 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['200', { kind: 'body', body: '{}' }, { code: 'PROVIDER_PROTOCOL' }],
    ['silence', { kind: 'hang' }, { code: 'PROVIDER_UNAVAILABLE' }],
  ])('that is answered with %s fails, and changes nothing', async (_name, fault, expected) => {
    const { laml, adapter, messageSid, ref } = await setUp(flavour);
    laml.fault = fault;
    const error = await mediagraphErrorOf(deletion(adapter, ref));
    expect(error).toMatchObject(expected);
    expect(error.details.retryable).toBe(true);
    laml.fault = null;
    expect(await adapter.listMedia?.([messageSid], {})).toMatchObject([[{}]]);
    await deletion(adapter, ref);
    expect(await adapter.listMedia?.([messageSid], {})).toEqual([[]]);
  });
});

describe('a SignalWire media that is known by its public address', () => {
  async function withAddress() {
    const fixture = await setUp('signalwire');
    fixture.cdn.put('files/name-that-is-no-sid.jpg', photo);
    const downloadUrl = fixture.cdn.publicUrl('files/name-that-is-no-sid.jpg');
    return { ...fixture, ref: { ...fixture.ref, providerMediaId: 'name-that-is-no-sid', downloadUrl } };
  }

  test('is deleted by its id in the listing', async () => {
    const { adapter, messageSid, ref } = await withAddress();
    await deletion(adapter, ref);
    expect(await adapter.listMedia?.([messageSid], {})).toEqual([[]]);
  });

  test('counts as gone when its URL has nothing, also when the message has other media', async () => {
    const { cdn, adapter, messageSid, ref } = await withAddress();
    cdn.remove('files/name-that-is-no-sid.jpg');
    await deletion(adapter, ref);
    expect(await adapter.listMedia?.([messageSid], {})).toMatchObject([[{}]]);
  });

  test('is not deleted when the listing is ambiguous', async () => {
    const { laml, adapter, messageSid, sid, otherSid, ref } = await withAddress();
    laml.addMessage({
      sid: messageSid,
      media: [
        { ...photo, sid },
        { ...photo, sid: otherSid },
      ],
    });
    expect(await mediagraphErrorOf(deletion(adapter, ref))).toMatchObject({
      code: 'PROVIDER_REJECTED',
      details: { retryable: true },
    });
    expect(await adapter.listMedia?.([messageSid], {})).toMatchObject([[{}, {}]]);
  });
});
