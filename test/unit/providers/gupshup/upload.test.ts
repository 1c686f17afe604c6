import { CdnEmulator } from '../../../../demo/src/emulators/cdn-emulator.js';
import type { Fault } from '../../../../demo/src/emulators/faults.js';
import { GupshupPartnerEmulator } from '../../../../demo/src/emulators/gupshup/gupshup-partner-emulator.js';
import { loadMediaSamples } from '../../../../demo/src/emulators/media-samples.js';
import { GupshupAdapter } from '../../../../src/providers/gupshup/adapter.js';
import { gupshupChannel } from '../../../../src/providers/gupshup/settings.js';
import type { UploadedMedia } from '../../../../src/providers/provider-adapter.js';
import type { Quota } from '../../../../src/providers/quota.js';
import { adapterContext, type ContextOptions, MemoryQuota } from '../../../support/adapter-context.js';
import { mediagraphErrorOf } from '../../../support/mediagraph-error.js';

const APP = '7c1a9f6e-2b64-4c53-9d51-0b8a4c1f2e3d';
const TOKEN = 'sk_0123456789abcdef';
const HOUR_MS = 3_600_000;
const { photo, voiceNote } = loadMediaSamples();
const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

interface Options extends Partial<Omit<ContextOptions, 'quota'>> {
  readonly header?: 'authorization' | 'token';
  readonly quota?: Quota;
}

async function setUp({ header, ...options }: Options = {}) {
  const clock = { now: Date.UTC(2026, 10, 21) };
  const now = () => clock.now;
  const partner = await new GupshupPartnerEmulator({ appId: APP, token: TOKEN, now }).start();
  const cdn = await new CdnEmulator().start();
  cdn.put('photo.jpg', photo);
  const quota = new MemoryQuota(now);
  const { context, close } = adapterContext({ baseUrl: partner.baseUrl, retries: 3, quota, ...options });
  closeables.push(partner, cdn, { close });
  const channel = gupshupChannel.parse({
    id: 'wa',
    provider: 'gupshup',
    baseUrl: partner.baseUrl,
    credentials: { token: TOKEN, header },
    options: { appId: APP },
  });
  return {
    partner,
    cdn,
    clock,
    quota,
    url: cdn.publicUrl('photo.jpg'),
    adapter: new GupshupAdapter(channel, context, now),
  };
}

function upload(adapter: GupshupAdapter, url: string, mimeType = photo.mimeType): Promise<UploadedMedia> {
  return adapter.uploadMediaFromUrl({ url, mimeType }, {});
}

function deletion(adapter: GupshupAdapter, providerMediaId: string | null): Promise<void> {
  return adapter.deleteMedia({ providerMessageId: null, providerMediaId, downloadUrl: null }, {});
}

const errorFault = (status: number, message: string): Fault => ({
  kind: 'status',
  status,
  body: JSON.stringify({ message, status: 'error' }),
});

describe('an upload', () => {
  test.each(['authorization', 'token'] as const)('makes the provider fetch the URL (%s)', async (header) => {
    const { partner, cdn, url, adapter } = await setUp({ header });
    const { providerMediaId } = await upload(adapter, url);
    expect(partner.uploads).toEqual([{ id: providerMediaId, bytes: photo.bytes, fileType: 'image/jpeg', mode: 'url' }]);
    expect(partner.fetches).toEqual([{ url, status: 200 }]);
    expect(cdn.requests[0]?.headers).not.toHaveProperty('authorization');
    const [request] = partner.requests;
    expect(request).toMatchObject({ method: 'POST', path: `/partner/app/${APP}/media`, headers: { [header]: TOKEN } });
    expect(request?.headers).not.toHaveProperty(header === 'token' ? 'authorization' : 'token');
  });

  test('names the essence of its type alone', async () => {
    const { partner, url, adapter } = await setUp();
    await upload(adapter, url, voiceNote.mimeType);
    expect(partner.uploads).toMatchObject([{ fileType: 'audio/ogg' }]);
  });

  test('can have every type that the provider accepts', async () => {
    const { partner, url, adapter } = await setUp();
    expect(adapter.uploadLimits.size).toBe(19);
    expect(adapter.uploadLimits.get('audio/opus')).toBe(16_000_000);
    for (const mimeType of adapter.uploadLimits.keys()) await upload(adapter, url, mimeType);
    expect(partner.uploads).toHaveLength(19);
  });

  test.each([
    ['a type that is not taken', { mimeType: 'image/gif' }, 'CONTENT_TYPE_NOT_ALLOWED', 400],
    ['a URL that leads nowhere', { path: 'nothing.jpg' }, 'PROVIDER_UNAVAILABLE', 500],
  ])(
    'of %s is refused, and leaves nothing',
    async (_name, { mimeType, path }: { mimeType?: string; path?: string }, code, upstreamStatus) => {
      const { partner, cdn, adapter } = await setUp();
      const error = await mediagraphErrorOf(upload(adapter, cdn.publicUrl(path ?? 'photo.jpg'), mimeType));
      expect(error).toMatchObject({ code, details: { provider: 'gupshup', channelId: 'wa', upstreamStatus } });
      expect(partner.uploads).toEqual([]);
      expect(partner.requestCount).toBe(1);
    },
  );

  test('to an app that is not on the Cloud API is PROVIDER_REJECTED', async () => {
    const { partner, url, adapter } = await setUp();
    partner.isCloudApiApp = false;
    expect(await mediagraphErrorOf(upload(adapter, url))).toMatchObject({ code: 'PROVIDER_REJECTED' });
  });

  test.each<[string, Fault, object]>([
    ['413', { kind: 'status', status: 413 }, { code: 'MEDIA_TOO_LARGE' }],
    ['401', { kind: 'status', status: 401 }, { code: 'PROVIDER_CREDENTIALS' }],
    [
      '429',
      { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
      { code: 'PROVIDER_RATE_LIMITED', details: { retryable: true, retryAfterMs: 1000 } },
    ],
    [
      '500',
      errorFault(500, 'Unable to upload requested Media'),
      { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } },
    ],
    ['a lost connection', { kind: 'reset' }, { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } }],
    ['silence', { kind: 'hang' }, { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } }],
    ['no media id', { kind: 'body', body: '{"status":"success"}' }, { code: 'PROVIDER_PROTOCOL' }],
    [
      'a media id that leads elsewhere',
      { kind: 'body', body: '{"mediaId":"../1","status":"success"}' },
      { code: 'PROVIDER_PROTOCOL' },
    ],
    ['a page', { kind: 'body', body: '<html>', contentType: 'text/html' }, { code: 'PROVIDER_PROTOCOL' }],
  ])('that meets %s is sent once', async (_name, fault, expected) => {
    const { partner, url, adapter } = await setUp({ timeoutMs: 50 });
    partner.fault = fault;
    expect(await mediagraphErrorOf(upload(adapter, url))).toMatchObject(expected);
    expect(partner.requestCount).toBe(1);
  });

  test('waits longer than for an answer while the provider fetches', async () => {
    const { partner, cdn, url, adapter } = await setUp({ timeoutMs: 100 });
    cdn.fault = { kind: 'delay', ms: 300 };
    await upload(adapter, url);
    expect(partner.uploads).toHaveLength(1);
  });
});

describe('a deletion', () => {
  async function withUpload(options: Options = {}) {
    const fixture = await setUp(options);
    const { providerMediaId } = await upload(fixture.adapter, fixture.url);
    fixture.partner.clearRequests();
    return { ...fixture, id: providerMediaId };
  }

  test.each(['authorization', 'token'] as const)('is sent once and remembered (%s)', async (header) => {
    const { partner, quota, adapter, id } = await withUpload({ header });
    await deletion(adapter, id);
    await deletion(adapter, id);
    expect(partner.uploads).toEqual([]);
    expect(partner.requests).toMatchObject([
      { method: 'DELETE', path: `/partner/app/${APP}/media/${id}`, headers: { [header]: TOKEN } },
    ]);
    expect(quota.names).toEqual([`gupshup-deletions:${APP}`]);
  });

  test('of a media that is not there is success', async () => {
    const { partner, adapter } = await setUp();
    await deletion(adapter, '404');
    expect(partner.requestCount).toBe(1);
  });

  test.each([null, '', '..', 'a/b', 'a%2fb', 'photo.jpg'])(
    'of %j, which is no media id, is success without a call',
    async (id) => {
      const { partner, quota, adapter } = await setUp();
      await deletion(adapter, id);
      expect(partner.requestCount).toBe(0);
      expect(quota.names).toEqual([]);
    },
  );

  test('is not sent an eleventh time in an hour', async () => {
    const { partner, clock, adapter, id } = await withUpload();
    for (let index = 0; index < 10; index += 1) {
      await deletion(adapter, `40${index}`);
      clock.now += 60_000;
    }
    expect(await mediagraphErrorOf(deletion(adapter, id))).toMatchObject({
      code: 'PROVIDER_RATE_LIMITED',
      details: { provider: 'gupshup', channelId: 'wa', retryable: true, retryAfterMs: HOUR_MS - 10 * 60_000 },
    });
    expect(partner.requestCount).toBe(10);
    clock.now += HOUR_MS - 10 * 60_000;
    await deletion(adapter, id);
    expect(partner.uploads).toEqual([]);
  });

  test.each([400, 429] as const)('without room left by other clients is PROVIDER_RATE_LIMITED (%i)', async (status) => {
    const { partner, adapter, id } = await withUpload();
    const foreignDeletions = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        fetch(`${partner.url}/partner/app/${APP}/media/${index}`, {
          method: 'DELETE',
          headers: { token: TOKEN, connection: 'close' },
        }),
      ),
    );
    expect(foreignDeletions.map(({ status }) => status)).toEqual(new Array(10).fill(400));
    partner.clearRequests();
    partner.beyondDeletions = status;
    expect(await mediagraphErrorOf(deletion(adapter, id))).toMatchObject({
      code: 'PROVIDER_RATE_LIMITED',
      details: { retryable: true, retryAfterMs: HOUR_MS, upstreamStatus: status },
    });
    expect(partner.requestCount).toBe(1);
    expect(partner.uploads).toHaveLength(1);
  });

  test.each<[string, Fault, string]>([
    ['500', { kind: 'status', status: 500 }, 'PROVIDER_UNAVAILABLE'],
    ['503', { kind: 'status', status: 503 }, 'PROVIDER_UNAVAILABLE'],
    ['a lost connection', { kind: 'reset' }, 'PROVIDER_UNAVAILABLE'],
    ['401', { kind: 'status', status: 401 }, 'PROVIDER_CREDENTIALS'],
    ['another 400', errorFault(400, 'Bad Request'), 'PROVIDER_REJECTED'],
    ['another app', errorFault(404, 'App not found'), 'PROVIDER_REJECTED'],
    ['200 without success', { kind: 'body', body: '{"status":"error"}' }, 'PROVIDER_PROTOCOL'],
    ['a page', { kind: 'body', body: '<html>', contentType: 'text/html' }, 'PROVIDER_PROTOCOL'],
  ])('that is answered with %s costs one of ten, may be tried again, and is then done', async (_name, fault, code) => {
    const { partner, quota, adapter, id } = await withUpload();
    partner.fault = fault;
    expect(await mediagraphErrorOf(deletion(adapter, id))).toMatchObject({ code, details: { retryable: true } });
    expect(partner.requestCount).toBe(1);
    expect(quota.names).toHaveLength(1);
    partner.fault = null;
    await deletion(adapter, id);
    expect(partner.uploads).toEqual([]);
  });

  test('is not sent while the counter is unavailable', async () => {
    const reject = () => Promise.reject(new Error('the catalogue is away'));
    const quota: Quota = { take: reject, hold: reject };
    const { partner, adapter, id } = await withUpload({ quota });
    await expect(deletion(adapter, id)).rejects.toThrow('the catalogue is away');
    expect(partner.requestCount).toBe(0);
  });
});

describe('the emulator', () => {
  test('accepts files, which have a file name, and requires a bare token', async () => {
    const { partner } = await setUp();
    const post = (headers: Record<string, string>) => {
      const form = new FormData();
      form.append('file', new Blob([new Uint8Array(photo.bytes)]), 'photo.jpg');
      form.append('file_type', 'image/jpeg');
      return fetch(`${partner.url}/partner/app/${APP}/media`, {
        method: 'POST',
        body: form,
        headers: { ...headers, connection: 'close' },
      });
    };
    expect(await (await post({ token: TOKEN })).json()).toEqual({ mediaId: '1852559851913765', status: 'success' });
    expect(partner.uploads).toMatchObject([{ mode: 'file', bytes: photo.bytes }]);
    expect((await post({ authorization: `Bearer ${TOKEN}` })).status).toBe(401);
    expect((await post({})).status).toBe(401);
    expect(partner.fetches).toEqual([]);
  });
});
