import { buffer } from 'node:stream/consumers';
import type { Fault } from '../../../../demo/src/emulators/faults.js';
import { channelSettings } from '../../../../src/providers/channel-schema.js';
import { mediagraphErrorOf } from '../../../support/mediagraph-error.js';
import { RawServer } from '../../../support/raw-server.js';
import { APP, closeables, invalidUrls, outcomeOf, outcomesOf, ref, samples, setUp, TOKEN } from './setup.js';

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
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
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
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
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
    expect(await mediagraphErrorOf(adapter.openMedia(ref(null), {}))).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
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
    expect(await mediagraphErrorOf(adapter.openMedia(ref(url), {}))).toMatchObject({
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
