import { buffer } from 'node:stream/consumers';
import type { Fault } from '../../../../demo/src/emulators/faults.js';
import type { MediaRef } from '../../../../src/model/media.js';
import { WaGatewayAdapter } from '../../../../src/providers/wa-gateway/adapter.js';
import { waGatewayChannel } from '../../../../src/providers/wa-gateway/settings.js';
import { adapterContext } from '../../../support/adapter-context.js';
import { mediagraphErrorOf } from '../../../support/mediagraph-error.js';
import { RawServer } from '../../../support/raw-server.js';
import { APP, closeables, DEVICE, MESSAGE, PATH, samples, setUp, TOKEN } from './setup.js';

const HOUR_MS = 3_600_000;

function ref(providerMediaId: string | null = PATH): MediaRef {
  return { providerMessageId: MESSAGE, providerMediaId, downloadUrl: null };
}

describe('the bytes', () => {
  test('of a .bin have the details of the headers; the path is sent encoded, with the token', async () => {
    const { gateway, add, adapter } = await setUp();
    expect(add()).toBe(PATH);
    const stream = await adapter.openMedia(ref(), {});
    expect(stream).toMatchObject({ declaredMimeType: 'image/jpeg', sizeBytes: samples.photo.bytes.length });
    expect(await buffer(stream.body)).toEqual(samples.photo.bytes);
    expect(gateway.requests).toMatchObject([
      { method: 'GET', path: `/media?path=${encodeURIComponent(PATH)}`, headers: { authorization: `Bearer ${TOKEN}` } },
    ]);
  });

  test('keep their path below a base URL with a path', async () => {
    const server = await RawServer.start((_request, response) => void response.end('x'));
    const { context, close } = adapterContext({ baseUrl: `${server.url}/wa` });
    closeables.push(server, { close });
    const channel = { id: 'wa', provider: 'wa-gateway', baseUrl: `${server.url}/wa`, credentials: { token: TOKEN } };
    const adapter = new WaGatewayAdapter(waGatewayChannel.parse(channel), context);
    await buffer((await adapter.openMedia(ref(), {})).body);
    expect(server.requests).toEqual([`GET /wa/media?path=${encodeURIComponent(PATH)}`]);
  });

  test.each([
    ['a type that the gateway does not name', null, { mimeType: 'video/3gpp' }],
    ['a type that it names', 'application/pdf', { ...samples.document }],
    ['a type with parameters', 'audio/ogg', { ...samples.voiceNote }],
    ['octet-stream whatever the extension says', null, { contentType: 'application/octet-stream', extension: 'jpg' }],
    ['a claim that is none', null, { contentType: 'jpeg!' }],
  ])('of %s are declared as %p', async (_name, declared, media) => {
    const { add, adapter } = await setUp();
    const path = add(media);
    const stream = await adapter.openMedia(ref(path), {});
    stream.body.destroy();
    expect(stream.declaredMimeType).toBe(declared);
  });

  test("have the sender's name for the file, never the gateway's own", async () => {
    const { gateway, add, adapter } = await setUp();
    add();
    const own = await adapter.openMedia(ref(), {});
    own.body.destroy();
    expect(own.filename).toBeNull();
    const headers = { 'content-type': 'application/pdf', 'content-disposition': 'attachment; filename="offer.pdf"' };
    gateway.fault = { kind: 'status', status: 200, headers, body: '%PDF-1.7' };
    const named = await adapter.openMedia(ref(), {});
    named.body.destroy();
    expect(named.filename).toBe('offer.pdf');
  });

  test('that are cut off fail, and never look complete', async () => {
    const { gateway, add, adapter } = await setUp();
    add();
    gateway.fault = { kind: 'cut', afterBytes: 1000 };
    const stream = await adapter.openMedia(ref(), {});
    await expect(buffer(stream.body)).rejects.toThrow();
  });

  test('that stop coming fail', async () => {
    const { gateway, add, adapter } = await setUp({ timeoutMs: 300 });
    add();
    gateway.fault = { kind: 'hang-in-body', afterBytes: 1000 };
    const stream = await adapter.openMedia(ref(), {});
    await expect(buffer(stream.body)).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('above the size limit are MEDIA_TOO_LARGE', async () => {
    const { add, adapter } = await setUp({ maxDownloadBytes: 1000 });
    add();
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject({ code: 'MEDIA_TOO_LARGE' });
  });

  test.each<[string, Fault]>([
    ['10 MB of JSON', { kind: 'body', body: `["${'x'.repeat(10_000_000)}"]` }],
    ['JSON of a problem', { kind: 'body', body: '{}', contentType: 'application/problem+json; charset=utf-8' }],
    ['a page', { kind: 'body', body: '<!doctype html>', contentType: 'text/html; charset=utf-8' }],
    ['a status of no use', { kind: 'status', status: 204, body: '' }],
    [
      'a body in an unknown content coding',
      { kind: 'status', status: 200, headers: { 'content-encoding': 'compress' }, body: 'x' },
    ],
  ])('are not %s: PROVIDER_PROTOCOL', async (_name, fault) => {
    const { gateway, add, adapter } = await setUp();
    add();
    gateway.fault = fault;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject({
      code: 'PROVIDER_PROTOCOL',
      details: { provider: 'wa-gateway', channelId: 'wa' },
    });
  });

  test('are not fetched from the target of a redirect, which does not get the token', async () => {
    const elsewhere = await RawServer.start();
    closeables.push(elsewhere);
    const { gateway, add, adapter } = await setUp();
    add();
    gateway.fault = { kind: 'redirect', status: 302, location: `${elsewhere.url}/media` };
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    expect(elsewhere.connectionCount).toBe(0);
  });

  test('end with the caller, for its reason', async () => {
    const { gateway, add, adapter } = await setUp();
    add();
    gateway.fault = { kind: 'hang' };
    const caller = new AbortController();
    const opened = adapter.openMedia(ref(), { signal: caller.signal });
    caller.abort(new Error('the caller left'));
    await expect(opened).rejects.toThrow('the caller left');
  });
});

describe('a refusal', () => {
  test.each([
    [400, 'PROVIDER_REJECTED', 'validation_error'],
    [401, 'PROVIDER_CREDENTIALS', 'invalid_api_key'],
    [403, 'PROVIDER_CREDENTIALS', 'forbidden'],
    [409, 'PROVIDER_REJECTED', 'device_not_connected'],
    [413, 'PROVIDER_REJECTED', 'request_too_large'],
    [429, 'PROVIDER_RATE_LIMITED', 'rate_limit_exceeded'],
    [500, 'PROVIDER_UNAVAILABLE', 'internal_error'],
    [503, 'PROVIDER_UNAVAILABLE', 'internal_error'],
  ])('with %i is %s, with the code of the body however it is wrapped', async (status, code, upstreamCode) => {
    const { gateway, adapter } = await setUp();
    gateway.fault = { kind: 'status', status, headers: { 'x-wa-request-id': 'req-1', 'retry-after': '7' } };
    for (const shape of ['flat', 'nested', 'text'] as const) {
      gateway.errorShape = shape;
      const { details, ...error } = await mediagraphErrorOf(adapter.openMedia(ref(), {}));
      expect(error).toMatchObject({ code });
      expect(details).toMatchObject({ upstreamStatus: status, upstreamCode, upstreamRequestId: 'req-1' });
      expect(details.retryAfterMs).toBe(status === 429 || status >= 500 ? 7000 : undefined);
    }
  });

  test.each([
    ['a sentence', '{"error":"Forbidden: ask <admin@example.com>"}'],
    ['a page', '<html>'],
    ['10 MB of JSON', JSON.stringify({ code: 'forbidden', fill: 'x'.repeat(10_000_000) })],
    ['JSON of another shape', '[1]'],
    ['nothing', ''],
  ])('whose body is %s has no code, and repeats nothing of it', async (_name, body) => {
    const { gateway, adapter } = await setUp();
    gateway.fault = { kind: 'status', status: 403, body };
    const error = await mediagraphErrorOf(adapter.openMedia(ref(), {}));
    expect(error).toMatchObject({ code: 'PROVIDER_CREDENTIALS', details: { upstreamStatus: 403 } });
    expect(error.details.upstreamCode).toBeUndefined();
    expect(error.message).not.toContain('example.com');
  });

  test("of a real kind: another app's media, and a wrong token", async () => {
    const { gateway, add, adapter } = await setUp();
    const other = `media/00000000-0000-4000-8000-000000000000/${DEVICE}-${MESSAGE}.bin`;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(other), {}))).toMatchObject({
      code: 'PROVIDER_CREDENTIALS',
      details: { upstreamStatus: 403, upstreamCode: 'forbidden' },
    });
    add();
    const { context, close } = adapterContext({ baseUrl: gateway.baseUrl });
    closeables.push({ close });
    const channel = { id: 'wa', provider: 'wa-gateway', baseUrl: gateway.baseUrl, credentials: { token: 'wrong' } };
    const wrongTokenAdapter = new WaGatewayAdapter(waGatewayChannel.parse(channel), context);
    expect(await mediagraphErrorOf(wrongTokenAdapter.openMedia(ref(), {}))).toMatchObject({
      code: 'PROVIDER_CREDENTIALS',
      details: { upstreamStatus: 401, upstreamCode: 'invalid_api_key' },
    });
  });

  test.each<[string, Fault]>([
    ['silence', { kind: 'hang' }],
    ['a lost connection', { kind: 'reset' }],
  ])('by %s is PROVIDER_UNAVAILABLE', async (_name, fault) => {
    const { gateway, add, adapter } = await setUp({ timeoutMs: 300 });
    add();
    gateway.fault = fault;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      details: { retryable: true },
    });
  });
});

describe('a 404', () => {
  const doubtful = { code: 'MEDIA_NOT_FOUND', details: { retryable: true, retryAfterMs: 2000, upstreamStatus: 404 } };
  const gone = { code: 'MEDIA_NOT_FOUND', details: { retryable: false } };

  test('is doubtful first: callers learn when to retry, and then find the media', async () => {
    const { gateway, clock, add, adapter } = await setUp();
    add({ arrivesAfterRequests: 1 });
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject(doubtful);
    clock.now += 500;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject({ details: { retryAfterMs: 1500 } });
    expect(gateway.requestCount).toBe(1);
    clock.now += 1500;
    expect(await buffer((await adapter.openMedia(ref(), {})).body)).toEqual(samples.photo.bytes);
  });

  test('that persists for a minute is final for an hour, without another call', async () => {
    const { gateway, clock, adapter } = await setUp();
    for (let second = 0; second < 60; second += 10) {
      expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject(doubtful);
      clock.now += 10_000;
    }
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject(gone);
    expect(gateway.requestCount).toBe(7);
    clock.now += HOUR_MS - 1;
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject(gone);
    const [described] = await adapter.describeMedia([ref()], {});
    expect(described).toMatchObject(gone);
    expect(gateway.requestCount).toBe(7);
    clock.now += 1;
    await mediagraphErrorOf(adapter.openMedia(ref(), {}));
    expect(gateway.requestCount).toBe(8);
  });

  test('ends the media of a destroyed device, and of one that expired', async () => {
    const { gateway, add, adapter } = await setUp();
    const first = add();
    const second = add({ messageId: '3EB0', deviceId: '00000000-0000-4000-8000-000000000001' });
    gateway.destroyDevice(DEVICE);
    expect(await mediagraphErrorOf(adapter.openMedia(ref(first), {}))).toMatchObject(doubtful);
    (await adapter.openMedia(ref(second), {})).body.destroy();
    gateway.expireMedia('3EB0');
    expect(await mediagraphErrorOf(adapter.openMedia(ref(second), {}))).toMatchObject(doubtful);
  });

  test('with a page proves nothing about the media, and is not remembered', async () => {
    const { gateway, add, adapter } = await setUp();
    add();
    const headers = { 'content-type': 'text/html' };
    gateway.faults.push({ match: /./, times: 1, fault: { kind: 'status', status: 404, headers, body: '<html>' } });
    expect(await mediagraphErrorOf(adapter.openMedia(ref(), {}))).toMatchObject({ code: 'PROVIDER_REJECTED' });
    (await adapter.openMedia(ref(), {})).body.destroy();
  });
});

test.each([
  '',
  'media',
  'media/',
  '/media/a/b.bin',
  'Media/a/b.bin',
  'medias/a.bin',
  'https://example.com/media/a.bin',
  'media//a.bin',
  `media/${APP}/../other/a.bin`,
  `media/${APP}/./a.bin`,
  `media/${APP}/..`,
  `media/${APP}/%2e%2e/a.bin`,
  `media/${APP}/%2E./a.bin`,
  `media/${APP}/..%2fa.bin`,
  `media/${APP}/%252e%252e%252fa.bin`,
  `media/${APP}/%25252e%25252e/a.bin`,
  `media/${APP}/..\\a.bin`,
  `media/${APP}\\..\\a.bin`,
  `media/${APP}/..%5ca.bin`,
  `media/${APP}/a.bin\0.jpg`,
  `media/${APP}/a%00.bin`,
  `media/${APP}/a\r\nX-Injected: 1`,
  `media/${APP}/a%0d%0aX-Injected: 1`,
  `media/${APP}/a\u2028.bin`,
  `media/${APP}/\ud800.bin`,
  `media/${APP}/${'a'.repeat(512)}`,
])('the media path %j is refused without a call', async (path) => {
  const { gateway, adapter } = await setUp();
  expect(await mediagraphErrorOf(adapter.openMedia(ref(path), {}))).toMatchObject({ code: 'BAD_USER_INPUT' });
  const [described] = await adapter.describeMedia([ref(path)], {});
  expect(described).toMatchObject({ code: 'BAD_USER_INPUT' });
  expect(gateway.requestCount).toBe(0);
});

test.each([`media/${APP}/a b+c&path=x#y?z.bin`, `media/${APP}/100%.bin`, `media/${APP}/ü…..bin`, `media/a/b/c..d`])(
  'the media path %j arrives unchanged',
  async (path) => {
    const { gateway, adapter } = await setUp();
    await mediagraphErrorOf(adapter.openMedia(ref(path), {}));
    const [received] = gateway.requests;
    expect(new URL(received?.path ?? '', gateway.url).searchParams.getAll('path')).toEqual([path]);
  },
);

test('a message without a path has no bytes, and causes no request', async () => {
  const { gateway, add, adapter } = await setUp({ maxBytes: 1000 });
  expect(add()).toBeNull();
  expect(JSON.parse(gateway.messageEvent(MESSAGE).body.toString()).payload).not.toHaveProperty('media_path');
  expect(await mediagraphErrorOf(adapter.openMedia(ref(null), {}))).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  expect(gateway.requestCount).toBe(0);
});

test('details come from the headers, and a failure affects its own item only', async () => {
  const { gateway, add, adapter } = await setUp();
  add();
  const video = add({ ...samples.video, messageId: 'V1', extension: 'mp4' });
  const unknown = add({ ...samples.voiceNote, mimeType: 'audio/mp4', messageId: 'A1' });
  const answers = await adapter.describeMedia(
    [ref(), ref(`media/${APP}/none.bin`), ref(video), ref('..'), ref(unknown)],
    {},
  );
  const details = { sha256: null, filename: null, caption: null };
  expect(answers).toMatchObject([
    { ...details, kind: 'IMAGE', mimeType: 'image/jpeg', sizeBytes: samples.photo.bytes.length },
    { code: 'MEDIA_NOT_FOUND' },
    { ...details, kind: 'VIDEO', mimeType: 'video/mp4', sizeBytes: samples.video.bytes.length },
    { code: 'BAD_USER_INPUT' },
    { ...details, kind: null, mimeType: null, sizeBytes: samples.voiceNote.bytes.length },
  ]);
  expect(gateway.requests.every(({ method }) => method === 'GET')).toBe(true);
});

test('there is no listing, no upload and no deletion', async () => {
  const { adapter } = await setUp();
  for (const method of ['listMedia', 'uploadMedia', 'uploadMediaFromUrl', 'deleteMedia'])
    expect(method in adapter).toBe(false);
});
