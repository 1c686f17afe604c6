import { buffer } from 'node:stream/consumers';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import type { EmulatorServer } from '../../../demo/src/emulators/emulator-server.js';
import type { Fault } from '../../../demo/src/emulators/faults.js';
import { signalwireMediaSid, signalwireMessageSid, twilioMediaSid } from '../../../demo/src/emulators/sample-ids.js';
import { type Config, parseConfig } from '../../../src/config/config.js';
import type { ByteRange } from '../../../src/model/byte-range.js';
import { MediagraphError } from '../../../src/model/errors.js';
import type { MediaRef } from '../../../src/model/media.js';
import { OriginPools } from '../../../src/net/client/origin-pools.js';
import { connectChannels } from '../../../src/providers/connect-channels.js';
import {
  type ByteStream,
  type OpenMediaOptions,
  type ProviderAdapter,
  RangeNotSatisfiable,
} from '../../../src/providers/provider-adapter.js';
import { MemoryQuota } from '../../support/adapter-context.js';
import { DEVICE_ID, EmulatedProviders } from '../../support/emulated-providers.js';
import { samples } from '../../support/sample-messages.js';

const { bytes } = samples.photo;
const SIZE = bytes.length;
const MIDDLE: ByteRange = { start: 100, end: 199 };
const META_ID = '1761991787669262';

const providers = new EmulatedProviders();
/** The target of a CDN's redirect. */
const moved = new CdnEmulator();
const pools = new OriginPools();
const cleanups: Array<() => Promise<void>> = [];
let config: Config | null = null;

beforeAll(() => Promise.all([providers.start(), moved.start()]));
afterAll(() => Promise.all([providers.close(), moved.close(), pools.close(), ...cleanups.map((cleanUp) => cleanUp())]));
afterEach(() => {
  for (const server of servers()) {
    server.faults.length = 0;
    server.ignoresRanges = false;
    server.clearRequests();
  }
  providers.signalwire.bytesWithoutExtension = 'redirect';
  providers.meta.announcedOrigin = null;
});

function servers(): EmulatorServer[] {
  const { cdn, kirim, signalwire, twilio, meta, chakra, gateway, gupshup } = providers;
  return [cdn, kirim, signalwire, twilio, meta, meta.lookaside, chakra, gateway, gupshup, moved];
}

/** One path on which a provider delivers bytes. */
interface DownloadRoute {
  readonly channel: string;
  /** Stores the photo at the provider. */
  arrange(): Partial<MediaRef>;
  /** The server that holds the bytes. */
  origin(): EmulatorServer;
  /** Paths of requests for bytes, at any server: where the provider's API redirects, it receives one too. */
  readonly bytesPath: RegExp;
}

const meta = (): Partial<MediaRef> => {
  providers.meta.addMedia({ ...samples.photo, id: META_ID });
  return { providerMediaId: META_ID };
};
const laml = (channel: 'sms' | 'mms'): Partial<MediaRef> => {
  const isTwilio = channel === 'mms';
  const emulator = isTwilio ? providers.twilio : providers.signalwire;
  const sid = isTwilio ? twilioMediaSid(1) : signalwireMediaSid(1);
  const message = signalwireMessageSid(1);
  emulator.addMessage({ sid: message, media: [{ ...samples.photo, sid }] });
  return { providerMessageId: message, providerMediaId: sid };
};
const kirim = (): Partial<MediaRef> => {
  providers.kirim.addMessage({ id: 'msg_1', media: samples.photo });
  return { providerMessageId: 'msg_1' };
};
const LAML_BYTES = /^\/(ea1|AC)|\/Media\/[^/.]+$/;

const DOWNLOAD_ROUTES: Readonly<Record<string, DownloadRoute>> = {
  'kirim, by its redirect': { channel: 'wa', arrange: kirim, origin: () => providers.cdn, bytesPath: /^\/kirim\// },
  'kirim, by the URL of a webhook': {
    channel: 'wa',
    arrange: () => ({ ...kirim(), downloadUrl: providers.kirim.mediaUrl('msg_1') }),
    origin: () => providers.cdn,
    bytesPath: /^\/kirim\//,
  },
  'kirim, whose CDN redirects': {
    channel: 'wa',
    arrange: () => {
      moved.put('photo', samples.photo);
      providers.cdn.faults.push({
        match: /^\/kirim\//,
        fault: { kind: 'redirect', status: 307, location: moved.publicUrl('photo') },
      });
      return kirim();
    },
    origin: () => moved,
    bytesPath: /^\/(kirim\/|photo)/,
  },
  'signalwire, by its redirect': {
    channel: 'sms',
    arrange: () => laml('sms'),
    origin: () => providers.cdn,
    bytesPath: LAML_BYTES,
  },
  'signalwire, which gives them itself': {
    channel: 'sms',
    arrange: () => {
      providers.signalwire.bytesWithoutExtension = 'inline';
      const ref = laml('sms');
      const { providerMessageId, providerMediaId } = ref;
      return { ...ref, downloadUrl: providers.signalwire.mediaUrl(`${providerMessageId}`, `${providerMediaId}`) };
    },
    origin: () => providers.signalwire,
    bytesPath: LAML_BYTES,
  },
  twilio: { channel: 'mms', arrange: () => laml('mms'), origin: () => providers.cdn, bytesPath: LAML_BYTES },
  'whatsapp-cloud': {
    channel: 'cloud',
    arrange: meta,
    origin: () => providers.meta.lookaside,
    bytesPath: /^\/whatsapp_business\//,
  },
  'whatsapp-cloud, at a stranger’s': {
    channel: 'cloud',
    arrange: () => {
      providers.cdn.put('whatsapp_business/attachments/', samples.photo);
      providers.meta.announcedOrigin = providers.cdn.url;
      return meta();
    },
    origin: () => providers.cdn,
    bytesPath: /^\/whatsapp_business\//,
  },
  chakra: {
    channel: 'chakra',
    arrange: () => {
      providers.chakra.addMedia({ ...samples.photo, id: META_ID });
      return { providerMediaId: META_ID };
    },
    origin: () => providers.chakra,
    // Matches both download paths.
    bytesPath: /\/whatsapp_business\/|\/show$/,
  },
  'wa-gateway': {
    channel: 'gateway',
    arrange: () => ({
      providerMediaId: providers.gateway.addMedia({ ...samples.photo, deviceId: DEVICE_ID, messageId: 'M1' }),
    }),
    origin: () => providers.gateway,
    bytesPath: /^\/media\?/,
  },
  gupshup: {
    channel: 'gupshup',
    arrange: () => ({ downloadUrl: providers.gupshup.addMedia({ ...samples.photo, id: '1', messageId: 'm' }) }),
    origin: () => providers.gupshup,
    bytesPath: /^\/wa\//,
  },
};

/** Creates a new adapter, which does not remember the media of other tests. */
function connect(channel: string, maxBytes = 10_000_000): ProviderAdapter {
  config ??= parseConfig({ channels: providers.channels(), network: { allowPrivate: ['127.0.0.0/8'] } }, {});
  // Connects only one channel, because each needs a TLS context.
  const only = { ...config, channels: config.channels.filter(({ id }) => id === channel), upload: { maxBytes } };
  const { directory, close } = connectChannels(only, { pools, quota: new MemoryQuota() });
  cleanups.push(close);
  return directory.get('default', channel).adapter;
}

function opener({ channel, arrange }: DownloadRoute, maxBytes?: number) {
  const ref: MediaRef = { providerMessageId: 'm', providerMediaId: null, downloadUrl: null, ...arrange() };
  const adapter = connect(channel, maxBytes);
  return async (options: OpenMediaOptions): Promise<ByteStream> => {
    if (!adapter.openMedia) throw new Error('expected an adapter that opens media');
    return adapter.openMedia(ref, options);
  };
}

async function refusalOf(opened: Promise<ByteStream>): Promise<unknown> {
  const outcome = await opened.catch((thrown: unknown) => thrown);
  if (outcome instanceof Error) return outcome;
  throw new Error('expected no stream', { cause: outcome });
}

/** A 206 with the given Content-Range, valid or not. */
function partial(contentRange: string | null, length: number, keys: { chunked?: boolean; type?: string } = {}): Fault {
  const { chunked, type = 'image/jpeg' } = keys;
  const headers = { 'content-type': type, ...(contentRange === null ? {} : { 'content-range': contentRange }) };
  return { kind: 'status', status: 206, headers, body: 'x'.repeat(length), chunked };
}

describe.each(Object.entries(DOWNLOAD_ROUTES))('the bytes of %s', (_name, route) => {
  const openWithFault = (fault: Fault) => {
    const open = opener(route);
    route.origin().faults.unshift({ match: route.bytesPath, fault });
    return open;
  };

  it.each<[string, ByteRange, number, number]>([
    ['from here to there', MIDDLE, 100, 199],
    ['of one byte', { start: 0, end: 0 }, 0, 0],
    ['to the end', { start: SIZE - 10, end: null }, SIZE - 10, SIZE - 1],
    ['beyond the end', { start: SIZE - 10, end: SIZE + 10 }, SIZE - 10, SIZE - 1],
    ['that are all', { start: 0, end: null }, 0, SIZE - 1],
  ])('%s are given', async (_what, range, start, end) => {
    const stream = await opener(route)({ range });
    expect(stream).toMatchObject({ range: { start, end }, sizeBytes: SIZE, declaredMimeType: 'image/jpeg' });
    expect((await buffer(stream.body)).equals(bytes.subarray(start, end + 1))).toBe(true);
  });

  it('are complete without a range, and where the provider ignores ranges', async () => {
    for (const ignoresRanges of [false, true]) {
      route.origin().ignoresRanges = ignoresRanges;
      const stream = await opener(route)(ignoresRanges ? { range: MIDDLE } : {});
      expect(stream).toMatchObject({ range: null, sizeBytes: SIZE });
      expect((await buffer(stream.body)).equals(bytes)).toBe(true);
    }
  });

  it('are requested with the same requests, with and without a range', async () => {
    const requestsOf = async (options: OpenMediaOptions) => {
      for (const server of servers()) server.clearRequests();
      (await opener(route)(options)).body.destroy();
      return servers().flatMap((server, index) =>
        server.requests.map(({ method, path, headers }) => {
          const { authorization, token, range, ...otherHeaders } = headers;
          const names = Object.keys(otherHeaders).sort();
          // Signed URLs differ each time, so only the path before the query is compared.
          return { request: `${index} ${method} ${path.split('?')[0]}`, path, names, authorization, token, range };
        }),
      );
    };
    const whole = await requestsOf({});
    const part = await requestsOf({ range: MIDDLE });
    expect(part.map((request) => ({ ...request, path: '', range: null }))).toEqual(
      whole.map((request) => ({ ...request, path: '', range: null })),
    );
    expect(whole.filter(({ range }) => range !== undefined)).toEqual([]);
    for (const { path, range } of part) expect([path, range]).toEqual([path, rangeAt(path)]);
    expect(part.filter(({ path }) => route.bytesPath.test(path)).length).toBeGreaterThan(0);
  });

  const rangeAt = (path: string) => (route.bytesPath.test(path) ? 'bytes=100-199' : undefined);

  it('of a range behind the end are RangeNotSatisfiable', async () => {
    const refusal = await refusalOf(opener(route)({ range: { start: SIZE, end: null } }));
    expect(refusal).toBeInstanceOf(RangeNotSatisfiable);
    expect(refusal).toMatchObject({ sizeBytes: SIZE });
    const silent = await refusalOf(openWithFault({ kind: 'status', status: 416 })({ range: MIDDLE }));
    expect(silent).toBeInstanceOf(RangeNotSatisfiable);
    expect(silent).toMatchObject({ sizeBytes: null });
  });

  it('may be fewer than requested, as their range says', async () => {
    const stream = await openWithFault(partial('bytes 100-149/*', 50))({ range: MIDDLE });
    expect(stream).toMatchObject({ range: { start: 100, end: 149 }, sizeBytes: null });
    expect(await buffer(stream.body)).toHaveLength(50);
  });

  it.each<[string, Fault]>([
    ['from another start', partial(`bytes 99-199/${SIZE}`, 101)],
    ['to a later end', partial(`bytes 100-200/${SIZE}`, 101)],
    ['beyond their own end', partial('bytes 100-199/150', 100)],
    ['that end before they start', partial(`bytes 100-99/${SIZE}`, 0)],
    ['in another unit', partial(`lines 100-199/${SIZE}`, 100)],
    ['that do not say which they are', partial(null, 100)],
    ['in several parts', partial(null, 100, { type: 'multipart/byteranges; boundary=x' })],
    ['of two lengths', partial(`bytes 100-199/${SIZE}`, 99)],
    [
      'that are refused although they are there',
      { kind: 'status', status: 416, headers: { 'content-range': `bytes */${SIZE}` } },
    ],
    [
      'that are packed',
      { kind: 'status', status: 206, headers: { 'content-encoding': 'gzip', 'content-range': 'bytes 100-101/*' } },
    ],
  ])('%s are PROVIDER_PROTOCOL', async (_what, fault) => {
    const refusal = await refusalOf(openWithFault(fault)({ range: MIDDLE }));
    expect(refusal).toBeInstanceOf(MediagraphError);
    expect(refusal).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  });

  it.each<[string, Fault]>([
    ['more', partial(`bytes 100-199/${SIZE}`, 101, { chunked: true })],
    ['fewer', partial(`bytes 100-199/${SIZE}`, 99, { chunked: true })],
    ['none', partial(`bytes 100-199/${SIZE}`, 0, { chunked: true })],
    ['cut off', { kind: 'cut', afterBytes: 50 }],
  ])('that turn out to be %s fail, and never look complete', async (_what, fault) => {
    const { body } = await openWithFault(fault)({ range: MIDDLE });
    await expect(buffer(body)).rejects.toThrow();
  });

  it.each<[string, number, Fault]>([
    ['a part that says to be all', 206, partial('bytes 0-9/10', 10)],
    ['a part that says nothing', 206, partial(null, 10)],
    ['out of range', 416, { kind: 'status', status: 416 }],
  ])('that are %s although all were asked for are faults', async (_what, upstreamStatus, fault) => {
    const refusal = await refusalOf(openWithFault(fault)({}));
    expect(refusal).toBeInstanceOf(MediagraphError);
    expect(refusal).toMatchObject({ details: { upstreamStatus } });
  });

  it('of a media that is too large are MEDIA_TOO_LARGE, however few are asked for', async () => {
    expect(await refusalOf(opener(route, SIZE - 1)({ range: MIDDLE }))).toMatchObject({ code: 'MEDIA_TOO_LARGE' });
    expect(await buffer((await opener(route, SIZE)({ range: MIDDLE })).body)).toHaveLength(100);
  });

  it('end with their caller', async () => {
    const caller = new AbortController();
    const { body } = await openWithFault({ kind: 'hang-in-body', afterBytes: 50 })({
      range: MIDDLE,
      signal: caller.signal,
    });
    const gone = new Error('the client left');
    const failed = buffer(body).catch((thrown: unknown) => thrown);
    caller.abort(gone);
    expect(await failed).toBe(gone);
  });
});

it('a whole answer’s size is its own, whatever part it says to be', async () => {
  const route = DOWNLOAD_ROUTES['wa-gateway'];
  if (!route) throw new Error('expected a way');
  const open = opener(route);
  const headers = { 'content-type': 'image/jpeg', 'content-range': 'bytes 100-199/4711' };
  providers.gateway.faults.push({
    match: route.bytesPath,
    fault: { kind: 'status', status: 200, headers, body: 'x'.repeat(300) },
  });
  const stream = await open({ range: MIDDLE });
  expect(stream).toMatchObject({ range: null, sizeBytes: 300 });
  expect(await buffer(stream.body)).toHaveLength(300);
});

it('a range behind the end at Kirim’s CDN does not cause a request for another URL', async () => {
  const route = DOWNLOAD_ROUTES['kirim, by the URL of a webhook'];
  if (!route) throw new Error('expected a way');
  expect(await refusalOf(opener(route)({ range: { start: SIZE, end: null } }))).toBeInstanceOf(RangeNotSatisfiable);
  expect([providers.kirim.requestCount, providers.cdn.requestCount]).toEqual([0, 1]);
});

it('details of a file without bytes are the provider’s fault, not a range’s', async () => {
  const url = providers.gupshup.addMedia({ ...samples.photo, bytes: Buffer.alloc(0), id: '2', messageId: 'm' });
  const ref = { providerMessageId: 'm', providerMediaId: null, downloadUrl: url };
  expect(await connect('gupshup').describeMedia?.([ref], {})).toMatchObject([{ code: 'PROVIDER_PROTOCOL' }]);
});
