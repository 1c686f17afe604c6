import { createHmac } from 'node:crypto';
import { request } from 'undici';
import type { WaGatewayEmulator } from '../../../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { APP, DEVICE, MESSAGE, PATH, samples, setUp, TOKEN } from './setup.js';

describe('the emulator', () => {
  async function status(gateway: WaGatewayEmulator, query: string, authorization = `Bearer ${TOKEN}`) {
    const response = await request(`${gateway.url}/media${query}`, { headers: { authorization }, reset: true });
    await response.body.dump();
    return response.statusCode;
  }

  test('validates paths like the real one', async () => {
    const { gateway, add } = await setUp();
    add();
    expect(await status(gateway, `?path=${PATH}`)).toBe(200);
    expect(await status(gateway, `?path=${encodeURIComponent(PATH)}`)).toBe(200);
    expect(await status(gateway, `?path=${PATH}`, 'Bearer other')).toBe(401);
    expect(await status(gateway, '')).toBe(400);
    expect(await status(gateway, `?path=media/${APP}/../${APP}/x.bin`)).toBe(400);
    expect(await status(gateway, `?path=media/${APP}/%252e%252e/x.bin`)).toBe(400);
    expect(await status(gateway, '?path=media/other/x.bin')).toBe(403);
    expect(await status(gateway, '?path=%2fetc%2fpasswd')).toBe(403);
    expect(await status(gateway, `?path=media/${APP}/x.bin`)).toBe(404);
  });

  test('signs its deliveries, and gives each an id', async () => {
    const { gateway, add } = await setUp();
    add({ caption: 'hello' });
    const { body, headers } = gateway.messageEvent(MESSAGE);
    expect(headers['x-wa-signature']).toBe(createHmac('sha256', 'webhook-secret').update(body).digest('hex'));
    const envelope = JSON.parse(body.toString());
    expect(envelope).toMatchObject({ event: 'message', device_id: DEVICE, app_id: APP });
    expect(envelope.request_id).toBe(headers['x-wa-request-id']);
    expect(envelope.payload).toMatchObject({
      message_id: MESSAGE,
      media_path: PATH,
      direction: 'inbound',
      mime_type: 'image/jpeg',
      file_size: samples.photo.bytes.length,
      caption: 'hello',
    });
    const withOtherNames = JSON.parse(gateway.messageEvent(MESSAGE, { otherNames: true }).body.toString());
    expect(withOtherNames.payload).toMatchObject({ mimetype: 'image/jpeg', filename: 'photo.jpg' });
    expect(JSON.parse(gateway.destroyDevice(DEVICE).body.toString())).toMatchObject({
      event: 'device_destroyed',
      device_id: DEVICE,
    });
    expect(JSON.parse(gateway.receiptEvent(DEVICE, MESSAGE).body.toString())).toMatchObject({ event: 'receipt' });
  });
});
