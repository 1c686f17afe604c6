import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { request } from 'undici';
import { UrlSigner } from '../../src/links/signed-url.js';
import { EmulatedProviders } from '../support/emulated-providers.js';
import { eventually } from '../support/eventually.js';
import { RawServer } from '../support/raw-server.js';
import { messageId, receive, samples } from '../support/sample-messages.js';
import {
  errorOf,
  headerOf,
  kirimChannel,
  type ProviderOfBed,
  SECRETS,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';
import { WebhookBed } from '../support/webhook-bed.js';

// Each server of its own takes a second to start, and more on a busy machine.
import.meta.jest.setTimeout(30_000);

const WAMID = 'wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ';

describe('media that its provider listed', () => {
  const beds = useBeds();
  let bed: TestBed;

  beforeEach(async () => {
    bed = await beds.shared();
  });

  it.each<ProviderOfBed>(['kirim', 'signalwire', 'twilio'])(
    'is downloaded from %s once, also for simultaneous first requests, and never again',
    async (provider) => {
      const path = await bed.pathOf(receive(bed, provider, 1, samples.video));
      await bed.app.settled();
      bed.clearRequests();
      const all = await Promise.all(Array.from({ length: 20 }, () => bed.get(path)));
      expect(all.map(({ status, bytes }) => [status, bytes.equals(samples.video.bytes)])).toEqual(
        all.map(() => [200, true]),
      );
      expect(bed.cdn.requestCount).toBe(1);
      await bed.app.settled();
      const calls = bed.providerCalls;
      expect((await bed.get(path)).bytes.equals(samples.video.bytes)).toBe(true);
      expect([bed.cdn.requestCount, bed.providerCalls]).toEqual([1, calls]);
    },
  );

  it('has the name that its provider gives it, before and after the copy', async () => {
    const path = await bed.pathOf(receive(bed, 'twilio', 3));
    await bed.app.settled();
    const first = await bed.get(path);
    await bed.app.settled();
    const second = await bed.get(path);
    expect(headerOf(first, 'content-disposition')).toContain('photo.jpg');
    expect(headerOf(second, 'content-disposition')).toBe(headerOf(first, 'content-disposition'));
  });

  it('is stored by a HEAD, which answers the headers without bytes', async () => {
    const path = await bed.pathOf(receive(bed, 'twilio', 2));
    await bed.app.settled();
    bed.clearRequests();
    const head = await bed.get(path, { method: 'HEAD' });
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    await bed.app.settled();
    const [again, got] = [await bed.get(path, { method: 'HEAD' }), await bed.get(path)];
    for (const name of ['content-type', 'content-length'])
      expect([headerOf(head, name), headerOf(again, name)]).toEqual([headerOf(got, name), headerOf(got, name)]);
    expect(headerOf(got, 'content-length')).toBe(String(samples.photo.bytes.length));
    expect(bed.cdn.requestCount).toBe(1);
  });

  it.each([
    ['is cut off', 20_000],
    ['is cut off at its first byte', 0],
  ])(
    'whose download %s has an incomplete answer, stores nothing, and works at the next request',
    async (_how, afterBytes) => {
      const path = await bed.pathOf(receive(bed, 'kirim', 2, samples.video));
      await bed.app.settled();
      const before = await blobFiles(bed.config.storage.root);
      bed.cdn.fault = { kind: 'cut', afterBytes };
      const outcomes = await Promise.all(
        Array.from({ length: 5 }, () =>
          bed.get(path).then(
            ({ status }) => (status === 200 ? 'whole' : 'refused'),
            () => 'broken',
          ),
        ),
      );
      expect(outcomes).not.toContain('whole');
      await bed.app.settled();
      expect(await blobFiles(bed.config.storage.root)).toEqual(before);
      bed.cdn.fault = null;
      expect((await bed.get(path)).bytes.equals(samples.video.bytes)).toBe(true);
    },
  );

  it('is served by its provider again when its blob is missing, and stored again', async () => {
    const path = await bed.pathOf(receive(bed, 'twilio'));
    await bed.get(path);
    await bed.app.settled();
    const { root } = bed.config.storage;
    expect(await blobFiles(root)).not.toEqual([]);
    await rm(`${root}/media`, { recursive: true });
    bed.clearRequests();
    expect((await bed.get(path)).bytes.equals(samples.photo.bytes)).toBe(true);
    await bed.app.settled();
    expect([bed.cdn.requestCount, (await blobFiles(root)).length]).toEqual([1, 1]);
    expect(bed.logLines.filter((line) => line.includes('stored bytes are missing'))).toHaveLength(1);
  });

  it('is not stored when mirroring is off', async () => {
    const own = await beds.own({ config: { mirror: { mode: 'off' } } });
    const path = await own.pathOf(receive(own, 'kirim'));
    for (const round of [1, 2]) {
      expect((await own.get(path)).status).toBe(200);
      expect(own.cdn.requests.filter(({ headers }) => headers.range === undefined)).toHaveLength(round);
    }
    expect(await blobFiles(own.config.storage.root)).toEqual([]);
  });

  it.each<[string, boolean]>([
    ['says so', false],
    ['does not say so', true],
  ])('is refused when it is larger than upload.maxBytes and its origin %s', async (_what, chunked) => {
    const own = await beds.own({ config: { upload: { maxBytes: 50_000 } } });
    const path = await own.pathOf(receive(own, 'kirim', 1, { ...samples.video, bytes: Buffer.alloc(200_000, 'a') }));
    const [key = ''] = (own.kirim.mediaUrl(messageId('kirim').slice(3)) ?? '').split('/').slice(3).join('/').split('?');
    own.cdn.put(key, { bytes: Buffer.alloc(200_000, 'a'), mimeType: 'video/mp4' }, { chunked });
    const got = await own.get(path).catch(() => 'broken' as const);
    if (got !== 'broken') expect([got.status, errorOf(got).code]).toEqual([502, 'MEDIA_TOO_LARGE']);
    else expect(chunked).toBe(true);
    await own.app.settled();
    expect(await blobFiles(own.config.storage.root)).toEqual([]);
  });
});

describe('a first delivery whose client disconnects', () => {
  const beds = useBeds();

  it('midway still completes the copy, which serves the next one', async () => {
    const bytes = Buffer.concat(Array.from({ length: 100 }, () => samples.video.bytes));
    const half = Math.floor(bytes.length / 2);
    let finish: (() => void) | null = null;
    const origin = await RawServer.start((_request, response) => {
      response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': bytes.length });
      response.write(bytes.subarray(0, half));
      finish = () => void response.end(bytes.subarray(half));
    });
    const api = await RawServer.start(
      (_request, response) => void response.writeHead(302, { location: `${origin.url}/video` }).end(),
    );
    try {
      const bed = await beds.own({ config: { channels: [kirimChannel(api.url, { id: 'slow' })] } });
      const path = await bed.pathOf('slow:msg_1');
      await bed.app.settled();
      const { body, statusCode } = await request(bed.app.url + path);
      expect(statusCode).toBe(200);
      await once(body, 'data');
      const left = new Promise((resolve) => body.once('close', resolve));
      body.on('error', () => {}).destroy();
      await left;
      // The server gets this after the end of the connection.
      await bed.get('/livez');
      (finish ?? fail)();
      await bed.app.settled();
      expect((await bed.get(path)).bytes.equals(bytes)).toBe(true);
      expect(origin.requests).toEqual(['GET /video']);
    } finally {
      await Promise.all([origin.close(), api.close()]);
    }
  });

  function fail(): never {
    throw new Error('expected the origin to have been asked');
  }
});

describe('media that a webhook announced', () => {
  const providers = new EmulatedProviders();
  let bed: WebhookBed;

  beforeAll(() => providers.start());
  afterAll(() => providers.close());
  beforeEach(() => providers.meta.addMedia({ id: '1', bytes: samples.photo.bytes, mimeType: 'image/jpeg' }));
  afterEach(async () => {
    providers.meta.lookaside.fault = null;
    await bed.close();
  });

  async function announce(config: Readonly<Record<string, unknown>>): Promise<void> {
    bed = await WebhookBed.start({ config, channels: providers.channels() });
    providers.meta.lookaside.clearRequests();
    expect((await bed.post('cloud', providers.meta.webhookOf('1', { id: WAMID }))).status).toBe(200);
  }

  const media = async () => (await bed.media(`cloud:${WAMID}`))[0];

  /** A link as it was given out while the media was READY. */
  async function link(): Promise<string> {
    const keys = [{ id: 'k1', secret: SECRETS.signingSecret }];
    const urls = new UrlSigner({ keys, baseUrl: () => bed.app.url, ttlMs: 3_600_000 });
    const mediaId = (await media())?.id ?? '';
    return urls.sign({ mediaId, filename: 'image.jpg', disposition: 'inline', expiresAt: urls.expiry(Date.now()) });
  }

  it.each<[string, number, number]>([
    ['eager', 1, 1],
    ['lazy', 0, 1],
    ['off', 0, 2],
  ])('under mirror %s is downloaded %d times before and %d times after two deliveries', async (mode, before, after) => {
    await announce({ mirror: { mode } });
    await bed.settled();
    expect(providers.meta.lookaside.requestCount).toBe(before);
    expect((await media())?.status).toBe('READY');
    for (const _round of [1, 2]) {
      const got = await bed.send('GET', (await media())?.url ?? '');
      expect([got.status, got.bytes.equals(samples.photo.bytes)]).toEqual([200, true]);
      await bed.settled();
    }
    expect(providers.meta.lookaside.requestCount).toBe(after);
    expect(await blobFiles(bed.blobs)).toHaveLength(mode === 'off' ? 0 : 1);
  });

  it('is PENDING, and its link answers 409 with Retry-After, until it is copied', async () => {
    providers.meta.lookaside.fault = { kind: 'status', status: 503 };
    await announce({ providers: { 'whatsapp-cloud': { retries: 0 } } });
    await eventually(
      () => bed.logLines.filter((line) => line.includes('a copy failed and will be retried')).length,
      (tries) => tries > 0,
    );
    expect(await media()).toMatchObject({ status: 'PENDING', url: null });
    const early = await bed.send('GET', await link());
    expect([early.status, errorOf(early).code]).toEqual([409, 'MEDIA_NOT_READY']);
    expect(Number(headerOf(early, 'retry-after'))).toBeGreaterThan(0);
    providers.meta.lookaside.fault = null;
    await bed.settled();
    expect((await media())?.status).toBe('READY');
  });

  it('is FAILED and 502 when it is larger than upload.maxBytes, and nothing is stored', async () => {
    await announce({ upload: { maxBytes: 1_000 } });
    await bed.settled();
    expect(await media()).toMatchObject({ status: 'FAILED', url: null });
    expect((await bed.send('GET', await link())).status).toBe(502);
    expect(await blobFiles(bed.blobs)).toEqual([]);
  });

  it('is copied although its first downloads are cut off, which leave nothing behind', async () => {
    providers.meta.lookaside.faults.push({ match: /./, fault: { kind: 'cut', afterBytes: 1_000 }, times: 1 });
    await announce({});
    await bed.settled();
    expect((await media())?.status).toBe('READY');
    expect(providers.meta.lookaside.requestCount).toBe(2);
    expect(await blobFiles(bed.blobs)).toHaveLength(1);
  });
});

/** Everything that is a blob, or a part of one, below a store's root. */
async function blobFiles(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}
