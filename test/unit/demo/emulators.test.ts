import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Agent, request } from 'undici';
import { CdnEmulator } from '../../../demo/src/emulators/cdn-emulator.js';
import type { Fault } from '../../../demo/src/emulators/faults.js';
import { KirimEmulator, type KirimEmulatorOptions } from '../../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator, type LamlMedia } from '../../../demo/src/emulators/laml/laml-emulator.js';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  signalwireProjectId,
  twilioAccountSid,
  twilioMediaSid,
  twilioMessageSid,
  waGatewayMessageId,
  whatsappMediaId,
  whatsappMessageId,
} from '../../../demo/src/emulators/sample-ids.js';
import { compiledProject } from '../../support/command.js';

const samples = loadMediaSamples();
const dispatcher = new Agent();
const started: Array<{ close(): Promise<void> }> = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((emulator) => emulator.close()));
});

afterAll(() => dispatcher.destroy());

interface Got {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
}

async function get(
  url: string,
  headers: Record<string, string> = {},
  method: 'GET' | 'HEAD' | 'DELETE' = 'GET',
): Promise<Got> {
  const response = await request(url, { dispatcher, method, headers });
  return {
    status: response.statusCode,
    headers: response.headers,
    bytes: Buffer.from(await response.body.arrayBuffer()),
  };
}

function jsonOf(got: Got): unknown {
  return JSON.parse(got.bytes.toString());
}

async function startCdn(now?: () => number): Promise<CdnEmulator> {
  const cdn = await new CdnEmulator(now ? { now } : {}).start();
  started.push(cdn);
  return cdn;
}

async function startKirim(options: Partial<KirimEmulatorOptions> = {}) {
  const cdn = options.cdn ?? (await startCdn());
  const kirim = await new KirimEmulator({ token: 'kdv_live_0123456789abcdefghijklmn', cdn, ...options }).start();
  started.push(kirim);
  return { cdn, kirim };
}

const bearer = { authorization: 'Bearer kdv_live_0123456789abcdefghijklmn' };

async function startLaml(flavour: 'signalwire' | 'twilio', now?: () => number) {
  const cdn = await startCdn(now);
  const accountSid = flavour === 'signalwire' ? signalwireProjectId(1) : twilioAccountSid(1);
  const account = { accountSid, username: accountSid, password: 'secret' };
  const laml = await new LamlEmulator({ flavour, ...account, cdn, ...(now ? { now } : {}) }).start();
  started.push(laml);
  const authorization = `Basic ${Buffer.from(`${accountSid}:secret`).toString('base64')}`;
  const messageSid = flavour === 'signalwire' ? signalwireMessageSid(1) : twilioMessageSid(1);
  const listUrl = `${laml.baseUrl}/Accounts/${accountSid}/Messages/${messageSid}/Media`;
  return { cdn, laml, accountSid, messageSid, listUrl, basic: { authorization } };
}

function signalwireMedia(count: number): LamlMedia[] {
  return Array.from({ length: count }, (_, index) => ({ ...samples.photo, sid: signalwireMediaSid(index) }));
}

interface ListBody {
  next_page_uri: string | null;
  previous_page_uri: string | null;
  media_list: Array<{ sid: string }>;
}

function listOf(got: Got): ListBody {
  return jsonOf(got) as ListBody;
}

describe('the samples', () => {
  it('are small files of the types that they claim', () => {
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

  it('logs requests with path, headers and count', async () => {
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

  it('closes at once although a request is under way, and starts again on its port', async () => {
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

  it('strikes by path or predicate, in order, as often as told', async () => {
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
  it('serves a file with its type, which may be a lie, and its disposition', async () => {
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

  it('answers 416 to a range behind the end, and ignores ranges when told', async () => {
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

  it('lets signed addresses die by the clock and keeps private files behind them', async () => {
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

describe('Kirim', () => {
  const id = kirimMessageId(1);

  it('redirects to the public CDN address, with request id and rate limit', async () => {
    const { cdn, kirim } = await startKirim();
    kirim.addMessage({ id, media: { ...samples.photo, caption: 'Sunset' } });
    const got = await get(`${kirim.baseUrl}/messages/${id}/media`, bearer);
    expect(got).toMatchObject({
      status: 302,
      headers: {
        location: kirim.mediaUrl(id),
        'x-request-id': expect.stringMatching(/^req_01HX[0-9A-HJKMNP-TV-Z]{22}$/),
        'x-ratelimit-limit': '6000',
        'x-ratelimit-remaining': '5999',
        'x-ratelimit-reset': expect.stringMatching(/^\d{10}$/),
      },
    });
    const file = await get(String(got.headers.location));
    expect(file.bytes.equals(samples.photo.bytes)).toBe(true);
    expect(cdn.requestCount).toBe(1);
  });

  it('gives the same 404 for text messages, unknown messages and media in flight, until it arrives', async () => {
    let now = 1_700_000_000_000;
    const { kirim } = await startKirim({ now: () => now });
    kirim.addMessage({ id: 'text' });
    kirim.addMessage({ id: 'slow', media: samples.photo, arrivesAfterRequests: 2 });
    kirim.addMessage({ id: 'later', media: samples.photo, arrivesAfterMs: 1000 });
    const statusOf = async (message: string) =>
      (await get(`${kirim.baseUrl}/messages/${message}/media`, bearer)).status;
    const errors: unknown[] = [];
    for (const message of ['text', 'unknown', 'slow', 'later']) {
      const got = await get(`${kirim.baseUrl}/messages/${message}/media`, bearer);
      const { error } = jsonOf(got) as { error: { request_id?: string } };
      expect(got.headers['x-request-id']).toBe(error.request_id);
      expect(got.headers['x-ratelimit-limit']).toBe('6000');
      errors.push({ ...error, request_id: undefined });
    }
    expect(new Set(errors.map((error) => JSON.stringify(error))).size).toBe(1);
    expect([await statusOf('slow'), await statusOf('slow'), await statusOf('later')]).toEqual([404, 302, 404]);
    now += 1000;
    expect(await statusOf('later')).toBe(302);
  });

  it('tells caption, filename and type in the message resource', async () => {
    const { kirim } = await startKirim();
    kirim.addMessage({ id: 'text' });
    kirim.addMessage({ id, media: { ...samples.document, caption: 'Yours' } });
    kirim.addMessage({ id: 'slow', media: samples.sticker, arrivesAfterRequests: 1 });
    const resource = async (message: string) => jsonOf(await get(`${kirim.baseUrl}/messages/${message}`, bearer));
    expect(await resource(id)).toMatchObject({
      id,
      type: 'document',
      media_url: kirim.mediaUrl(id),
      mime_type: 'application/pdf',
      caption: 'Yours',
      filename: 'document.pdf',
    });
    expect(await resource('slow')).toMatchObject({ type: 'sticker', media_url: null, caption: null });
    expect(await resource('text')).toMatchObject({ type: 'text', content: expect.any(String) });
    expect((await get(`${kirim.baseUrl}/messages/unknown`, bearer)).status).toBe(404);
  });

  it('turns away a wrong key, other methods and other paths', async () => {
    const { kirim } = await startKirim();
    const url = `${kirim.baseUrl}/messages/${id}/media`;
    const got = await get(url, { authorization: 'Bearer kdv_live_other' });
    expect(got.status).toBe(401);
    expect(jsonOf(got)).toMatchObject({ error: { type: 'authentication_error', message: expect.any(String) } });
    expect((await get(url)).status).toBe(401);
    expect((await get(url, bearer, 'DELETE')).status).toBe(404);
    expect((await get(`${kirim.url}/messages/${id}/media`, bearer)).status).toBe(404);
  });

  it('speaks generation B and refuses another phone number', async () => {
    const { kirim } = await startKirim({ phoneNumberId: '106540352242922' });
    kirim.addMessage({ id, media: samples.video });
    expect((await get(`${kirim.baseUrl}/106540352242922/messages/${id}/media`, bearer)).status).toBe(302);
    expect((await get(`${kirim.baseUrl}/106540352242922/messages/${id}`, bearer)).status).toBe(200);
    const wrong = await get(`${kirim.baseUrl}/106540352242923/messages/${id}/media`, bearer);
    expect(wrong.status).toBe(400);
    expect(jsonOf(wrong)).toMatchObject({ error: { type: 'invalid_request_error', code: 'invalid_phone_number' } });
    expect((await get(`${kirim.baseUrl}/messages/${id}/media`, bearer)).status).toBe(404);
  });

  it('limits the rate with whole seconds to wait', async () => {
    let now = 1_700_000_000_000;
    const { kirim } = await startKirim({ now: () => now, rateLimit: { limit: 2, windowMs: 5000 } });
    kirim.addMessage({ id, media: samples.photo });
    const ask = () => get(`${kirim.baseUrl}/messages/${id}/media`, bearer);
    expect([(await ask()).status, (await ask()).status]).toEqual([302, 302]);
    const limited = await ask();
    expect(limited).toMatchObject({
      status: 429,
      headers: {
        'retry-after': '3',
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '1700000005',
      },
    });
    expect(jsonOf(limited)).toMatchObject({ error: { type: 'rate_limit_error' } });
    now += 2500;
    expect((await ask()).status).toBe(302);
  });

  it('leaves the error message out as the published example does, and words faults itself', async () => {
    const { kirim } = await startKirim();
    kirim.omitsErrorMessage = true;
    kirim.fault = { kind: 'status', status: 500 };
    const got = await get(`${kirim.baseUrl}/messages/${id}/media`, bearer);
    expect(jsonOf(got)).toEqual({
      error: { type: 'api_error', code: 'internal_error', request_id: got.headers['x-request-id'] },
    });
    expect(got.headers['x-ratelimit-limit']).toBeUndefined();
  });

  it('sends message.received with the message as its resource has it, signed with every secret', async () => {
    const { kirim } = await startKirim({ webhookSecrets: ['retiring', 'new'], now: () => 1_700_000_000_000 });
    kirim.addMessage({ id, media: { ...samples.photo, caption: 'Sunset' } });
    const { body, headers } = kirim.webhookOf(id);
    const sign = (secret: string) => createHmac('sha256', secret).update(`1700000000.${body}`).digest('hex');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-kirim-event': 'message.received',
      'x-kirim-signature': `t=1700000000,v1=${sign('retiring')},v1=${sign('new')}`,
    });
    expect(JSON.parse(body.toString())).toEqual({
      id: headers['x-kirim-delivery-id'],
      event: 'message.received',
      delivered_at: '2023-11-14T22:13:20.000Z',
      data: { message: jsonOf(await get(`${kirim.baseUrl}/messages/${id}`, bearer)) },
    });
  });

  it('forgets media that expire, and the CDN with it', async () => {
    const { kirim } = await startKirim();
    kirim.addMessage({ id, media: samples.photo });
    const { location } = (await get(`${kirim.baseUrl}/messages/${id}/media`, bearer)).headers;
    kirim.expire(id);
    expect((await get(`${kirim.baseUrl}/messages/${id}/media`, bearer)).status).toBe(404);
    expect((await get(String(location))).status).toBe(404);
    const message = await get(`${kirim.baseUrl}/messages/${id}`, bearer);
    expect(jsonOf(message)).toMatchObject({ id, type: 'image', media_url: null });
    expect(() => kirim.expire('unknown')).toThrow('unknown');
  });
});

describe('SignalWire and Twilio', () => {
  it('list media as the documentation shows, with and without .json', async () => {
    const { laml, accountSid, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({
      sid: messageSid,
      media: [
        { ...samples.photo, sid: 'b3877c40-da60-4998-90ad-b792e98472me', createdAt: new Date('2018-08-13T21:38:46Z') },
      ],
    });
    const got = await get(listUrl, basic);
    const path = `/api/laml/2010-04-01/Accounts/${accountSid}/Messages/${messageSid}/Media`;
    expect(jsonOf(got)).toEqual({
      uri: `${path}?Page=0&PageSize=50`,
      first_page_uri: `${path}?Page=0&PageSize=50`,
      next_page_uri: null,
      previous_page_uri: null,
      page: 0,
      page_size: 50,
      media_list: [
        {
          account_sid: accountSid,
          content_type: 'image/jpeg',
          date_created: 'Mon, 13 Aug 2018 21:38:46 +0000',
          date_updated: 'Mon, 13 Aug 2018 21:38:46 +0000',
          parent_sid: messageSid,
          sid: 'b3877c40-da60-4998-90ad-b792e98472me',
          uri: `${path}/b3877c40-da60-4998-90ad-b792e98472me.json`,
        },
      ],
    });
    expect((await get(`${listUrl}.json`, basic)).bytes.equals(got.bytes)).toBe(true);
  });

  it('adds start and end for Twilio', async () => {
    const { laml, messageSid, listUrl, basic } = await startLaml('twilio');
    laml.addMessage({
      sid: messageSid,
      media: [1, 2].map((index) => ({ ...samples.photo, sid: twilioMediaSid(index) })),
    });
    expect(new URL(laml.baseUrl).pathname).toBe('/2010-04-01');
    expect(jsonOf(await get(`${listUrl}.json`, basic))).toMatchObject({ start: 0, end: 1, page: 0 });
    expect([twilioMediaSid(1), messageSid]).toEqual([
      expect.stringMatching(/^ME[0-9a-f]{32}$/),
      expect.stringMatching(/^MM[0-9a-f]{32}$/),
    ]);
  });

  it('pages newest first by opaque tokens, forward and back, also past deletions', async () => {
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({ sid: messageSid, media: signalwireMedia(5) });
    laml.maxPageSize = 2;
    const first = listOf(await get(`${listUrl}?PageSize=1000`, basic));
    expect(first.next_page_uri).toMatch(/\?Page=1&PageSize=2&PageToken=PA/);
    expect((await get(`${listUrl}/${signalwireMediaSid(3)}`, basic, 'DELETE')).status).toBe(204);
    const second = listOf(await get(laml.url + first.next_page_uri, basic));
    const third = listOf(await get(laml.url + second.next_page_uri, basic));
    const sids = [first, second, third].map((page) => page.media_list.map(({ sid }) => sid));
    const sid = signalwireMediaSid;
    expect(sids).toEqual([[sid(4), sid(3)], [sid(2), sid(1)], [sid(0)]]);
    expect(third.next_page_uri).toBeNull();
    const back = listOf(await get(laml.url + third.previous_page_uri, basic));
    expect(back.media_list.map((media) => media.sid)).toEqual([sid(2), sid(1)]);
    expect(listOf(await get(`${listUrl}?Page=1`, basic)).media_list.map((media) => media.sid)).toEqual([
      sid(1),
      sid(0),
    ]);
  });

  it.each([
    ['PageSize=0', 20001],
    ['PageSize=1001', 20001],
    ['PageSize=x', 20001],
    ['PageToken=PAnothing', 21481],
  ])('refuses ?%s with %i', async (query, code) => {
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({ sid: messageSid, media: signalwireMedia(1) });
    const got = await get(`${listUrl}?${query}`, basic);
    expect(jsonOf(got)).toEqual({ code, message: expect.any(String), more_info: expect.any(String), status: 400 });
  });

  it('names false next pages when told', async () => {
    const { laml, accountSid, messageSid, listUrl, basic } = await startLaml('signalwire');
    laml.addMessage({ sid: messageSid, media: signalwireMedia(1) });
    const next = async () => listOf(await get(listUrl, basic)).next_page_uri;
    expect(await next()).toBeNull();
    laml.pageFault = { kind: 'other-origin', origin: 'http://127.0.0.1:1' };
    expect(await next()).toMatch(/^http:\/\/127\.0\.0\.1:1\/api\/laml/);
    laml.pageFault = { kind: 'other-account', accountSid: 'other' };
    expect(await next()).toContain('/Accounts/other/Messages/');
    laml.pageFault = { kind: 'endless' };
    expect(laml.url + (await next())).toBe(`${listUrl}?Page=0&PageSize=50`);
    expect(accountSid).not.toBe('other');
  });

  it('demands Basic credentials and the own account everywhere', async () => {
    const { laml, accountSid, messageSid, listUrl, basic } = await startLaml('twilio');
    laml.addMessage({ sid: messageSid, media: [{ ...samples.photo, sid: twilioMediaSid(1) }] });
    for (const url of [listUrl, laml.mediaUrl(messageSid, twilioMediaSid(1)), `${laml.url}/elsewhere`]) {
      const got = await get(url);
      expect(jsonOf(got)).toMatchObject({ code: 20003, status: 401 });
      expect(got.status).toBe(401);
    }
    const other = await get(listUrl.replace(accountSid, twilioAccountSid(2)), basic);
    expect(jsonOf(other)).toMatchObject({ code: 20404, status: 404 });
  });

  it('answers unknown messages and media with 20404, or an empty list when told', async () => {
    const { laml, listUrl, basic } = await startLaml('signalwire');
    expect(jsonOf(await get(listUrl, basic))).toMatchObject({ code: 20404, status: 404 });
    expect((await get(`${listUrl}/${signalwireMediaSid(1)}`, basic)).status).toBe(404);
    laml.unknownMessage = 'empty';
    expect(listOf(await get(listUrl, basic)).media_list).toEqual([]);
  });

  it('redirects the path without extension to a signed address that rejects credentials and expires', async () => {
    let now = 1_700_000_000_000;
    const { laml, messageSid, basic } = await startLaml('twilio', () => now);
    const sid = twilioMediaSid(1);
    laml.addMessage({ sid: messageSid, media: [{ ...samples.photo, sid }] });
    const redirect = await get(laml.mediaUrl(messageSid, sid), basic);
    expect(redirect.status).toBe(302);
    const location = String(redirect.headers.location);
    const file = await get(location);
    expect(file.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-disposition': 'inline; filename="photo.jpg"',
    });
    expect(file.bytes.equals(samples.photo.bytes)).toBe(true);
    expect((await get(location, basic)).status).toBe(400);
    now += 4 * 60 * 60 * 1000;
    expect((await get(location)).status).toBe(403);
    laml.redirectStatus = 307;
    expect((await get(laml.mediaUrl(messageSid, sid), basic)).status).toBe(307);
    expect(jsonOf(await get(`${laml.mediaUrl(messageSid, sid)}.json`, basic))).toMatchObject({ sid });
  });

  it('answers that path with metadata or the bytes when told', async () => {
    const { laml, messageSid, basic } = await startLaml('signalwire');
    const sid = signalwireMediaSid(1);
    laml.addMessage({ sid: messageSid, media: [{ ...samples.voiceNote, sid }] });
    laml.bytesWithoutExtension = 'json';
    expect(jsonOf(await get(laml.mediaUrl(messageSid, sid), basic))).toMatchObject({ sid });
    laml.bytesWithoutExtension = 'inline';
    const got = await get(laml.mediaUrl(messageSid, sid), basic);
    expect(got.headers['content-type']).toBe('audio/ogg; codecs=opus');
    expect(got.bytes.equals(samples.voiceNote.bytes)).toBe(true);
  });

  it('does not find a message, or one media, at first', async () => {
    let now = 1_700_000_000_000;
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire', () => now);
    const media = { ...samples.photo, sid: signalwireMediaSid(1) };
    const statuses = async (url: string, count: number) => {
      const all: number[] = [];
      for (let index = 0; index < count; index += 1) all.push((await get(url, basic)).status);
      return all;
    };
    laml.addMessage({ sid: messageSid, media: [media], notFoundFirst: 2 });
    expect(await statuses(listUrl, 3)).toEqual([404, 404, 200]);
    laml.addMessage({ sid: messageSid, media: [{ ...media, notFoundFirst: 1 }] });
    expect(await statuses(listUrl, 1)).toEqual([200]);
    expect(await statuses(laml.mediaUrl(messageSid, media.sid), 2)).toEqual([404, 302]);
    laml.addMessage({ sid: messageSid, media: [media], notFoundForMs: 3000 });
    expect(await statuses(listUrl, 1)).toEqual([404]);
    now += 3000;
    expect(await statuses(listUrl, 1)).toEqual([200]);
  });

  it('deletes once, not while the message is in progress, and the bytes too', async () => {
    const { laml, messageSid, listUrl, basic } = await startLaml('signalwire');
    const [media = { ...samples.photo, sid: 'none' }] = signalwireMedia(1);
    laml.addMessage({ sid: messageSid, media: [media], inProgress: true });
    const url = `${listUrl}/${media.sid}.json`;
    const location = String((await get(laml.mediaUrl(messageSid, media.sid), basic)).headers.location);
    const early = await get(url, basic, 'DELETE');
    expect(jsonOf(early)).toMatchObject({ code: 20009, status: 400 });
    laml.setInProgress(messageSid, false);
    expect(await get(url, basic, 'DELETE')).toMatchObject({ status: 204, bytes: Buffer.alloc(0) });
    expect((await get(url, basic, 'DELETE')).status).toBe(404);
    expect((await get(url, basic)).status).toBe(404);
    expect((await get(location)).status).toBe(404);
    expect(listOf(await get(listUrl, basic)).media_list).toEqual([]);
  });

  it('send a form that names the media in the order of the message, signed over URL and sorted fields', async () => {
    const { laml, accountSid, messageSid } = await startLaml('twilio');
    laml.addMessage({
      sid: messageSid,
      media: [
        { ...samples.document, sid: twilioMediaSid(1) },
        { ...samples.photo, sid: twilioMediaSid(2) },
      ],
    });
    const url = 'https://media.example.com/webhooks/mms?tenant=1';
    const { body, headers } = laml.webhookOf(messageSid, url);
    const form = new Map(new URLSearchParams(body.toString()));
    expect(Object.fromEntries(form)).toMatchObject({
      AccountSid: accountSid,
      MessageSid: messageSid,
      NumMedia: '2',
      MediaUrl0: laml.mediaUrl(messageSid, twilioMediaSid(1)),
      MediaContentType0: 'application/pdf',
      MediaUrl1: laml.mediaUrl(messageSid, twilioMediaSid(2)),
      MediaContentType1: 'image/jpeg',
    });
    const signed = [...form.keys()].sort().reduce((text, name) => text + name + form.get(name), url);
    expect(headers['x-twilio-signature']).toBe(createHmac('sha1', 'secret').update(signed).digest('base64'));
    expect(headers['x-signalwire-signature']).toBeUndefined();
    expect(() => laml.webhookOf('unknown', url)).toThrow('unknown');
  });

  it('name no deleted media, and sign as SignalWire with its own key', async () => {
    const cdn = await startCdn();
    const accountSid = signalwireProjectId(1);
    const account = { accountSid, username: accountSid, password: 'secret', signingKey: 'PSK_1' };
    const laml = await new LamlEmulator({ flavour: 'signalwire', ...account, cdn }).start();
    started.push(laml);
    const sid = signalwireMessageSid(1);
    laml.addMessage({ sid, media: signalwireMedia(2) });
    const basic = { authorization: `Basic ${Buffer.from(`${accountSid}:secret`).toString('base64')}` };
    await get(laml.mediaUrl(sid, signalwireMediaSid(0)), basic, 'DELETE');
    const url = 'http://127.0.0.1:4000/webhooks/sms';
    const { body, headers } = laml.webhookOf(sid, url);
    const form = new URLSearchParams(body.toString());
    expect([form.get('NumMedia'), form.get('MediaUrl0')]).toEqual(['1', laml.mediaUrl(sid, signalwireMediaSid(1))]);
    form.sort();
    const signed = [...form].reduce((text, [name, value]) => text + name + value, url);
    expect(headers['x-signalwire-signature']).toBe(createHmac('sha1', 'PSK_1').update(signed).digest('base64'));
  });

  it('limits the rate by a fault, with 20429 and Retry-After', async () => {
    const { laml, listUrl, basic } = await startLaml('twilio');
    laml.faults.push({
      match: /\/Media/,
      times: 1,
      fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
    });
    const got = await get(listUrl, basic);
    expect([got.status, got.headers['retry-after']]).toEqual([429, '1']);
    expect(jsonOf(got)).toMatchObject({ code: 20429, status: 429 });
  });
});

describe('the standalone emulator', () => {
  it('serves messages whose sids follow from their index, counts requests and ends with its parent', async () => {
    const child = spawn(process.execPath, ['demo/dist/emulators/standalone.js', '{"messages":3}'], {
      cwd: compiledProject(),
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH },
    });
    try {
      const [line] = await once(createInterface(child.stdout), 'line');
      const { url, baseUrl, accountSid, username, password, messageSidPrefix, messages } = JSON.parse(String(line));
      expect(messages).toBe(3);
      const sid = `${messageSidPrefix}${'2'.padStart(12, '0')}`;
      const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
      const list = await get(`${baseUrl}/Accounts/${accountSid}/Messages/${sid}/Media`, { authorization });
      expect(listOf(list).media_list).toHaveLength(1);
      expect(jsonOf(await get(`${url}/__count`))).toBe(1);
      await get(`${url}/__reset`);
      expect(jsonOf(await get(`${url}/__count`))).toBe(0);
      child.stdin.end();
      expect(await once(child, 'exit')).toEqual([0, null]);
    } finally {
      child.kill();
    }
  }, 30_000);
});
