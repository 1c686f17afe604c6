import { createHmac } from 'node:crypto';
import { kirimMessageId } from '../../../demo/src/emulators/sample-ids.js';
import { bearer, get, jsonOf, samples, startKirim } from './emulator-requests.js';

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
        // A hundred come back each second.
        'x-ratelimit-remaining': expect.stringMatching(/^(5999|6000)$/),
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

  it('has caption, filename and type in the message resource', async () => {
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

  it('refuses a wrong key, other methods and other paths', async () => {
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

  it('omits the error message as the published example does, and formats faults itself', async () => {
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

  it('removes expired media, also from the CDN', async () => {
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
