import { createHash } from 'node:crypto';
import { request } from 'undici';
import { APP, DAY_MS, HOUR_MS, invalidUrls, SECRET, samples, setUp } from './setup.js';

describe('the emulator', () => {
  test('locks out after twenty invalid calls in an hour, for an hour', async () => {
    const { files, clock, add } = await setUp();
    const get = async (url: string) => {
      const response = await request(url, { reset: true });
      return { status: response.statusCode, text: await response.body.text() };
    };
    const good = add();
    for (const url of invalidUrls(files, 19)) expect((await get(url)).status).toBe(400);
    expect((await get(good)).status).toBe(200);
    clock.now += HOUR_MS;
    for (const url of invalidUrls(files, 20)) expect((await get(url)).text).toContain('Invalid Media Id');
    expect(await get(good)).toEqual({
      status: 429,
      text: JSON.stringify({
        status: 'error',
        message: `Api rate limit reached due to multiple invalid calls. New quota will be available on ${clock.now + HOUR_MS}`,
      }),
    });
    clock.now += HOUR_MS;
    expect((await get(good)).status).toBe(200);
  });

  test.each([
    ['image', samples.photo, {}],
    ['audio', samples.voiceNote, {}],
    ['video', samples.video, {}],
    ['file', samples.document, { name: 'document.pdf' }],
    ['sticker', samples.sticker, {}],
  ])('announces %s in three versions', async (type, sample, name) => {
    const { files, clock, add } = await setUp();
    const url = add({ ...sample, caption: 'hello' });
    const id = '1852559851913765';
    const v2 = files.inboundV2(id);
    expect(v2.headers).toMatchObject({ 'x-webhook-token': SECRET });
    const { mimeType } = sample;
    const payload = { url, contentType: mimeType, caption: 'hello', urlExpiry: clock.now + 7 * DAY_MS, ...name };
    expect(JSON.parse(v2.body.toString())).toMatchObject({ version: 2, payload: { id: 'ABEG', type, payload } });
    const metaType = type === 'file' ? 'document' : type;
    const sha256 = createHash('sha256').update(sample.bytes).digest('base64');
    expect(JSON.parse(files.inboundV3(id).body.toString())).toMatchObject({
      gs_app_id: APP,
      entry: [
        {
          changes: [
            {
              value: {
                messages: [{ id: 'ABEG', type: metaType, [metaType]: { id, url, sha256, mime_type: mimeType } }],
              },
            },
          ],
        },
      ],
    });
    expect(JSON.parse(files.inboundV1(id).body.toString())).toMatchObject({
      botname: 'DemoApp',
      messageobj: { type, url, mediaId: id, id: 'ABEG' },
    });
  });

  test('announces a picture that was sent as a document, and events about no media', async () => {
    const { files, add } = await setUp();
    add({ asFile: true });
    const body: unknown = JSON.parse(files.inboundV2('1852559851913765').body.toString());
    expect(body).toMatchObject({
      payload: { type: 'file', payload: { contentType: 'image/jpeg', name: 'photo.jpg' } },
    });
    expect(JSON.parse(files.statusEvent('ABEG').body.toString())).toMatchObject({ type: 'message-event' });
  });
});
