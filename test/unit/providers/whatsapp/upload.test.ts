import { Readable } from 'node:stream';
import type { Fault } from '../../../../demo/src/emulators/faults.js';
import { loadMediaSamples, type MediaSample } from '../../../../demo/src/emulators/media-samples.js';
import { ChakraEmulator } from '../../../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import type { MediaRef } from '../../../../src/model/media.js';
import { channelSettings } from '../../../../src/providers/channel-schema.js';
import type { ProviderAdapter, UploadedMedia, UploadSource } from '../../../../src/providers/provider-adapter.js';
import { createAdapter } from '../../../../src/providers/registry.js';
import { adapterContext, type ContextOptions } from '../../../support/adapter-context.js';
import { mediagraphErrorOf } from '../../../support/mediagraph-error.js';

const TOKEN = 'EAAJBwhatsapptoken0123456789';
const PHONE_NUMBER_ID = '106540352242922';
const PLUGIN_ID = 'plugin-1';
const samples = loadMediaSamples();
const closeables: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(closeables.splice(0).map((closeable) => closeable.close()));
});

function adapterOf(
  channel: Readonly<Record<string, unknown>> & { baseUrl: string },
  options: Partial<ContextOptions>,
): ProviderAdapter {
  const { context, close } = adapterContext({ baseUrl: channel.baseUrl, ...options });
  closeables.push({ close });
  return createAdapter(channelSettings.parse({ id: 'wa', credentials: { token: TOKEN }, ...channel }), context);
}

async function startMeta(options: Partial<ContextOptions> = {}) {
  const account = { token: TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: 'secret' };
  const meta = await new WhatsAppEmulator(account).start();
  closeables.push(meta);
  const channel = { provider: 'whatsapp-cloud', baseUrl: meta.baseUrl, options: { phoneNumberId: PHONE_NUMBER_ID } };
  return { meta, adapter: adapterOf(channel, options) };
}

async function startChakra(options: Partial<ContextOptions> = {}) {
  const chakra = await new ChakraEmulator({ token: TOKEN, pluginId: PLUGIN_ID }).start();
  closeables.push(chakra);
  const channel = { provider: 'chakra', baseUrl: chakra.baseUrl, options: { pluginId: PLUGIN_ID } };
  return { chakra, adapter: adapterOf(channel, options) };
}

function sourceOf({ bytes, mimeType, filename }: MediaSample, keys: Partial<UploadSource> = {}): UploadSource {
  return { body: Readable.from(bytes, { objectMode: false }), sizeBytes: bytes.length, mimeType, filename, ...keys };
}

function upload(adapter: ProviderAdapter, source: UploadSource): Promise<UploadedMedia> {
  if (!adapter.uploadMedia) throw new Error('expected an adapter that uploads');
  return adapter.uploadMedia(source, {});
}

function deletion(adapter: ProviderAdapter, providerMediaId: string | null, signal?: AbortSignal): Promise<void> {
  if (!adapter.deleteMedia) throw new Error('expected an adapter that deletes');
  const ref: MediaRef = { providerMessageId: null, providerMediaId, downloadUrl: null };
  return adapter.deleteMedia(ref, { signal });
}

const OF_META = { provider: 'whatsapp-cloud', channelId: 'wa' };
const graphError = (code: number, message = 'x', subcode?: number) =>
  JSON.stringify({ error: { message, type: 'OAuthException', code, error_subcode: subcode, fbtrace_id: 'AbC-1' } });

describe('an upload to Meta', () => {
  test.each(Object.entries(samples))('sends a %s, and returns its id', async (_name, sample) => {
    const { meta, adapter } = await startMeta();
    const { providerMediaId } = await upload(adapter, sourceOf(sample));
    expect(providerMediaId).toMatch(/^\d+$/);
    const essence = sample.mimeType.replace(/;.*/, '');
    expect(meta.media).toEqual([
      { id: providerMediaId, bytes: sample.bytes, mimeType: essence, filename: sample.filename },
    ]);
    expect(meta.requests).toMatchObject([
      { method: 'POST', path: `/v23.0/${PHONE_NUMBER_ID}/media`, headers: { authorization: `Bearer ${TOKEN}` } },
    ]);
    const ref: MediaRef = { providerMessageId: null, providerMediaId, downloadUrl: null };
    expect(await adapter.describeMedia?.([ref], {})).toMatchObject([
      { mimeType: essence, sizeBytes: sample.bytes.length },
    ]);
  });

  test('declares exactly the limits in the table of Meta’s page', async () => {
    const { meta, adapter } = await startMeta();
    const limits = [...(adapter.uploadLimits ?? [])];
    expect(limits).toHaveLength(18);
    expect(Object.fromEntries(limits)).toMatchObject({
      'image/jpeg': 5_000_000,
      'image/webp': 500_000,
      'video/3gpp': 16_000_000,
      'audio/ogg': 16_000_000,
      'application/pdf': 100_000_000,
    });
    for (const [mimeType] of limits) await upload(adapter, sourceOf({ ...samples.photo, mimeType }));
    expect(meta.media.map((media) => media.mimeType)).toEqual(limits.map(([mimeType]) => mimeType));
  });

  test.each([
    ['a type that Meta does not take', { mimeType: 'image/gif' }, 'CONTENT_TYPE_NOT_ALLOWED', 400],
    [
      'more than Meta takes of the kind',
      { bytes: Buffer.alloc(500_001), mimeType: 'image/webp' },
      'MEDIA_TOO_LARGE',
      413,
    ],
  ])('of %s is refused, and leaves nothing', async (_name, keys, code, upstreamStatus) => {
    const { meta, adapter } = await startMeta({ retries: 3 });
    expect(await mediagraphErrorOf(upload(adapter, sourceOf({ ...samples.photo, ...keys })))).toMatchObject({
      code,
      details: { ...OF_META, upstreamStatus },
    });
    expect(meta.media).toEqual([]);
    expect(meta.requestCount).toBe(1);
  });

  const UNKNOWN_NUMBER = {
    status: 400,
    body: graphError(100, "Unsupported post request. Object with ID '1' does not exist", 33),
  };
  test.each<[string, Fault, object]>([
    ['a number that Meta does not know', { kind: 'status', ...UNKNOWN_NUMBER }, { code: 'PROVIDER_REJECTED' }],
    ['a path that Meta does not know', { kind: 'status', status: 404 }, { code: 'PROVIDER_REJECTED' }],
    ['a bad token', { kind: 'status', status: 401 }, { code: 'PROVIDER_CREDENTIALS' }],
    ['a dead token with 400', { kind: 'status', status: 400, body: graphError(190) }, { code: 'PROVIDER_CREDENTIALS' }],
    [
      'a throttle',
      { kind: 'status', status: 400, body: graphError(80007) },
      { code: 'PROVIDER_RATE_LIMITED', details: { retryable: true } },
    ],
    ['a failure', { kind: 'status', status: 503 }, { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } }],
    ['a lost connection', { kind: 'reset' }, { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } }],
    ['silence', { kind: 'hang' }, { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } }],
    ['silence before the body', { kind: 'unread' }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['no id', { kind: 'body', body: '{}' }, { code: 'PROVIDER_PROTOCOL' }],
    ['an id that leads elsewhere', { kind: 'body', body: '{"id":"../1"}' }, { code: 'PROVIDER_PROTOCOL' }],
    ['a page', { kind: 'body', body: '<html>', contentType: 'text/html' }, { code: 'PROVIDER_PROTOCOL' }],
    ['a redirect', { kind: 'redirect', status: 307, location: 'http://127.0.0.1/' }, { code: 'PROVIDER_PROTOCOL' }],
  ])('that meets %s is sent once, and its body ended', async (_name, fault, expected) => {
    const { meta, adapter } = await startMeta({ timeoutMs: 300, retries: 3 });
    meta.fault = fault;
    const source = sourceOf(samples.photo);
    expect(await mediagraphErrorOf(upload(adapter, source))).toMatchObject(expected);
    expect(source.body.destroyed).toBe(true);
    expect(meta.requestCount).toBe(1);
    expect(meta.media).toEqual([]);
  });

  test.each([-1, 1])('of %i byte more than announced uploads nothing', async (difference) => {
    const { meta, adapter } = await startMeta();
    const source = sourceOf(samples.photo, { sizeBytes: samples.photo.bytes.length - difference });
    await expect(upload(adapter, source)).rejects.toMatchObject({ name: 'RequestBodyError' });
    expect(source.body.destroyed).toBe(true);
    expect(meta.media).toEqual([]);
  });
});

describe('a deletion at Meta', () => {
  async function withMedia(options: Partial<ContextOptions> = {}) {
    const fixture = await startMeta(options);
    fixture.meta.addMedia({ ...samples.photo, id: '1761991787669262' });
    return { ...fixture, id: '1761991787669262' };
  }

  test('is requested once, and then remembered', async () => {
    const { meta, adapter, id } = await withMedia();
    await deletion(adapter, id);
    expect(meta.media).toEqual([]);
    expect(meta.requests).toMatchObject([
      {
        method: 'DELETE',
        path: `/v23.0/${id}?phone_number_id=${PHONE_NUMBER_ID}`,
        headers: { authorization: `Bearer ${TOKEN}` },
      },
    ]);
    await deletion(adapter, id);
    const ref: MediaRef = { providerMessageId: 'wamid.1', providerMediaId: id, downloadUrl: null };
    expect(await adapter.describeMedia?.([ref], {})).toMatchObject([{ code: 'MEDIA_NOT_FOUND' }]);
    expect(meta.requestCount).toBe(1);
  });

  test.each<[string, Fault]>([
    [
      'an id that was never there',
      { kind: 'status', status: 400, body: graphError(100, '(#100) Invalid post_id parameter') },
    ],
    [
      'an object that does not exist',
      { kind: 'status', status: 400, body: graphError(100, 'Unsupported delete request', 33) },
    ],
    ['404', { kind: 'status', status: 404, body: graphError(100, 'x', 33) }],
  ])('of %s is success', async (_name, fault) => {
    const { meta, adapter } = await startMeta();
    await deletion(adapter, '404');
    meta.fault = fault;
    await deletion(adapter, '405');
    expect(meta.requestCount).toBe(2);
  });

  test.each([null, '', '..', 'a/b', 'https://chakra.test/x.jpg'])('of %j is success without a call', async (id) => {
    const { meta, adapter } = await startMeta();
    await deletion(adapter, id);
    expect(meta.requestCount).toBe(0);
  });

  test.each<[string, Fault, object]>([
    ['success: false', { kind: 'body', body: '{"success":false}' }, { code: 'PROVIDER_REJECTED' }],
    [
      'another parameter that is invalid',
      { kind: 'status', status: 400, body: graphError(100, '(#100) Invalid parameter') },
      { code: 'PROVIDER_REJECTED' },
    ],
    [
      'a page with 404',
      { kind: 'status', status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' },
      { code: 'PROVIDER_REJECTED' },
    ],
    ['another shape', { kind: 'body', body: '{}' }, { code: 'PROVIDER_PROTOCOL' }],
    ['a bad token', { kind: 'status', status: 401 }, { code: 'PROVIDER_CREDENTIALS' }],
    ['a throttle', { kind: 'status', status: 400, body: graphError(4) }, { code: 'PROVIDER_RATE_LIMITED' }],
    ['a failure', { kind: 'status', status: 500 }, { code: 'PROVIDER_UNAVAILABLE' }],
    ['silence', { kind: 'hang' }, { code: 'PROVIDER_UNAVAILABLE' }],
  ])('that is answered with %s fails, may be tried again, and is then done', async (_name, fault, expected) => {
    const { meta, adapter, id } = await withMedia({ timeoutMs: 300 });
    meta.fault = fault;
    const error = await mediagraphErrorOf(deletion(adapter, id));
    expect(error).toMatchObject(expected);
    expect(error.details).toMatchObject({ ...OF_META, retryable: true });
    expect(meta.media).toHaveLength(1);
    meta.fault = null;
    await deletion(adapter, id);
    expect(meta.media).toEqual([]);
  });

  test('ends with its caller', async () => {
    const { meta, adapter, id } = await withMedia();
    meta.fault = { kind: 'hang' };
    const caller = new AbortController();
    const deleted = deletion(adapter, id, caller.signal);
    caller.abort(new Error('the caller left'));
    await expect(deleted).rejects.toThrow('the caller left');
  });
});

describe('an upload to Chakra', () => {
  test('exists only when a plugin is configured, and deletion never', async () => {
    const { chakra, adapter } = await startChakra();
    const without = adapterOf({ provider: 'chakra', baseUrl: chakra.baseUrl }, {});
    expect(without.uploadMedia).toBeUndefined();
    expect(without.uploadLimits).toBeUndefined();
    expect([adapter.deleteMedia, without.deleteMedia]).toEqual([undefined, undefined]);
    expect(adapter.uploadLimits).toEqual((await startMeta()).adapter.uploadLimits);
  });

  test('sends the bytes, and returns their public address', async () => {
    const { chakra, adapter } = await startChakra();
    const filename = 'Grüße "aus" Köln.ogg';
    const { providerMediaId } = await upload(adapter, sourceOf(samples.voiceNote, { filename }));
    expect(chakra.publicMedia).toEqual([
      { url: providerMediaId, filename, mimeType: 'audio/ogg', bytes: samples.voiceNote.bytes },
    ]);
    expect(chakra.requests).toMatchObject([
      {
        path: `/v1/ext/plugin/whatsapp/${PLUGIN_ID}/upload-public-media`,
        headers: { authorization: `Bearer ${TOKEN}` },
      },
    ]);
    const opened = await fetch(providerMediaId, { headers: { connection: 'close' } });
    expect(Buffer.from(await opened.arrayBuffer()).equals(samples.voiceNote.bytes)).toBe(true);
  });

  const answer = (body: unknown): Fault => ({ kind: 'body', body: JSON.stringify(body) });
  test.each<[string, Fault, string]>([
    ['_errors with 200', answer({ _data: null, _errors: [{ message: 'x' }] }), 'PROVIDER_REJECTED'],
    [
      '_errors beside an address',
      answer({ _data: { publicMediaUrl: 'https://x.test/' }, _errors: ['x'] }),
      'PROVIDER_REJECTED',
    ],
    [
      "Meta's words about types",
      answer({ _errors: [{ message: 'Param file must be a file with one of the following types: image/png' }] }),
      'CONTENT_TYPE_NOT_ALLOWED',
    ],
    ['no address', answer({ _data: {}, _errors: [] }), 'PROVIDER_PROTOCOL'],
    ['an address that is no web URL', answer({ _data: { publicMediaUrl: 'ftp://x.test/a' } }), 'PROVIDER_PROTOCOL'],
    ['an address with credentials', answer({ _data: { publicMediaUrl: 'https://a:b@x.test/a' } }), 'PROVIDER_PROTOCOL'],
    ['an address that is a script', answer({ _data: { publicMediaUrl: 'javascript:alert(1)' } }), 'PROVIDER_PROTOCOL'],
    ['no envelope', answer({ publicMediaUrl: 'https://x.test/a' }), 'PROVIDER_PROTOCOL'],
    ['400', { kind: 'status', status: 400 }, 'PROVIDER_REJECTED'],
    ['401', { kind: 'status', status: 401 }, 'PROVIDER_CREDENTIALS'],
    ['413', { kind: 'status', status: 413 }, 'MEDIA_TOO_LARGE'],
    ['503', { kind: 'status', status: 503 }, 'PROVIDER_UNAVAILABLE'],
  ])('that is answered with %s fails', async (_name, fault, code) => {
    const { chakra, adapter } = await startChakra();
    chakra.fault = fault;
    const source = sourceOf(samples.photo);
    expect(await mediagraphErrorOf(upload(adapter, source))).toMatchObject({
      code,
      details: { provider: 'chakra', channelId: 'wa' },
    });
    expect(source.body.destroyed).toBe(true);
    expect(chakra.requestCount).toBe(1);
  });
});
