import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { request } from 'undici';
import type { Fault } from '../../../demo/src/emulators/faults.js';
import { GupshupFilemanagerEmulator, type GupshupMedia } from '../../../demo/src/emulators/gupshup/gupshup-emulator.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { MediagraphError } from '../../../src/model/errors.js';
import type { MediaRef } from '../../../src/model/media.js';
import { channelSettings } from '../../../src/providers/channel-schema.js';
import { GupshupAdapter } from '../../../src/providers/gupshup/adapter.js';
import { gupshupChannel } from '../../../src/providers/gupshup/settings.js';
import { adapterContext, type ContextOptions, MemoryQuota } from '../../support/adapter-context.js';
import { RawServer } from '../../support/raw-server.js';

const APP = '7c1a9f6e-2b64-4c53-9d51-0b8a4c1f2e3d';
const TOKEN = 'sk_0123456789abcdef';
const SECRET = 'static-webhook-secret';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const samples = loadMediaSamples();
const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

async function setUp(options: Partial<ContextOptions> & { header?: 'authorization' | 'token' } = {}) {
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

function ref(downloadUrl: string | null): MediaRef {
  return { providerMessageId: 'ABEG', providerMediaId: '1852559851913765', downloadUrl };
}

async function errorOf(promise: Promise<unknown>): Promise<MediagraphError> {
  const thrown = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (thrown instanceof MediagraphError) return thrown;
  throw new Error('expected a MediagraphError', { cause: thrown });
}

/** Opens a media and closes the stream. Returns `OK` or the code of the error. */
async function outcomeOf(adapter: GupshupAdapter, url: string): Promise<string> {
  try {
    (await adapter.openMedia(ref(url), {})).body.destroy();
    return 'OK';
  } catch (thrown) {
    return thrown instanceof MediagraphError ? thrown.code : String(thrown);
  }
}

function count(outcomes: readonly string[], expected: string): number {
  return outcomes.filter((outcome) => outcome === expected).length;
}

/** URLs of media that never existed. */
function invalidUrls(files: GupshupFilemanagerEmulator, number: number, from = 0): string[] {
  return Array.from({ length: number }, (_, index) => files.mediaUrl(`9${from + index}`));
}

async function outcomesOf(adapter: GupshupAdapter, urls: readonly string[]): Promise<string[]> {
  return Promise.all(urls.map((url) => outcomeOf(adapter, url)));
}

describe('the bytes', () => {
  test('come from the URL of the webhook, with the details of the headers', async () => {
    const { files, add, adapter } = await setUp();
    const url = add({ ...samples.voiceNote });
    const stream = await adapter.openMedia(ref(url), {});
    expect(stream).toMatchObject({
      declaredMimeType: 'audio/ogg; codecs=opus',
      sizeBytes: samples.voiceNote.bytes.length,
      filename: null,
    });
    expect(await buffer(stream.body)).toEqual(samples.voiceNote.bytes);
    expect(files.url + (files.requests[0]?.path ?? '')).toBe(url);
  });

  test.each(['authorization', 'token'] as const)(
    'are requested without credentials, which are sent nowhere (%s)',
    async (header) => {
      const { files, partner, add, adapter } = await setUp({ header });
      const elsewhere = await RawServer.start((_request, response) => void response.end('bytes'));
      closeables.push(elsewhere);
      const url = add();
      await buffer((await adapter.openMedia(ref(url), {})).body);
      await adapter.describeMedia([ref(url)], {});
      await outcomesOf(adapter, invalidUrls(files, 3));
      files.fault = { kind: 'redirect', status: 302, location: `${elsewhere.url}/moved` };
      expect(await buffer((await adapter.openMedia(ref(url), {})).body)).toEqual(Buffer.from('bytes'));
      const traffic = JSON.stringify([files.requests, elsewhere.requests, elsewhere.headers]);
      expect(traffic).not.toContain(TOKEN);
      for (const headers of [...files.requests.map(({ headers }) => headers), ...elsewhere.headers]) {
        expect(headers).not.toHaveProperty('authorization');
        expect(headers).not.toHaveProperty('token');
        expect(headers).not.toHaveProperty('cookie');
      }
      expect(files.requestCount).toBe(6);
      expect(elsewhere.requests).toEqual(['GET /moved']);
      expect(partner.connectionCount).toBe(0);
    },
  );

  test('that are cut off fail, and never look complete', async () => {
    const { files, add, adapter } = await setUp();
    const url = add();
    files.fault = { kind: 'cut', afterBytes: 1000 };
    const stream = await adapter.openMedia(ref(url), {});
    await expect(buffer(stream.body)).rejects.toThrow();
  });

  test('that stop coming fail', async () => {
    const { files, add, adapter } = await setUp({ timeoutMs: 300 });
    const url = add();
    files.fault = { kind: 'hang-in-body', afterBytes: 1000 };
    const stream = await adapter.openMedia(ref(url), {});
    await expect(buffer(stream.body)).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('above the size limit are MEDIA_TOO_LARGE', async () => {
    const { add, adapter } = await setUp({ maxDownloadBytes: 1000 });
    expect(await outcomeOf(adapter, add())).toBe('MEDIA_TOO_LARGE');
  });

  test.each<[string, Fault]>([
    ['10 MB of JSON', { kind: 'body', body: `["${'x'.repeat(10_000_000)}"]` }],
    ['a page', { kind: 'body', body: '<!doctype html>', contentType: 'text/html; charset=utf-8' }],
    ['an XHTML page', { kind: 'body', body: '<html/>', contentType: 'application/xhtml+xml' }],
    ['a status 204', { kind: 'status', status: 204, body: '' }],
    ['a status 403', { kind: 'status', status: 403 }],
    [
      'a body in an unknown content coding',
      { kind: 'status', status: 200, headers: { 'content-encoding': 'compress' }, body: 'x' },
    ],
  ])('are not %s: PROVIDER_PROTOCOL', async (_name, fault) => {
    const { files, add, adapter } = await setUp();
    const url = add();
    files.fault = fault;
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      code: 'PROVIDER_PROTOCOL',
      details: { provider: 'gupshup', channelId: 'wa' },
    });
    const [described] = await adapter.describeMedia([ref(url)], {});
    expect(described).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    files.fault = null;
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });

  test.each<[string, Fault]>([
    ['silence', { kind: 'hang' }],
    ['a lost connection', { kind: 'reset' }],
    ['a failure', { kind: 'status', status: 502 }],
  ])('are PROVIDER_UNAVAILABLE after %s, and asked for again', async (_name, fault) => {
    const { files, add, adapter } = await setUp({ timeoutMs: 300 });
    const url = add();
    files.fault = fault;
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      details: { retryable: true },
    });
    files.fault = null;
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });

  test('end with the caller, for its reason', async () => {
    const { files, add, adapter } = await setUp();
    const url = add();
    files.fault = { kind: 'hang' };
    const caller = new AbortController();
    const first = adapter.openMedia(ref(url), { signal: caller.signal });
    const waiting = adapter.openMedia(ref(url), { signal: caller.signal });
    caller.abort(new Error('the caller left'));
    await expect(first).rejects.toThrow('the caller left');
    await expect(waiting).rejects.toThrow('the caller left');
    files.fault = null;
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });

  test('of a media without a URL are MEDIA_NOT_FOUND without a request', async () => {
    const { files, adapter } = await setUp();
    expect(await errorOf(adapter.openMedia(ref(null), {}))).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(files.requestCount).toBe(0);
  });
});

describe('an address', () => {
  test.each([
    'http://127.0.0.1/wa/media/1',
    'http://10.0.0.7/wa/media/1',
    'http://169.254.169.254/latest/meta-data',
    'http://[::1]/wa/media/1',
    'http://[::ffff:127.0.0.1]/wa/media/1',
    'http://0177.0.0.1/wa/media/1',
    'http://localhost/wa/media/1',
    'https://user:secret@filemanager.gupshup.io/wa/media/1',
    'https://filemanager.gupshup.io:8080/wa/media/1',
    'file:///etc/passwd',
    '/wa/media/1',
    '',
  ])('%j is URL_NOT_ALLOWED', async (url) => {
    const { adapter } = await setUp({ allowPrivate: [] });
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      code: 'URL_NOT_ALLOWED',
      details: { channelId: 'wa' },
    });
    const [described] = await adapter.describeMedia([ref(url)], {});
    expect(described).toMatchObject({ code: 'URL_NOT_ALLOWED' });
  });

  test("on the emulator's own port is refused unless configured, before any connection", async () => {
    const { files, add, adapter } = await setUp({ allowPrivate: [] });
    expect(await outcomeOf(adapter, add())).toBe('URL_NOT_ALLOWED');
    expect(files.requestCount).toBe(0);
  });

  test('that redirects to a private one is URL_NOT_ALLOWED', async () => {
    const { files, add, adapter } = await setUp();
    const url = add();
    files.fault = { kind: 'redirect', status: 302, location: 'http://169.254.169.254/latest/meta-data' };
    expect(await outcomeOf(adapter, url)).toBe('URL_NOT_ALLOWED');
  });
});

describe('a media that is gone', () => {
  test.each([400, 404] as const)('(%i) is doubtful first, then final for an hour, for both methods', async (status) => {
    const { files, clock, add, adapter } = await setUp();
    files.invalidStatus = status;
    const url = add();
    clock.now += 7 * DAY_MS - 1;
    expect(await outcomeOf(adapter, url)).toBe('OK');
    clock.now += 1;
    files.clearRequests();
    const doubtful = { code: 'MEDIA_NOT_FOUND', details: { retryable: true, retryAfterMs: 2_000 } };
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      ...doubtful,
      details: { ...doubtful.details, upstreamStatus: status },
    });
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject(doubtful);
    expect(files.requestCount).toBe(1);
    for (const pauseMs of [2_000, 6_000, 8_000, 10_000]) {
      clock.now += pauseMs;
      expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryable: true } });
    }
    clock.now += 120_000;
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryable: false } });
    expect(files.requestCount).toBe(6);
    clock.now += HOUR_MS - 1;
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryable: false } });
    const [described] = await adapter.describeMedia([ref(url)], {});
    expect(described).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(files.requestCount).toBe(6);
  });

  test('and comes back is found by a job, although queries remember its absence', async () => {
    const { files, add, adapter } = await setUp();
    const url = add();
    files.faults.push({ match: /./, fault: { kind: 'status', status: 400 }, times: 1 });
    expect(await outcomeOf(adapter, url)).toBe('MEDIA_NOT_FOUND');
    expect(await outcomeOf(adapter, url)).toBe('MEDIA_NOT_FOUND');
    expect(files.requestCount).toBe(1);
    const stream = await adapter.openMedia(ref(url), { job: true });
    expect(await buffer(stream.body)).toEqual(samples.photo.bytes);
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });

  test('is requested once for many simultaneous calls', async () => {
    const { files, adapter } = await setUp();
    const outcomes = await outcomesOf(adapter, new Array<string>(50).fill(files.mediaUrl('404')));
    expect(count(outcomes, 'MEDIA_NOT_FOUND')).toBe(50);
    expect(files.requestCount).toBe(1);
  });
});

describe('the lock-out', () => {
  test('is never reached by many simultaneous calls for invalid media', async () => {
    const { files, clock, adapter } = await setUp();
    const outcomes = await outcomesOf(adapter, invalidUrls(files, 200));
    expect(count(outcomes, 'MEDIA_NOT_FOUND')).toBe(15);
    expect(count(outcomes, 'PROVIDER_RATE_LIMITED')).toBe(185);
    clock.now += 600_000;
    expect(await errorOf(adapter.openMedia(ref(files.mediaUrl('new')), {}))).toMatchObject({
      code: 'PROVIDER_RATE_LIMITED',
      details: { retryable: true, retryAfterMs: HOUR_MS - 600_000 },
    });
    expect(files.requestCount).toBe(15);
    expect(files.isLockedOut).toBe(false);
  });

  test('stays away hour after hour', async () => {
    const { files, clock, adapter } = await setUp();
    for (let step = 0; step < 48; step += 1) {
      await outcomesOf(adapter, invalidUrls(files, 9, step * 9));
      expect(files.isLockedOut).toBe(false);
      clock.now += HOUR_MS / 4;
    }
    expect(files.requestCount).toBeGreaterThan(150);
  });

  test('leaves room again as its failures leave the window, one by one', async () => {
    const { files, clock, adapter } = await setUp();
    for (const url of invalidUrls(files, 15)) {
      await outcomeOf(adapter, url);
      clock.now += 60_000;
    }
    const limited = await errorOf(adapter.openMedia(ref(files.mediaUrl('new')), {}));
    expect(limited.details.retryAfterMs).toBe(HOUR_MS - 15 * 60_000);
    clock.now += HOUR_MS - 15 * 60_000;
    expect(await outcomesOf(adapter, invalidUrls(files, 5, 100))).toEqual([
      'MEDIA_NOT_FOUND',
      ...new Array<string>(4).fill('PROVIDER_RATE_LIMITED'),
    ]);
  });

  test('does not block proven media, and is not reached when they expire', async () => {
    const { files, clock, add, adapter } = await setUp();
    const urls = Array.from({ length: 40 }, (_, index) => add({ id: `1${index}` }));
    expect(count(await outcomesOf(adapter, urls), 'OK')).toBe(40);
    await outcomesOf(adapter, invalidUrls(files, 20));
    expect(await outcomeOf(adapter, add({ id: '2' }))).toBe('PROVIDER_RATE_LIMITED');
    expect(count(await outcomesOf(adapter, urls), 'OK')).toBe(40);
    for (const url of urls) files.expireMedia(url.replace(/.*media\/(\d+)\?.*/, '$1'));
    clock.now += 1;
    const outcomes = await outcomesOf(adapter, urls);
    expect(count(outcomes, 'MEDIA_NOT_FOUND')).toBe(4);
    expect(count(outcomes, 'PROVIDER_RATE_LIMITED')).toBe(36);
    expect(files.isLockedOut).toBe(false);
  });

  test('counts refusals of other kinds, and no outages', async () => {
    const { files, add, adapter } = await setUp();
    const urls = Array.from({ length: 30 }, (_, index) => add({ id: `1${index}` }));
    files.fault = { kind: 'status', status: 503 };
    expect(count(await outcomesOf(adapter, urls), 'PROVIDER_UNAVAILABLE')).toBe(30);
    files.fault = { kind: 'body', body: '{}' };
    expect(count(await outcomesOf(adapter, urls), 'PROVIDER_PROTOCOL')).toBe(30);
    files.fault = { kind: 'status', status: 403 };
    const outcomes = await outcomesOf(adapter, urls);
    expect(count(outcomes, 'PROVIDER_PROTOCOL')).toBe(15);
    expect(count(outcomes, 'PROVIDER_RATE_LIMITED')).toBe(15);
  });

  test('does not limit existing media: many simultaneous calls all succeed', async () => {
    const { add, adapter } = await setUp();
    const urls = Array.from({ length: 100 }, (_, index) => add({ id: `1${index}`, bytes: Buffer.from('x') }));
    expect(count(await outcomesOf(adapter, [...urls, ...urls]), 'OK')).toBe(200);
  });

  test('releases an aborted caller from the queue, and its slot to the others', async () => {
    const { files, add, adapter } = await setUp();
    const urls = Array.from({ length: 25 }, (_, index) => add({ id: `1${index}` }));
    const fifteenHang = new Promise<void>((resolve) => {
      const match = () => {
        if (files.requestCount === 15) resolve();
        return files.requestCount <= 15;
      };
      files.faults.push({ match, fault: { kind: 'hang' } });
    });
    const silent = new AbortController();
    setMaxListeners(0, silent.signal);
    const impatient = new AbortController();
    const open = (url: string, { signal }: AbortController) => adapter.openMedia(ref(url), { signal });
    const hanging = urls.slice(0, 15).map((url) => open(url, silent));
    const leaving = urls.slice(15, 20).map((url) => open(url, impatient));
    const following = open(urls[0] ?? '', impatient);
    const patient = outcomesOf(adapter, [...urls.slice(20), ...urls.slice(0, 2)]);
    await fifteenHang;
    impatient.abort(new Error('left the queue'));
    for (const call of [...leaving, following]) await expect(call).rejects.toThrow('left the queue');
    expect(files.requestCount).toBe(15);
    silent.abort(new Error('left the call'));
    for (const call of hanging) await expect(call).rejects.toThrow('left the call');
    expect(await patient).toEqual(new Array(7).fill('OK'));
  });

  describe.each(['milliseconds', 'seconds'] as const)('caused by other clients (%s)', (epochUnit) => {
    test('is waited out without a call', async () => {
      const { files, clock, add, adapter } = await setUp();
      files.epochUnit = epochUnit;
      const url = add();
      for (const invalid of invalidUrls(files, 20)) await (await request(invalid, { reset: true })).body.dump();
      expect(files.isLockedOut).toBe(true);
      files.clearRequests();
      clock.now += 600_000;
      const limited = { code: 'PROVIDER_RATE_LIMITED', details: { retryable: true, retryAfterMs: 3_000_000 } };
      expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject(limited);
      expect(files.requestCount).toBe(1);
      clock.now += 2_999_999;
      expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({ details: { retryAfterMs: 1 } });
      const [described] = await adapter.describeMedia([ref(url)], {});
      expect(described).toMatchObject({ code: 'PROVIDER_RATE_LIMITED' });
      expect(files.requestCount).toBe(1);
      clock.now += 1;
      expect(await outcomeOf(adapter, url)).toBe('OK');
    });
  });

  test.each<[string, { body?: string; headers?: Record<string, string> }, number]>([
    ['no time', { body: '{"status":"error","message":"Too many requests"}' }, HOUR_MS],
    ['no body', { body: '' }, HOUR_MS],
    ['a page', { body: '<html>New quota will be available later</html>' }, HOUR_MS],
    ['a past time', { body: 'New quota will be available on 1500000000' }, HOUR_MS],
    ['a time in a thousand years', { body: 'New quota will be available on 33334444555' }, HOUR_MS],
    ['a time in ten years', { body: 'New quota will be available on 2111111111' }, HOUR_MS],
    ['10 MB', { body: `New quota will be available on ${'9'.repeat(10_000_000)}` }, HOUR_MS],
    ['Retry-After', { body: '{}', headers: { 'retry-after': '2' } }, 2000],
  ])('of unknown length (%s) is waited for', async (_name, answer, waitMs) => {
    const { files, clock, add, adapter } = await setUp();
    const url = add();
    files.fault = { kind: 'status', status: 429, ...answer };
    expect(await errorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
      code: 'PROVIDER_RATE_LIMITED',
      details: { retryAfterMs: waitMs, upstreamStatus: 429 },
    });
    files.fault = null;
    clock.now += waitMs - 1;
    expect(await outcomeOf(adapter, url)).toBe('PROVIDER_RATE_LIMITED');
    expect(files.requestCount).toBe(1);
    clock.now += 1;
    expect(await outcomeOf(adapter, url)).toBe('OK');
  });
});

test('details come from the headers, and a failure affects its own item only', async () => {
  const { files, add, adapter } = await setUp();
  const photo = add();
  const sticker = add({ ...samples.sticker, id: '2', contentType: null });
  const answers = await adapter.describeMedia([ref(photo), ref(files.mediaUrl('0')), ref(null), ref(sticker)], {});
  const details = { sha256: null, filename: null, caption: null };
  expect(answers).toMatchObject([
    { ...details, kind: 'IMAGE', mimeType: 'image/jpeg', sizeBytes: samples.photo.bytes.length },
    { code: 'MEDIA_NOT_FOUND' },
    { code: 'MEDIA_NOT_FOUND' },
    { ...details, kind: null, mimeType: null, sizeBytes: samples.sticker.bytes.length },
  ]);
});

test('details of a part are those of the whole', async () => {
  const { files, add, adapter } = await setUp();
  const url = add();
  const headers = { 'content-type': 'image/jpeg', 'content-range': 'bytes 0-0/4711' };
  files.fault = { kind: 'status', status: 206, headers, body: 'x' };
  const [described] = await adapter.describeMedia([ref(url)], {});
  expect(described).toMatchObject({ mimeType: 'image/jpeg', sizeBytes: 4711 });
  expect(files.requests[0]?.headers.range).toBe('bytes=0-0');
});

test('there is no listing, and no upload of bytes', async () => {
  const { adapter } = await setUp();
  for (const method of ['listMedia', 'uploadMedia']) expect(method in adapter).toBe(false);
});

describe('settings', () => {
  const settings = {
    id: 'wa',
    provider: 'gupshup',
    baseUrl: 'https://partner.gupshup.io',
    credentials: { token: 'sk_x' },
    options: { appId: APP },
  };

  test('as in the contract', () => {
    expect(channelSettings.parse({ ...settings, webhook: { secret: 'Bearer a b' } })).toEqual({
      ...settings,
      tenant: 'default',
      credentials: { token: 'sk_x', header: 'authorization' },
      options: { appId: APP, allowPrivate: [] },
      webhook: { secret: 'Bearer a b', headerName: 'X-Webhook-Token' },
    });
  });

  test.each([
    { options: undefined },
    { options: {} },
    { options: { appId: '../x' } },
    { options: { appId: 'a/b' } },
    { options: { appId: '.' } },
    { credentials: { token: 't', header: 'cookie' } },
    { webhook: { secret: 'line break\n' } },
    { webhook: { headerName: 'X-Token' } },
  ])('%j is refused', (wrong) => {
    expect(channelSettings.safeParse({ ...settings, ...wrong }).success).toBe(false);
  });
});

describe('the emulator', () => {
  test('locks out after twenty invalid calls in an hour, for an hour', async () => {
    const { files, clock, add } = await setUp();
    const get = async (url: string) => {
      const response = await request(url, { reset: true });
      return { status: response.statusCode, text: await response.body.text() };
    };
    const good = add();
    for (const url of invalidUrls(files, 19)) expect((await get(url)).status).toBe(400);
    expect((await get(good)).status).toBe(200);
    clock.now += HOUR_MS;
    for (const url of invalidUrls(files, 20)) expect((await get(url)).text).toContain('Invalid Media Id');
    expect(await get(good)).toEqual({
      status: 429,
      text: JSON.stringify({
        status: 'error',
        message: `Api rate limit reached due to multiple invalid calls. New quota will be available on ${clock.now + HOUR_MS}`,
      }),
    });
    clock.now += HOUR_MS;
    expect((await get(good)).status).toBe(200);
  });

  test.each([
    ['image', samples.photo, {}],
    ['audio', samples.voiceNote, {}],
    ['video', samples.video, {}],
    ['file', samples.document, { name: 'document.pdf' }],
    ['sticker', samples.sticker, {}],
  ])('announces %s in three versions', async (type, sample, name) => {
    const { files, clock, add } = await setUp();
    const url = add({ ...sample, caption: 'hello' });
    const id = '1852559851913765';
    const v2 = files.inboundV2(id);
    expect(v2.headers).toMatchObject({ 'x-webhook-token': SECRET });
    const { mimeType } = sample;
    const payload = { url, contentType: mimeType, caption: 'hello', urlExpiry: clock.now + 7 * DAY_MS, ...name };
    expect(JSON.parse(v2.body.toString())).toMatchObject({ version: 2, payload: { id: 'ABEG', type, payload } });
    const metaType = type === 'file' ? 'document' : type;
    const sha256 = createHash('sha256').update(sample.bytes).digest('base64');
    expect(JSON.parse(files.inboundV3(id).body.toString())).toMatchObject({
      gs_app_id: APP,
      entry: [
        {
          changes: [
            {
              value: {
                messages: [{ id: 'ABEG', type: metaType, [metaType]: { id, url, sha256, mime_type: mimeType } }],
              },
            },
          ],
        },
      ],
    });
    expect(JSON.parse(files.inboundV1(id).body.toString())).toMatchObject({
      botname: 'DemoApp',
      messageobj: { type, url, mediaId: id, id: 'ABEG' },
    });
  });

  test('announces a picture that was sent as a document, and events about no media', async () => {
    const { files, add } = await setUp();
    add({ asFile: true });
    const body: unknown = JSON.parse(files.inboundV2('1852559851913765').body.toString());
    expect(body).toMatchObject({
      payload: { type: 'file', payload: { contentType: 'image/jpeg', name: 'photo.jpg' } },
    });
    expect(JSON.parse(files.statusEvent('ABEG').body.toString())).toMatchObject({ type: 'message-event' });
  });
});
