import { createHash, createHmac } from 'node:crypto';
import { Agent, request } from 'undici';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../../demo/src/emulators/emulator-server.js';
import type { Fault } from '../../../demo/src/emulators/faults.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { ChakraEmulator } from '../../../demo/src/emulators/whatsapp/chakra-emulator.js';
import { WhatsAppEmulator } from '../../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { PROVIDER_NAMES, type ProviderName } from '../../../src/model/channel.js';
import { MediagraphError } from '../../../src/model/errors.js';
import type { MediaDetails, MediaRef } from '../../../src/model/media.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { type CallPolicy, ProviderHttpClient } from '../../../src/net/client/provider-http-client.js';
import { type ChannelSettings, channelSettings } from '../../../src/providers/channel-schema.js';
import { connectChannels } from '../../../src/providers/connect-channels.js';
import type { ByteStream, ProviderAdapter } from '../../../src/providers/provider-adapter.js';
import { ProviderFaults } from '../../../src/providers/toolkit/provider-call.js';
import { apiVariantOf } from '../../../src/providers/whatsapp/api-variant.js';
import { MemoryQuota } from '../../support/adapter-context.js';

const TOKEN = 'EAAJBwhatsapptoken0123456789';
const BEARER = `Bearer ${TOKEN}`;
const APP_SECRET = '0123456789abcdef0123456789abcdef';
const PHONE_NUMBER_ID = '106540352242922';
const MEDIA_ID = '1761991787669262';
const LOOPBACK = ['127.0.0.0/8'];
const PAGE = '<!doctype html><html><body>Log in to Facebook</body></html>';
const samples = loadMediaSamples();

const cleanups: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

interface Connection {
  readonly policy?: Partial<CallPolicy>;
  readonly maxBytes?: number;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Connects a channel as the configuration does, with its real HTTP clients. */
function connect(channel: Readonly<Record<string, unknown>>, { policy, maxBytes = 10_000_000 }: Connection): Adapter {
  const callPolicy: CallPolicy = { timeoutMs: 5_000, retries: 0, maxConcurrency: 8, ...policy };
  const providers = Object.fromEntries(PROVIDER_NAMES.map((name) => [name, callPolicy])) as Record<
    ProviderName,
    CallPolicy
  >;
  const pools = new OriginPools();
  const { directory, close } = connectChannels(
    {
      channels: [channelSettings.parse({ id: 'wa', credentials: { token: TOKEN }, ...channel })],
      providers,
      network: { allowPrivate: [], allowedPorts: [80, 443] },
      upload: { maxBytes },
    },
    { pools, quota: new MemoryQuota() },
  );
  cleanups.push(close, () => pools.close());
  return withMethods(directory.get('default', 'wa').adapter);
}

type Adapter = ProviderAdapter & Required<Pick<ProviderAdapter, 'describeMedia' | 'openMedia'>>;

function withMethods(adapter: ProviderAdapter): Adapter {
  const { describeMedia, openMedia } = adapter;
  if (!describeMedia || !openMedia) throw new Error('expected an adapter that describes and opens');
  return Object.assign(adapter, { describeMedia, openMedia });
}

async function startEmulator<Emulator extends EmulatorServer>(emulator: Emulator): Promise<Emulator> {
  await emulator.start();
  cleanups.push(() => emulator.close());
  return emulator;
}

interface Meta {
  readonly meta: WhatsAppEmulator;
  readonly adapter: Adapter;
}

async function startMeta(connection: Connection = {}, now?: () => number): Promise<Meta> {
  const account = { token: TOKEN, phoneNumberId: PHONE_NUMBER_ID, appSecret: APP_SECRET };
  const meta = await startEmulator(new WhatsAppEmulator({ ...account, ...(now ? { now } : {}) }));
  meta.addMedia({ ...samples.photo, id: MEDIA_ID });
  const options = { phoneNumberId: PHONE_NUMBER_ID, mediaOrigins: [meta.lookaside.url], ...connection.options };
  return { meta, adapter: connect({ provider: 'whatsapp-cloud', baseUrl: meta.baseUrl, options }, connection) };
}

async function startChakra(connection: Connection = {}, now?: () => number) {
  const chakra = await startEmulator(new ChakraEmulator({ token: TOKEN, ...(now ? { now } : {}) }));
  chakra.addMedia({ ...samples.photo, id: MEDIA_ID });
  const { options = {} } = connection;
  return { chakra, adapter: connect({ provider: 'chakra', baseUrl: chakra.baseUrl, options }, connection) };
}

/** Starts a server at another origin, with a file at the path of every announced URL. */
async function startElsewhere(): Promise<CdnEmulator> {
  const cdn = await startEmulator(new CdnEmulator());
  cdn.put('whatsapp_business/attachments/', samples.photo);
  return cdn;
}

function refOf(providerMediaId: string | null): MediaRef {
  return { providerMessageId: 'wamid.HBgL', providerMediaId, downloadUrl: null };
}

async function describeOne(adapter: Adapter, id: string | null = MEDIA_ID): Promise<MediaDetails | Error> {
  const [details, ...more] = await adapter.describeMedia([refOf(id)], {});
  if (details === undefined || more.length > 0) throw new Error('expected one answer');
  return details;
}

async function bytesOf(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function openedBytes(adapter: Adapter, id: string | null = MEDIA_ID): Promise<Buffer> {
  return bytesOf(await adapter.openMedia(refOf(id), {}));
}

/** Returns the error of opening; closes a stream that was opened unexpectedly. */
async function refusalOf(adapter: Adapter, id: string | null = MEDIA_ID): Promise<MediagraphError> {
  const outcome = await adapter.openMedia(refOf(id), {}).catch((thrown: unknown) => thrown);
  if (outcome instanceof MediagraphError) return outcome;
  if (isStream(outcome)) outcome.body.destroy();
  throw new Error('expected a MediagraphError', { cause: outcome });
}

function isStream(value: unknown): value is ByteStream {
  return typeof value === 'object' && value !== null && 'body' in value;
}

/** The credentials of each request, in order. */
function credentialsAt(emulator: EmulatorServer): Array<string | undefined> {
  return emulator.requests.map(({ headers }) => headers.authorization);
}

const PHOTO_DETAILS: MediaDetails = {
  kind: 'IMAGE',
  mimeType: 'image/jpeg',
  sizeBytes: samples.photo.bytes.length,
  sha256: createHash('sha256').update(samples.photo.bytes).digest('hex'),
  filename: null,
  caption: null,
};

const OF_CHANNEL = { provider: 'whatsapp-cloud', channelId: 'wa' };
const GRAPH_ERROR = (code: number, subcode?: number) =>
  JSON.stringify({
    error: { message: 'x', type: 'OAuthException', code, error_subcode: subcode, fbtrace_id: 'AbC-1' },
  });

describe('a channel of Meta', () => {
  it('can describe and open, and cannot list', async () => {
    const { adapter } = await startMeta();
    expect(adapter.provider).toBe('whatsapp-cloud');
    expect(adapter.mediaPerMessage).toBe('one');
    expect(adapter.listMedia).toBeUndefined();
  });

  it('describes by id, version and number, without touching the bytes', async () => {
    const { meta, adapter } = await startMeta({ options: { apiVersion: 'v22.0' } });
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
    expect(meta.requests).toMatchObject([
      { path: `/v22.0/${MEDIA_ID}?phone_number_id=${PHONE_NUMBER_ID}`, headers: { authorization: BEARER } },
    ]);
    expect(meta.requests[0]?.headers['user-agent']).toMatch(/mediagraph/);
    expect(meta.lookaside.requestCount).toBe(0);
  });

  it('asks v23.0 unless told otherwise, and keeps the parameters of a type', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ ...samples.voiceNote, id: '7' });
    expect(await describeOne(adapter, '7')).toMatchObject({ kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus' });
    expect(meta.requests[0]?.path).toMatch(/^\/v23\.0\/7\?/);
  });

  it('reads a size that comes as a text', async () => {
    const { meta, adapter } = await startMeta();
    meta.fileSizeAsString = true;
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
  });

  it.each([
    ['a hash in Base64', { sha256: 'kM47fJ38zmqvyy3Pw9aYupZ4Cr5rqoEGGyssBX5KFkA=' }],
    ['a hash of another length', { sha256: 'abc' }],
    ['a size below zero', { file_size: -1 }],
    ['half a byte', { file_size: 1.5 }],
    ['a size in words', { file_size: '12 kB' }],
    ['a size beyond counting', { file_size: '9999999999999999' }],
    ['a type that is none', { mime_type: 'image' }],
    ['values of other kinds', { sha256: 1, file_size: [], mime_type: {} }],
    ['no more than an address', {}],
  ])('leaves unknown what it cannot use: %s', async (_name, fields) => {
    const { meta, adapter } = await startMeta();
    meta.fault = { kind: 'body', body: JSON.stringify({ url: 'https://lookaside.fbsbx.com/x', ...fields }) };
    expect(await describeOne(adapter)).toMatchObject({ kind: null, mimeType: null, sizeBytes: null, sha256: null });
  });

  it('writes a hash in lower case', async () => {
    const { meta, adapter } = await startMeta();
    meta.fault = { kind: 'body', body: JSON.stringify({ url: 'https://x.test/', sha256: 'AB'.repeat(32) }) };
    expect(await describeOne(adapter)).toMatchObject({ sha256: 'ab'.repeat(32) });
  });

  it('answers every reference in its place', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ ...samples.document, id: '8' });
    const answers = await adapter.describeMedia([refOf(MEDIA_ID), refOf('404'), refOf(null), refOf('8')], {});
    expect(answers).toEqual([
      PHOTO_DETAILS,
      expect.objectContaining({ code: 'MEDIA_NOT_FOUND' }),
      expect.objectContaining({ code: 'MEDIA_NOT_FOUND' }),
      expect.objectContaining({ kind: 'DOCUMENT', mimeType: 'application/pdf' }),
    ]);
  });

  it('opens the bytes at the origin of media, with the credentials', async () => {
    const { meta, adapter } = await startMeta();
    const stream = await adapter.openMedia(refOf(MEDIA_ID), {});
    expect(stream).toMatchObject({
      declaredMimeType: 'image/jpeg',
      sizeBytes: samples.photo.bytes.length,
      filename: null,
    });
    expect(await bytesOf(stream)).toEqual(samples.photo.bytes);
    expect(credentialsAt(meta)).toEqual([BEARER]);
    expect(credentialsAt(meta.lookaside)).toEqual([BEARER]);
    expect(meta.lookaside.requests[0]?.headers).toMatchObject({ 'accept-encoding': 'identity' });
    expect(meta.lookaside.requests[0]?.headers).not.toHaveProperty('content-type');
  });

  it.each([null, 'application/octet-stream'])(
    'declares what the metadata told where the bytes say %s',
    async (contentType) => {
      const { meta, adapter } = await startMeta();
      meta.addMedia({ ...samples.voiceNote, id: '7', contentType });
      const stream = await adapter.openMedia(refOf('7'), {});
      expect(stream.declaredMimeType).toBe('audio/ogg; codecs=opus');
      expect(await bytesOf(stream)).toEqual(samples.voiceNote.bytes);
    },
  );

  it('never opens the address of a webhook, but asks for a new one', async () => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    const ref = { ...refOf(MEDIA_ID), downloadUrl: cdn.publicUrl('whatsapp_business/attachments/') };
    expect(await bytesOf(await adapter.openMedia(ref, {}))).toEqual(samples.photo.bytes);
    expect(cdn.requestCount).toBe(0);
    expect(meta.requestCount).toBe(1);
  });

  it('keeps no address: each opening asks for one', async () => {
    const { meta, adapter } = await startMeta();
    await openedBytes(adapter);
    await openedBytes(adapter);
    expect(meta.requestCount).toBe(2);
    expect(meta.lookaside.requestCount).toBe(2);
  });

  it('refuses more bytes than this server hands on', async () => {
    const { adapter } = await startMeta({ maxBytes: 100 });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_TOO_LARGE', details: OF_CHANNEL });
  });

  it.each([null, '', '.', '..', '../x', 'a/b', 'a%2fb', 'a?b', 'ä', '1 2', '1'.repeat(71)])(
    'knows without asking that there is no media %p',
    async (id) => {
      const { meta, adapter } = await startMeta();
      expect(await refusalOf(adapter, id)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: OF_CHANNEL });
      expect(await describeOne(adapter, id)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
      expect(meta.requestCount).toBe(0);
    },
  );
});

describe('the credentials', () => {
  it('go to Meta’s lookaside origin and to none of Chakra’s, unless the configuration names others', () => {
    const pools = new OriginPools();
    cleanups.push(() => pools.close());
    const http = new ProviderHttpClient({
      baseUrl: 'https://api.test',
      headers: {},
      policy: { timeoutMs: 1, retries: 0, maxConcurrency: 1 },
      pools,
    });
    const mediaOriginsOf = (channel: object) => {
      const settings = parsed(channel);
      return apiVariantOf(settings, http, new ProviderFaults(settings, () => ({}))).mediaOrigins;
    };
    expect(mediaOriginsOf(META_CHANNEL)).toEqual(['https://lookaside.fbsbx.com']);
    expect(mediaOriginsOf(CHAKRA_CHANNEL)).toEqual([]);
  });

  it('go to the channel’s own origin', async () => {
    const { meta, adapter } = await startMeta({ options: { mediaOrigins: [] } });
    meta.announcedOrigin = meta.url;
    const { bytes, mimeType } = samples.photo;
    meta.faults.push({ match: /attachments/, fault: { kind: 'body', body: bytes, contentType: mimeType } });
    expect(await openedBytes(adapter)).toEqual(bytes);
    expect(credentialsAt(meta)).toEqual([BEARER, BEARER]);
  });

  it('go to no other origin, whose bytes are opened without them', async () => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    meta.announcedOrigin = cdn.url;
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(credentialsAt(cdn)).toEqual([undefined]);
    expect(meta.lookaside.requestCount).toBe(0);
  });

  it('do not go to the documented origin where the configuration names others', async () => {
    const { meta, adapter } = await startMeta({ options: { mediaOrigins: [], allowPrivate: LOOPBACK } });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL', details: { upstreamStatus: 401 } });
    expect(credentialsAt(meta.lookaside)).toEqual([undefined, undefined]);
  });

  it('do not go where the answer only looks like an allowed origin', async () => {
    const { meta, adapter } = await startMeta();
    const cdn = await startElsewhere();
    const { host } = new URL(cdn.url);
    const allowed = new URL(meta.lookaside.url).host;
    for (const origin of [
      `http://${allowed}@${host}`,
      `http://${allowed}%40${host}`,
      `https://${allowed}`,
      `http://localhost:${new URL(meta.lookaside.url).port}`,
      cdn.url,
    ]) {
      meta.announcedOrigin = origin;
      expect({ origin, code: (await refusalOf(adapter)).code }).toEqual({ origin, code: 'URL_NOT_ALLOWED' });
    }
    expect(cdn.requestCount).toBe(0);
    expect(meta.lookaside.requestCount).toBe(0);
  });

  it.each([301, 302, 303, 307, 308] as const)('do not follow a redirect with status %i', async (status) => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    const location = cdn.publicUrl('whatsapp_business/attachments/');
    meta.lookaside.fault = { kind: 'redirect', status, location };
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(credentialsAt(meta.lookaside)).toEqual([BEARER]);
    expect(credentialsAt(cdn)).toEqual([undefined]);
  });

  it('do not follow a redirect even to where they came from', async () => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    meta.lookaside.faults.push({
      match: ({ path, headers }) => path.startsWith('/whatsapp_business/') && headers.authorization !== undefined,
      fault: { kind: 'redirect', status: 302, location: '/elsewhere?x=1' },
    });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL', details: { upstreamStatus: 401 } });
    expect(meta.lookaside.requests.filter(({ path }) => path === '/elsewhere?x=1')).toHaveLength(2);
    expect(credentialsAt(meta.lookaside)).toEqual([BEARER, undefined, BEARER, undefined]);
  });

  it.each(['http://169.254.169.254/latest/', 'file:///etc/passwd', 'http://[::1]/'])(
    'and nothing else follows a redirect to %s',
    async (location) => {
      const { meta, adapter } = await startMeta();
      meta.lookaside.fault = { kind: 'redirect', status: 302, location };
      expect(await refusalOf(adapter)).toMatchObject({ code: 'URL_NOT_ALLOWED', details: OF_CHANNEL });
    },
  );

  it('stay where a redirect names nothing', async () => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.fault = { kind: 'redirect', status: 302, location: '' };
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  });

  it('stay with the API where it redirects', async () => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    meta.fault = { kind: 'redirect', status: 302, location: cdn.url };
    expect(await describeOne(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    expect(cdn.requestCount).toBe(0);
  });
});

describe('an address that opens no more', () => {
  it('is renewed when its five minutes are over', async () => {
    let now = Date.parse('2026-11-21T12:00:00Z');
    const { meta, adapter } = await startMeta({}, () => now);
    let remainingDelayMs = 301_000;
    // The rule never applies. It advances the clock once between the metadata and the bytes.
    meta.lookaside.faults.push({
      match: () => {
        now += remainingDelayMs;
        remainingDelayMs = 0;
        return false;
      },
      fault: { kind: 'hang' },
    });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(meta.requestCount).toBe(2);
    const [first, second] = meta.lookaside.requests.map(({ path }) => new URL(path, meta.url).searchParams.get('ext'));
    expect(Number(second) - Number(first)).toBe(301);
  });

  it.each([401, 403, 404, 410])('is renewed once at status %i', async (status) => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.faults.push({ match: /./, fault: { kind: 'status', status }, times: 1 });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(meta.requestCount).toBe(2);
    expect(meta.lookaside.requestCount).toBe(2);
  });

  it.each([
    [401, 'PROVIDER_CREDENTIALS'],
    [403, 'PROVIDER_CREDENTIALS'],
    [404, 'MEDIA_NOT_FOUND'],
    [410, 'MEDIA_NOT_FOUND'],
  ])('is given up at a second status %i, and not remembered', async (status, code) => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.fault = { kind: 'status', status };
    expect(await refusalOf(adapter)).toMatchObject({ code, details: { ...OF_CHANNEL, upstreamStatus: status } });
    expect(meta.requestCount).toBe(2);
    expect(meta.lookaside.requestCount).toBe(2);
    meta.lookaside.fault = null;
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
  });

  it('is not renewed for a media that is gone by then', async () => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.faults.push({
      match: () => {
        meta.expire(MEDIA_ID);
        return false;
      },
      fault: { kind: 'hang' },
    });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: { upstreamCode: '100' } });
    expect(meta.requestCount).toBe(2);
    expect(meta.lookaside.requestCount).toBe(1);
  });

  it.each([400, 500, 429])('is not renewed at status %i', async (status) => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.fault = { kind: 'status', status, headers: { 'Retry-After': '30' } };
    const codes: Record<number, object> = {
      400: { code: 'PROVIDER_REJECTED' },
      429: { code: 'PROVIDER_RATE_LIMITED', details: { retryable: true, retryAfterMs: 30_000, upstreamStatus: 429 } },
      500: { code: 'PROVIDER_UNAVAILABLE', details: { retryable: true } },
    };
    expect(await refusalOf(adapter)).toMatchObject(codes[status] ?? {});
    expect(meta.requestCount).toBe(1);
  });
});

describe('a media that is gone', () => {
  it('is a 400 at Meta, is not asked for twice in a call, and not again in the next', async () => {
    const { meta, adapter } = await startMeta({ policy: { retries: 2 } });
    meta.expire(MEDIA_ID);
    expect(await describeOne(adapter)).toMatchObject({
      code: 'MEDIA_NOT_FOUND',
      details: {
        ...OF_CHANNEL,
        upstreamStatus: 400,
        upstreamCode: '100',
        upstreamRequestId: expect.stringMatching(/^ATf5-CLoxGyJe\d{10}$/),
      },
    });
    expect(meta.requestCount).toBe(1);
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: OF_CHANNEL });
    expect(meta.requestCount).toBe(1);
  });

  it('takes no other with it', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ ...samples.sticker, id: '9' });
    meta.expire(MEDIA_ID);
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(await openedBytes(adapter, '9')).toEqual(samples.sticker.bytes);
  });

  it('is one that was sent to another number', async () => {
    const { adapter } = await startMeta({ options: { phoneNumberId: '1' } });
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  });

  it.each([
    ['a parameter that Meta did not like', { kind: 'status', status: 400, body: GRAPH_ERROR(100) }],
    ['a page with status 404', { kind: 'status', status: 404, body: PAGE, headers: { 'Content-Type': 'text/html' } }],
    ['a refusal without words', { kind: 'status', status: 400, body: '' }],
  ] satisfies Array<[string, Fault]>)('is not %s', async (_name, fault) => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({ match: /./, fault, times: 1 });
    expect(await describeOne(adapter)).toMatchObject({ code: 'PROVIDER_REJECTED' });
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
  });

  it('is a 404 where the API says so', async () => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({ match: /./, fault: { kind: 'status', status: 404 }, times: 1 });
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: { upstreamStatus: 404 } });
  });
});

describe('what Meta refuses', () => {
  it.each([
    [401, GRAPH_ERROR(190), 'PROVIDER_CREDENTIALS', undefined],
    [400, GRAPH_ERROR(190), 'PROVIDER_CREDENTIALS', undefined],
    [400, GRAPH_ERROR(4), 'PROVIDER_RATE_LIMITED', true],
    [400, GRAPH_ERROR(80007), 'PROVIDER_RATE_LIMITED', true],
    [403, GRAPH_ERROR(130429), 'PROVIDER_RATE_LIMITED', true],
    [429, GRAPH_ERROR(80007), 'PROVIDER_RATE_LIMITED', true],
    [403, GRAPH_ERROR(10), 'PROVIDER_CREDENTIALS', undefined],
    [500, GRAPH_ERROR(1), 'PROVIDER_UNAVAILABLE', true],
    [500, GRAPH_ERROR(100, 33), 'PROVIDER_UNAVAILABLE', true],
  ])('with status %i and %s is %s', async (status, body, code, retryable) => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({
      match: /./,
      fault: { kind: 'status', status, body, headers: { 'Retry-After': '7' } },
      times: 1,
    });
    const refusal = await refusalOf(adapter);
    expect(refusal).toMatchObject({
      code,
      details: { ...OF_CHANNEL, upstreamStatus: status, upstreamRequestId: 'AbC-1' },
    });
    expect(refusal.details.retryable).toBe(retryable);
    if (code === 'PROVIDER_RATE_LIMITED') expect(refusal.details.retryAfterMs).toBe(7_000);
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
  });

  it('is told by the header where the body does not tell', async () => {
    const { meta, adapter } = await startMeta();
    meta.fault = { kind: 'status', status: 400, body: PAGE, headers: { 'X-Fb-Request-Id': 'AbC-2' } };
    expect(await describeOne(adapter)).toMatchObject({ details: { upstreamRequestId: 'AbC-2' } });
  });

  it('is said without its own words, hosts and credentials', async () => {
    const { meta, adapter } = await startMeta();
    meta.expire(MEDIA_ID);
    const { message, details } = await refusalOf(adapter);
    expect(message).toBe('expected this media, got word of the provider that it does not have it (any more)');
    expect(JSON.stringify(details)).not.toMatch(/127\.0\.0\.1|facebook|EAAJB/);
  });
});

describe('metadata of another kind', () => {
  it.each([
    ['a page', { kind: 'body', body: PAGE, contentType: 'text/html' }],
    ['half a JSON', { kind: 'body', body: '{"url":"https:' }],
    ['nothing', { kind: 'body', body: '' }],
    ['an envelope', { kind: 'body', body: JSON.stringify({ _data: { url: 'https://x.test/' } }) }],
    ['a backslash', { kind: 'body', body: JSON.stringify({ url: 'https://lookaside.fbsbx.com\\@x.test/' }) }],
    ['a tab', { kind: 'body', body: JSON.stringify({ url: 'https://look\taside.fbsbx.com/' }) }],
    ['a relative address', { kind: 'body', body: JSON.stringify({ url: '//x.test/' }) }],
    ['an address of another kind', { kind: 'body', body: JSON.stringify({ url: 'file:///etc/passwd' }) }],
    ['an empty address', { kind: 'body', body: JSON.stringify({ url: '' }) }],
    ['an endless address', { kind: 'body', body: JSON.stringify({ url: `https://x.test/${'x'.repeat(9_000)}` }) }],
    [
      'ten megabytes',
      { kind: 'body', body: JSON.stringify({ url: 'https://x.test/', padding: 'x'.repeat(10_000_000) }) },
    ],
    ['an answer that is cut off', { kind: 'cut', afterBytes: 20 }],
  ] satisfies Array<[string, Fault]>)('is a fault: %s', async (_name, fault) => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({ match: /./, fault, times: 2 });
    const expected = fault.kind === 'cut' ? /^PROVIDER_(PROTOCOL|UNAVAILABLE)$/ : /^PROVIDER_PROTOCOL$/;
    expect(await describeOne(adapter)).toMatchObject({ code: expect.stringMatching(expected) });
    expect((await refusalOf(adapter)).code).toMatch(expected);
    expect(meta.lookaside.requestCount).toBe(0);
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
  });
});

describe('bytes of another kind', () => {
  it.each([
    ['a page', PAGE, 'text/html; charset=utf-8'],
    ['XHTML', PAGE, 'application/xhtml+xml'],
    ['JSON', GRAPH_ERROR(1), 'application/json'],
    ['JSON of a special type', '{}', 'application/problem+json'],
  ])('are a fault and not the media: %s', async (_name, body, contentType) => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.fault = { kind: 'body', body, contentType };
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL', details: OF_CHANNEL });
  });

  it('are the media where a customer sent such a file', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ id: '5', bytes: Buffer.from(PAGE), mimeType: 'text/html' });
    expect((await openedBytes(adapter, '5')).toString()).toBe(PAGE);
  });

  it('are a fault at an origin that gets no credentials, too', async () => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    cdn.fault = { kind: 'body', body: PAGE, contentType: 'text/html' };
    meta.announcedOrigin = cdn.url;
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  });

  it('fail where they are cut off in the middle', async () => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.fault = { kind: 'cut', afterBytes: 1_000 };
    const stream = await adapter.openMedia(refOf(MEDIA_ID), {});
    await expect(bytesOf(stream)).rejects.toMatchObject({ name: 'NetError' });
  });
});

describe('silence', () => {
  const IMPATIENT: Connection = { policy: { timeoutMs: 200 } };
  const UNAVAILABLE = { code: 'PROVIDER_UNAVAILABLE', details: { ...OF_CHANNEL, retryable: true } };

  it('of the API ends with the deadline', async () => {
    const { meta, adapter } = await startMeta(IMPATIENT);
    meta.fault = { kind: 'hang' };
    expect(await describeOne(adapter)).toMatchObject(UNAVAILABLE);
    expect(await refusalOf(adapter)).toMatchObject(UNAVAILABLE);
  });

  it('of the origin of media ends with the deadline', async () => {
    const { meta, adapter } = await startMeta(IMPATIENT);
    meta.lookaside.fault = { kind: 'hang' };
    expect(await refusalOf(adapter)).toMatchObject(UNAVAILABLE);
  });

  it('within the bytes fails the stream', async () => {
    const { meta, adapter } = await startMeta(IMPATIENT);
    meta.lookaside.fault = { kind: 'hang-in-body', afterBytes: 1_000 };
    const stream = await adapter.openMedia(refOf(MEDIA_ID), {});
    await expect(bytesOf(stream)).rejects.toMatchObject({ name: 'NetError', code: 'TIMEOUT' });
  });

  it('is not waited for when nobody waits any more', async () => {
    const { meta, adapter } = await startMeta();
    const caller = new AbortController();
    const gone = new Error('the caller is gone');
    meta.lookaside.faults.push({
      match: () => {
        caller.abort(gone);
        return true;
      },
      fault: { kind: 'hang' },
    });
    await expect(adapter.openMedia(refOf(MEDIA_ID), { signal: caller.signal })).rejects.toBe(gone);
  });
});

describe('a channel of Chakra', () => {
  it('describes by id and version, from metadata without an envelope', async () => {
    const { chakra, adapter } = await startChakra();
    expect(adapter.provider).toBe('chakra');
    expect(adapter.mediaPerMessage).toBe('one');
    expect(adapter.listMedia).toBeUndefined();
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
    expect(chakra.requests).toMatchObject([
      { path: `/v1/whatsapp/v19.0/media/${MEDIA_ID}`, headers: { authorization: BEARER } },
    ]);
  });

  it('opens the address on its own origin as it stands, with the credentials', async () => {
    const { chakra, adapter } = await startChakra({ options: { apiVersion: 'v21.0', pluginId: 'plugin_1' } });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(credentialsAt(chakra)).toEqual([BEARER, BEARER]);
    expect(chakra.requests.map(({ path }) => path)).toEqual([
      `/v1/whatsapp/v21.0/media/${MEDIA_ID}`,
      expect.stringMatching(/^\/v1\/whatsapp\/v22\.0\/whatsapp_business\/attachments\/\?mid=\d+&ext=\d+&hash=[\w-]+$/),
    ]);
  });

  it.each(['https://lookaside.fbsbx.com', 'a server that would answer'])(
    'takes the one step where the metadata names another origin: %s',
    async (announced) => {
      const { chakra, adapter } = await startChakra({ options: { allowPrivate: LOOPBACK } });
      const cdn = await startElsewhere();
      chakra.announcedOrigin = announced.startsWith('https') ? announced : cdn.url;
      expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
      expect(chakra.requests.map(({ path }) => path)).toEqual([
        `/v1/whatsapp/v19.0/media/${MEDIA_ID}`,
        `/v1/whatsapp/v19.0/media/${MEDIA_ID}/show`,
      ]);
      expect(credentialsAt(chakra)).toEqual([BEARER, BEARER]);
      expect(cdn.requestCount).toBe(0);
    },
  );

  it('shows its credentials where the configuration says so', async () => {
    const cdn = await startElsewhere();
    const { chakra, adapter } = await startChakra({ options: { mediaOrigins: [cdn.url] } });
    chakra.announcedOrigin = cdn.url;
    chakra.faults.push({ match: /show$/, fault: { kind: 'status', status: 502 } });
    // The emulator refuses requests with credentials, which proves that they arrived.
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_REJECTED', details: { upstreamStatus: 400 } });
    expect(credentialsAt(cdn)).toEqual([BEARER]);
  });

  it('renews an address once', async () => {
    const { chakra, adapter } = await startChakra();
    chakra.faults.push({ match: /attachments/, fault: { kind: 'status', status: 404 }, times: 1 });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(chakra.requestCount).toBe(4);
  });

  it('takes a redirect without the credentials', async () => {
    const { chakra, adapter } = await startChakra({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    const location = cdn.publicUrl('whatsapp_business/attachments/');
    chakra.faults.push({ match: /attachments/, fault: { kind: 'redirect', status: 302, location } });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(credentialsAt(cdn)).toEqual([undefined]);
  });

  it('remembers what is gone', async () => {
    const { chakra, adapter } = await startChakra();
    chakra.expire(MEDIA_ID);
    expect(await refusalOf(adapter)).toMatchObject({
      code: 'MEDIA_NOT_FOUND',
      details: { provider: 'chakra', channelId: 'wa', upstreamCode: '100' },
    });
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(chakra.requestCount).toBe(1);
  });

  it.each([
    [401, 'PROVIDER_CREDENTIALS'],
    [422, 'PROVIDER_REJECTED'],
    [429, 'PROVIDER_RATE_LIMITED'],
    [502, 'PROVIDER_UNAVAILABLE'],
  ])('words its own status %i as %s', async (status, code) => {
    const { chakra, adapter } = await startChakra();
    chakra.fault = { kind: 'status', status };
    expect(await describeOne(adapter)).toMatchObject({ code, details: { upstreamStatus: status } });
  });

  it('takes a page for no media, in one step or two', async () => {
    const { chakra, adapter } = await startChakra();
    chakra.faults.push({ match: /attachments|show/, fault: { kind: 'body', body: PAGE, contentType: 'text/html' } });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    chakra.announcedOrigin = 'https://lookaside.fbsbx.com';
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  });
});

const META_CHANNEL = {
  id: 'wa',
  provider: 'whatsapp-cloud',
  baseUrl: 'https://graph.facebook.com',
  credentials: { token: TOKEN },
  options: { phoneNumberId: PHONE_NUMBER_ID },
};
const CHAKRA_CHANNEL = {
  id: 'wa',
  provider: 'chakra',
  baseUrl: 'https://api.chakrahq.com',
  credentials: { token: TOKEN },
};

type WhatsAppSettings = Extract<ChannelSettings, { provider: 'whatsapp-cloud' | 'chakra' }>;

function parsed(channel: object): WhatsAppSettings {
  const settings = channelSettings.parse(channel);
  if (settings.provider === 'whatsapp-cloud' || settings.provider === 'chakra') return settings;
  throw new Error('expected a channel of WhatsApp');
}

describe('the settings', () => {
  it('have defaults', () => {
    expect(parsed(META_CHANNEL).options).toMatchObject({ apiVersion: 'v23.0', phoneNumberId: PHONE_NUMBER_ID });
    expect(parsed(CHAKRA_CHANNEL).options).toMatchObject({ apiVersion: 'v19.0' });
    expect(parsed(META_CHANNEL).options.mediaOrigins).toBeUndefined();
  });

  it('take a number for digits, as YAML reads them', () => {
    const options = { phoneNumberId: 106540352242922 };
    expect(parsed({ ...META_CHANNEL, options }).options).toMatchObject({ phoneNumberId: PHONE_NUMBER_ID });
  });

  it('let Chakra’s secret verify as well, unless another token does', () => {
    const webhookOf = (channel: object, webhook: object) => parsed({ ...channel, webhook }).webhook;
    expect(webhookOf(CHAKRA_CHANNEL, { secret: 's' })).toEqual({ secret: 's', verifyToken: 's' });
    expect(webhookOf(CHAKRA_CHANNEL, { secret: 's', verifyToken: 'v' })).toEqual({ secret: 's', verifyToken: 'v' });
    expect(webhookOf(META_CHANNEL, { secret: 's' })).toEqual({ secret: 's' });
    expect(webhookOf(META_CHANNEL, { secret: 's', verifyToken: 'v' })).toEqual({ secret: 's', verifyToken: 'v' });
  });

  it.each([
    ['a channel of Meta without options', { ...META_CHANNEL, options: undefined }],
    ['a channel of Meta without a number', { ...META_CHANNEL, options: {} }],
    ['a number with other signs', { ...META_CHANNEL, options: { phoneNumberId: '1/2' } }],
    ['a version without a v', { ...CHAKRA_CHANNEL, options: { apiVersion: '19.0' } }],
    ['a version that is a path', { ...CHAKRA_CHANNEL, options: { apiVersion: 'v1.0/..' } }],
    ['a plugin that is a path', { ...CHAKRA_CHANNEL, options: { pluginId: '../x' } }],
    ['a number at Chakra', { ...CHAKRA_CHANNEL, options: { phoneNumberId: '1' } }],
    ['an unknown key', { ...CHAKRA_CHANNEL, webhook: { secret: 's', header: 'x' } }],
    ['a token that no header can hold', { ...CHAKRA_CHANNEL, credentials: { token: 'a\n' } }],
  ])('refuse %s', (_name, channel) => {
    expect(channelSettings.safeParse(channel).success).toBe(false);
  });
});

describe('the emulators', () => {
  const agent = new Agent();
  afterAll(() => agent.destroy());

  async function get(url: string, authorization?: string) {
    const headers = authorization === undefined ? {} : { authorization };
    const { statusCode, headers: answered, body } = await request(url, { dispatcher: agent, headers });
    return { statusCode, headers: answered, text: await body.text() };
  }

  it('answer as Meta was recorded', async () => {
    const { meta } = await startMeta({}, () => 1_728_904_686_000);
    const { text, headers } = await get(`${meta.url}/${MEDIA_ID}`, BEARER);
    expect(text).toMatch(
      /^\{"url":"http:\\\/\\\/127\.0\.0\.1:\d+\\\/whatsapp_business\\\/attachments\\\/\?mid=1761991787669262&ext=1728904986&hash=AT[\w-]{44}","mime_type":"image\\\/jpeg","sha256":"[0-9a-f]{64}","file_size":\d+,"id":"1761991787669262","messaging_product":"whatsapp"\}$/,
    );
    expect(headers['content-type']).toBe('application/json; charset=UTF-8');
    const unknown = await get(`${meta.url}/v20.0/123_123`, BEARER);
    expect(unknown.statusCode).toBe(400);
    expect(JSON.parse(unknown.text)).toMatchObject({
      error: {
        type: 'GraphMethodException',
        code: 100,
        error_subcode: 33,
        fbtrace_id: unknown.headers['x-fb-request-id'],
      },
    });
  });

  it('want the token for metadata and for bytes, and answer a page for bytes without it', async () => {
    const { meta } = await startMeta();
    expect(await get(`${meta.url}/v23.0/${MEDIA_ID}`)).toMatchObject({ statusCode: 401 });
    const { url }: { url: string } = JSON.parse((await get(`${meta.url}/v23.0/${MEDIA_ID}`, BEARER)).text);
    const page = await get(url);
    expect(page).toMatchObject({ statusCode: 401, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(await get(url, BEARER)).toMatchObject({
      statusCode: 200,
      headers: { 'content-disposition': 'inline;filename=whatsapp.jpg' },
    });
    expect(await get(url.replace('&ext=', '&ext=9'), BEARER)).toMatchObject({ statusCode: 404 });
    const { chakra } = await startChakra();
    for (const path of ['', '/show']) {
      expect(await get(`${chakra.url}/v1/whatsapp/v19.0/media/${MEDIA_ID}${path}`)).toMatchObject({ statusCode: 401 });
    }
  });

  it('close an address after 300 seconds', async () => {
    let now = 1_728_904_686_000;
    const { chakra } = await startChakra({}, () => now);
    const metadata = await get(`${chakra.url}/v1/whatsapp/v19.0/media/${MEDIA_ID}`, BEARER);
    const { url }: { url: string } = JSON.parse(metadata.text);
    now += 299_999;
    expect((await get(url, BEARER)).statusCode).toBe(200);
    now += 1;
    expect((await get(url, BEARER)).statusCode).toBe(404);
  });

  it('announce media as Meta does: signed, escaped, the hash in Base64', async () => {
    const { meta } = await startMeta();
    const { body, headers } = meta.webhookOf(MEDIA_ID, { id: 'wamid.HBgL', caption: 'Grüße' });
    expect(headers['x-hub-signature-256']).toBe(
      `sha256=${createHmac('sha256', APP_SECRET).update(body).digest('hex')}`,
    );
    expect(body.toString()).toContain('Gr\\u00fc\\u00dfe');
    expect(body.toString()).toContain('image\\/jpeg');
    expect(messageIn(body)).toEqual({
      from: '16505551234',
      id: 'wamid.HBgL',
      timestamp: expect.stringMatching(/^\d{10}$/),
      type: 'image',
      image: {
        caption: 'Grüße',
        mime_type: 'image/jpeg',
        sha256: createHash('sha256').update(samples.photo.bytes).digest('base64'),
        id: MEDIA_ID,
        url: expect.stringContaining(`${meta.lookaside.url}/whatsapp_business/attachments/?mid=${MEDIA_ID}&ext=`),
      },
    });
  });

  it('announce media as Chakra passes them on: unsigned, at an address that its key does not open', async () => {
    const { chakra } = await startChakra();
    chakra.addMedia({ ...samples.document, id: '6' });
    const { body, headers } = chakra.webhookOf('6', { id: 'wamid.HBgM', filename: 'Angebot.pdf' });
    expect(Object.keys(headers).filter((name) => name.includes('signature'))).toEqual([]);
    expect(messageIn(body)).toMatchObject({
      type: 'document',
      document: { filename: 'Angebot.pdf', url: expect.stringMatching(/^https:\/\/lookaside\.fbsbx\.com\//) },
    });
    expect(() => chakra.webhookOf('nothing', { id: 'wamid.HBgN' })).toThrow('expected a media that was added');
  });

  it('name the kinds of messages as WhatsApp does', async () => {
    const { meta } = await startMeta();
    const kinds = { sticker: 'sticker', voiceNote: 'audio', video: 'video', document: 'document' } as const;
    for (const [sample, type] of Object.entries(kinds)) {
      meta.addMedia({ ...samples[sample as keyof typeof kinds], id: '3' });
      expect(messageIn(meta.webhookOf('3', { id: 'wamid.1' }).body)).toMatchObject({ type, [type]: { id: '3' } });
    }
    const asDocument = meta.webhookOf(MEDIA_ID, { id: 'wamid.2', type: 'document' });
    expect(messageIn(asDocument.body)).toMatchObject({ document: { mime_type: 'image/jpeg', filename: 'document' } });
  });
});

interface MetaBody {
  readonly entry: ReadonlyArray<{
    readonly changes: ReadonlyArray<{ readonly value: { readonly messages: unknown[] } }>;
  }>;
}

function messageIn(body: Buffer): unknown {
  const { entry }: MetaBody = JSON.parse(body.toString());
  return entry[0]?.changes[0]?.value.messages[0];
}
