import { request } from 'undici';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import type { Fault } from '../../../demo/src/emulators/faults.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { waGatewayMessageId, whatsappMediaId, whatsappMessageId } from '../../../demo/src/emulators/sample-ids.js';
import { dispatcher, get, samples, startCdn } from './emulator-requests.js';

describe('the samples', () => {
  it('are small files of their declared types', () => {
    expect(samples.photo.bytes.subarray(0, 3).toString('hex')).toBe('ffd8ff');
    expect(samples.sticker.bytes.subarray(8, 12).toString()).toBe('WEBP');
    expect(samples.voiceNote.bytes.subarray(0, 4).toString()).toBe('OggS');
    expect(samples.video.bytes.subarray(4, 8).toString()).toBe('ftyp');
    expect(samples.document.bytes.subarray(0, 5).toString()).toBe('%PDF-');
    for (const { bytes } of Object.values(samples)) expect(bytes.length).toBeLessThan(60_000);
  });

  it('are read once', () => {
    expect(loadMediaSamples()).toBe(samples);
  });
});

describe('ids of WhatsApp', () => {
  it('are shaped like recorded ones, and the same in every process', () => {
    expect(whatsappMessageId(1)).toBe('wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQ0QzVDNUYzNTYxRjdDNzA0RUFCQQA=');
    expect(whatsappMediaId(1)).toMatch(/^[1-9]\d{15}$/);
    expect(waGatewayMessageId(1)).toMatch(/^3EB0[0-9A-F]{16}$/);
    for (const idOf of [whatsappMessageId, whatsappMediaId, waGatewayMessageId]) {
      expect(new Set(Array.from({ length: 100 }, (_, index) => idOf(index))).size).toBe(100);
    }
  });
});

describe('any emulator', () => {
  async function startWithPhoto() {
    const cdn = await startCdn();
    cdn.put('photo', samples.photo);
    return { cdn, url: cdn.publicUrl('photo') };
  }

  it('records requests with path, headers and count', async () => {
    const { cdn, url } = await startWithPhoto();
    await get(`${url}?a=1`, { 'x-test': 'yes' });
    expect(cdn.requests).toEqual([
      expect.objectContaining({
        method: 'GET',
        path: '/photo?a=1',
        headers: expect.objectContaining({ 'x-test': 'yes' }),
      }),
    ]);
    expect(cdn.requestCount).toBe(1);
    cdn.clearRequests();
    expect([cdn.requests.length, cdn.requestCount]).toEqual([0, 0]);
  });

  it('closes at once during a request, and starts again on its port', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'hang' };
    const hanging = get(url).catch((error: unknown) => error);
    while (cdn.requestCount === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const before = Date.now();
    await cdn.close();
    await cdn.close();
    expect(Date.now() - before).toBeLessThan(500);
    expect(await hanging).toBeInstanceOf(Error);
    cdn.fault = null;
    await cdn.start(Number(new URL(url).port));
    expect((await get(url)).status).toBe(200);
  });

  it('refuses to name its address before it has one', () => {
    expect(() => new CdnEmulator().url).toThrow('expected a started emulator');
  });

  it('answers a status in the envelope of the provider, or with the body it is given', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'status', status: 503, headers: { 'Retry-After': '7' } };
    const envelope = await get(url);
    expect(envelope).toMatchObject({ status: 503, headers: { 'retry-after': '7', 'content-type': 'application/xml' } });
    cdn.fault = { kind: 'status', status: 500, body: 'oops' };
    expect((await get(url)).bytes.toString()).toBe('oops');
  });

  it('delays an answer, and every answer by its latency', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'delay', ms: 60 };
    cdn.latencyMs = 60;
    const before = Date.now();
    const got = await get(url);
    expect(got.bytes.equals(samples.photo.bytes)).toBe(true);
    expect(Date.now() - before).toBeGreaterThanOrEqual(115);
  });

  it.each([0, 1000])('cuts the body after %i bytes of the announced length', async (afterBytes) => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'cut', afterBytes };
    const { headers, body } = await request(url, { dispatcher });
    expect(headers['content-length']).toBe(String(samples.photo.bytes.length));
    let received = 0;
    const reading = (async () => {
      for await (const chunk of body) received += chunk.length;
    })();
    await expect(reading).rejects.toThrow();
    expect(received).toBe(afterBytes);
  });

  it('hangs in the body', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'hang-in-body', afterBytes: 10 };
    const { body } = await request(url, { dispatcher, bodyTimeout: 200 });
    await expect(body.arrayBuffer()).rejects.toMatchObject({ code: 'UND_ERR_BODY_TIMEOUT' });
  });

  it('hangs before the headers', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'hang' };
    await expect(request(url, { dispatcher, headersTimeout: 200 })).rejects.toMatchObject({
      code: 'UND_ERR_HEADERS_TIMEOUT',
    });
  });

  it('resets the connection', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'reset' };
    await expect(get(url)).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) });
  });

  it('answers 200 with a body of the wrong shape', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'body', body: '<html>', contentType: 'text/html' };
    expect(await get(url)).toMatchObject({ status: 200, headers: { 'content-type': 'text/html' } });
    const large = Buffer.alloc(10_000_000, '[');
    cdn.fault = { kind: 'body', body: large };
    const got = await get(url);
    expect([got.headers['content-type'], got.bytes.length]).toEqual(['application/json', large.length]);
  });

  it('redirects anywhere', async () => {
    const { cdn, url } = await startWithPhoto();
    cdn.fault = { kind: 'redirect', status: 307, location: 'http://169.254.169.254/' };
    expect(await get(url)).toMatchObject({ status: 307, headers: { location: 'http://169.254.169.254/' } });
  });

  it('applies faults by path or predicate, in order, the given number of times', async () => {
    const { cdn, url } = await startWithPhoto();
    const fault = (status: number): Fault => ({ kind: 'status', status });
    cdn.fault = fault(500);
    cdn.faults.push(
      { match: /photo/, times: 2, fault: fault(502) },
      { match: ({ headers }) => headers['x-test'] === 'yes', fault: fault(504) },
    );
    const statuses: number[] = [];
    for (let round = 0; round < 3; round += 1) statuses.push((await get(url)).status);
    statuses.push((await get(url, { 'x-test': 'yes' })).status);
    expect(statuses).toEqual([502, 502, 500, 504]);
  });
});

describe('the CDN', () => {
  it('serves a file with its type, which may be wrong, and its disposition', async () => {
    const cdn = await startCdn();
    cdn.put('a folder/ü.jpg', samples.photo, {
      contentType: 'text/html',
      contentDisposition: 'inline; filename="x.jpg"',
    });
    const got = await get(cdn.publicUrl('a folder/ü.jpg'));
    expect(got).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/html',
        'content-disposition': 'inline; filename="x.jpg"',
        'accept-ranges': 'bytes',
      },
    });
    expect(got.bytes.equals(samples.photo.bytes)).toBe(true);
    cdn.put('untyped', samples.photo, { contentType: null, chunked: true });
    const untyped = await get(cdn.publicUrl('untyped'));
    expect([untyped.headers['content-type'], untyped.headers['content-length']]).toEqual([undefined, undefined]);
    expect(untyped.bytes.length).toBe(samples.photo.bytes.length);
  });

  it('answers HEAD with the length and no body, 404 and 405', async () => {
    const cdn = await startCdn();
    cdn.put('photo', samples.photo);
    const head = await get(cdn.publicUrl('photo'), {}, 'HEAD');
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': String(samples.photo.bytes.length) } });
    expect(head.bytes.length).toBe(0);
    expect((await get(cdn.publicUrl('nothing'))).status).toBe(404);
    expect((await get(cdn.publicUrl('photo'), {}, 'DELETE')).status).toBe(405);
    cdn.remove('photo');
    expect((await get(cdn.publicUrl('photo'))).status).toBe(404);
  });

  it.each([
    ['bytes=2-4', 206, 'bytes 2-4/10', '234'],
    ['bytes=7-', 206, 'bytes 7-9/10', '789'],
    ['bytes=-3', 206, 'bytes 7-9/10', '789'],
    ['bytes=8-99', 206, 'bytes 8-9/10', '89'],
    ['bytes=-99', 206, 'bytes 0-9/10', '0123456789'],
    ['bytes=0-1,3-4', 200, undefined, '0123456789'],
    ['bytes=4-2', 200, undefined, '0123456789'],
    ['lines=1-2', 200, undefined, '0123456789'],
  ])('answers Range %s with %i', async (range, status, contentRange, body) => {
    const cdn = await startCdn();
    cdn.put('digits', { bytes: Buffer.from('0123456789'), mimeType: 'text/plain' });
    const got = await get(cdn.publicUrl('digits'), { range });
    expect([got.status, got.headers['content-range'], got.bytes.toString()]).toEqual([status, contentRange, body]);
  });

  it('answers 416 to a range behind the end, and ignores ranges when configured', async () => {
    const cdn = await startCdn();
    cdn.put('digits', { bytes: Buffer.from('0123456789'), mimeType: 'text/plain' });
    expect(await get(cdn.publicUrl('digits'), { range: 'bytes=10-' })).toMatchObject({
      status: 416,
      headers: { 'content-range': 'bytes */10' },
    });
    cdn.ignoresRanges = true;
    expect((await get(cdn.publicUrl('digits'), { range: 'bytes=2-4' })).status).toBe(200);
  });

  it('rejects a request with an Authorization header', async () => {
    const cdn = await startCdn();
    cdn.put('photo', samples.photo);
    const got = await get(cdn.publicUrl('photo'), { authorization: 'Basic eDp5' });
    expect([got.status, got.headers['content-type']]).toEqual([400, 'application/xml']);
    expect(got.bytes.toString()).toContain('Only one auth mechanism allowed');
  });

  it('expires signed URLs by the clock and serves private files only by them', async () => {
    let now = 1_700_000_000_000;
    const cdn = await startCdn(() => now);
    cdn.put('photo', samples.photo, { private: true });
    const url = cdn.signedUrl('photo', 60_000);
    expect((await get(url)).status).toBe(200);
    expect((await get(cdn.publicUrl('photo'))).status).toBe(403);
    expect((await get(url.replace(/Expires=\d+/, 'Expires=1800000000'))).status).toBe(403);
    now += 60_000;
    expect((await get(url)).bytes.toString()).toContain('Request has expired');
  });
});
