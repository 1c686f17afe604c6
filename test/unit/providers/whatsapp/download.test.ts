import { OriginPools } from '../../../../src/net/client/origin-pools.js';
import { ProviderHttpClient } from '../../../../src/net/client/provider-http-client.js';
import { ProviderFaults } from '../../../../src/providers/toolkit/provider-call.js';
import { apiVariantOf } from '../../../../src/providers/whatsapp/api-variant.js';
import {
  BEARER,
  bytesOf,
  CHAKRA_CHANNEL,
  cleanups,
  credentialsAt,
  describeOne,
  GRAPH_ERROR,
  LOOPBACK,
  MEDIA_ID,
  META_CHANNEL,
  OF_CHANNEL,
  openedBytes,
  PAGE,
  parsed,
  refOf,
  refusalOf,
  samples,
  startElsewhere,
  startMeta,
} from './setup.js';

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

  it('do not go to an address that only looks like an allowed origin', async () => {
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

  it('go nowhere when a redirect has no location', async () => {
    const { meta, adapter } = await startMeta();
    meta.lookaside.fault = { kind: 'redirect', status: 302, location: '' };
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  });

  it('do not follow a redirect of the API', async () => {
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

  it('are the media when a customer sent such a file', async () => {
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
