import type { FaultRule } from '../../demo/src/emulators/faults.js';
import { GupshupFilemanagerEmulator } from '../../demo/src/emulators/gupshup/gupshup-emulator.js';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import type { WebhookDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { describeEngines, type EngineBed } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';

const APP_ID = 'b8e1f2c4-6a7d-4f3e-9c10-3a5b7d9e1f20';
const DEVICE_ID = '0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b';
const SECRET = 'a secret of the gateway';
const DAY_MS = 24 * 60 * 60 * 1000;
/** An address of Meta's lives five. */
const SIX_MINUTES_MS = 6 * 60 * 1000;
/** Several attempts, with the seconds between them. */
const PATIENCE_MS = 60_000;
/** The policy of one attempt: no request is repeated within a call. */
const ONE_TRY = { providers: { 'whatsapp-cloud': { retries: 0 } } };

let clockMs = 0;
const meta = metaEmulator(() => Date.now() + clockMs);
const gateway = new WaGatewayEmulator({ appId: APP_ID, token: 'gateway-token', webhookSecret: SECRET });
const gupshup = new GupshupFilemanagerEmulator({
  appId: APP_ID,
  webhookHeader: { name: 'X-Webhook-Token', value: SECRET },
});
const emulators = [meta, gateway, gupshup];

beforeAll(() => Promise.all(emulators.map((emulator) => emulator.start())));
afterAll(() => Promise.all(emulators.map((emulator) => emulator.close())));
afterEach(() => {
  clockMs = 0;
  meta.announcedOrigin = null;
  for (const emulator of [...emulators, meta.lookaside]) {
    emulator.faults.length = 0;
    emulator.clearRequests();
  }
});

const channels = () => [
  metaChannel(meta),
  {
    id: 'gateway',
    provider: 'wa-gateway',
    baseUrl: gateway.baseUrl,
    credentials: { token: 'gateway-token' },
    webhook: { secret: SECRET },
  },
  {
    id: 'gupshup',
    provider: 'gupshup',
    baseUrl: 'https://partner.gupshup.io',
    credentials: { token: 'gupshup-token' },
    options: { appId: APP_ID },
    webhook: { secret: SECRET },
  },
];

/** A message of the gateway's, of which nothing but the bytes is another's. */
function receiveAtGateway(messageId: string, bytes = samples.photo.bytes): WebhookDelivery {
  gateway.addMedia({ ...samples.photo, bytes, deviceId: DEVICE_ID, messageId });
  return gateway.messageEvent(messageId);
}

const unavailable = (match: RegExp): FaultRule => ({ match, fault: { kind: 'status', status: 503 } });

describeEngines('a provider that fails', (engine) => {
  const startServer = useOwnServers();
  const start = (config: Readonly<Record<string, unknown>> = {}): Promise<OwnServer> =>
    startServer({ config: { channels: channels(), ...config }, database: engine.shared() });

  async function send({ client }: OwnServer, channelId: string, delivery: WebhookDelivery): Promise<void> {
    expect((await client.deliver(channelId, delivery)).status).toBe(200);
  }

  it(
    'twice with 503 leaves a media PENDING, and READY afterwards: at the bytes, and at the metadata',
    async () => {
      const server = await start(ONE_TRY);
      const [bytes, address] = [receivePhoto(meta, 1), receivePhoto(meta, 2)];
      meta.lookaside.faults.push(unavailable(new RegExp(`mid=${bytes.mediaId}&`)));
      meta.faults.push(unavailable(new RegExp(`/${address.mediaId}\\?`)));
      for (const { delivery } of [bytes, address]) await send(server, META, delivery);
      await until('both to be refused twice', () => server.logged('a copy failed and will be retried') >= 4);
      const pending = [expect.objectContaining({ status: 'PENDING', url: null })];
      expect(await server.client.media([bytes.id, address.id])).toEqual([pending, pending]);
      meta.lookaside.faults.length = meta.faults.length = 0;
      for (const photo of [bytes, address]) {
        const { url } = await server.client.becomes('READY', photo.id);
        expect((await server.client.get(url)).bytes.equals(photo.bytes)).toBe(true);
      }
      expect(await filesBelow(server.blobs)).toHaveLength(2);
    },
    PATIENCE_MS,
  );

  it(
    'for more than eight attempts does not end the copy while it has the media',
    async () => {
      const server = await start(ONE_TRY);
      const photo = receivePhoto(meta, 1);
      meta.lookaside.faults.push(unavailable(/mid=/));
      await send(server, META, photo.delivery);
      await until('a refusal', () => server.logged('a copy failed and will be retried') === 1);
      await dueWithAttempts(engine, 20);
      await until('another refusal', () => meta.lookaside.requestCount > 1);
      await until('the attempt to be over', async () => (await leasesOf(engine)) === 0);
      // After five attempts it is FAILED, and asked for again nevertheless.
      expect(await server.client.statuses(photo.id)).toEqual(['FAILED']);
      meta.lookaside.faults.length = 0;
      await dueWithAttempts(engine, 20);
      await server.client.becomes('READY', photo.id);
    },
    PATIENCE_MS,
  );

  it('with an expired address gets one request for a new address by the id', async () => {
    const server = await start();
    const photo = receivePhoto(meta, 1);
    const struck = { times: 1 };
    meta.lookaside.faults.push({
      match: () => {
        clockMs += struck.times * SIX_MINUTES_MS;
        struck.times = 0;
        return false;
      },
      fault: { kind: 'hang' },
    });
    await send(server, META, photo.delivery);
    const { url } = await server.client.becomes('READY', photo.id);
    expect((await server.client.get(url)).bytes.equals(photo.bytes)).toBe(true);
    expect([meta.requestCount, meta.lookaside.requestCount]).toEqual([2, 2]);
    expect(server.logLines).toEqual([]);
  });

  it(
    'with bytes that end early gets another request',
    async () => {
      const server = await start();
      const photo = receivePhoto(meta, 1);
      meta.lookaside.faults.push({ match: /mid=/, fault: { kind: 'cut', afterBytes: 10_000 }, times: 1 });
      await send(server, META, photo.delivery);
      const { sizeBytes } = await server.client.becomes('READY', photo.id);
      expect(sizeBytes).toBe(photo.bytes.length);
      expect(await filesBelow(server.blobs)).toHaveLength(1);
    },
    PATIENCE_MS,
  );

  it(
    'every time leaves media FAILED, without a link and without a blob',
    async () => {
      const server = await start();
      const [hash, gone, stale] = [receivePhoto(meta, 1), receivePhoto(meta, 2), receivePhoto(meta, 3)];
      const bytes = Buffer.concat([hash.bytes.subarray(0, -1), Buffer.from('?')]);
      meta.addMedia({ id: hash.mediaId, bytes, mimeType: 'image/jpeg' });
      meta.expire(gone.mediaId);
      meta.lookaside.faults.push({
        match: new RegExp(`mid=${stale.mediaId}&`),
        fault: { kind: 'status', status: 404 },
      });
      const size = receiveAtGateway('SHORTER');
      receiveAtGateway('SHORTER', samples.photo.bytes.subarray(0, -1));
      const refused = receiveAtGateway('REFUSED');
      gateway.faults.push({ match: /REFUSED/, fault: { kind: 'status', status: 400 } });
      for (const { delivery } of [hash, gone, stale]) await send(server, META, delivery);
      for (const delivery of [size, refused]) await send(server, 'gateway', delivery);

      const ids = [hash.id, gone.id, stale.id, 'gateway:REFUSED'];
      for (const id of ids) expect(await server.client.becomes('FAILED', id)).toMatchObject({ url: null });
      // What a webhook says of the size is advice.
      await server.client.becomes('READY', 'gateway:SHORTER');
      expect(await filesBelow(server.blobs)).toHaveLength(1);
      const times = (requests: ReadonlyArray<{ readonly path: string }>, text: string) =>
        requests.filter(({ path }) => path.includes(text)).length;
      // FAILED is said after several looks, and is not the end: all of them may be asked for again by now.
      expect(times(meta.lookaside.requests, hash.mediaId)).toBeGreaterThanOrEqual(3);
      expect(times(meta.lookaside.requests, stale.mediaId)).toBeGreaterThanOrEqual(3);
      expect(times(gateway.requests, 'REFUSED')).toBeGreaterThanOrEqual(5);
      expect(times(meta.requests, gone.mediaId)).toBeGreaterThanOrEqual(3);
      expect(times(gateway.requests, 'SHORTER')).toBe(1);
    },
    PATIENCE_MS,
  );

  it('to be fast gets requests first for the media that expires first', async () => {
    const server = await start({ mirror: { concurrency: 1 } });
    const now = Date.now();
    const [first, late, early] = [
      receivePhoto(meta, 1),
      receivePhoto(meta, 2, { sentAt: new Date(now) }),
      receivePhoto(meta, 3, { sentAt: new Date(now - 6 * DAY_MS) }),
    ];
    const answers = new Map<string, () => void>();
    const bytesOf = new Map([first, late, early].map(({ mediaId, bytes }) => [mediaId, bytes]));
    const lookaside = await RawServer.start(({ url = '' }, response) => {
      const mediaId = /mid=(\d+)/.exec(url)?.[1] ?? '';
      answers.set(mediaId, () => response.setHeader('content-type', 'image/jpeg').end(bytesOf.get(mediaId)));
      if (mediaId !== first.mediaId) answers.get(mediaId)?.();
    });
    meta.announcedOrigin = lookaside.url;
    try {
      await send(server, META, first.delivery);
      await until('the only copy to be under way', () => answers.size === 1);
      for (const { delivery } of [late, early]) await send(server, META, delivery);
      for (const { id } of [late, early]) await server.client.becomes('PENDING', id);
      answers.get(first.mediaId)?.();
      for (const { id } of [first, late, early]) await server.client.becomes('READY', id);
      expect([...answers.keys()]).toEqual([first.mediaId, early.mediaId, late.mediaId]);
    } finally {
      await lookaside.close();
    }
  });

  it('is passed on without a copy with mirror.mode off', async () => {
    const server = await start({ mirror: { mode: 'off' } });
    const photo = receivePhoto(meta, 1);
    await send(server, META, photo.delivery);
    const { url } = await server.client.becomes('READY', photo.id);
    expect(meta.lookaside.requestCount).toBe(0);
    for (const count of [1, 2]) {
      expect((await server.client.get(url)).bytes.equals(photo.bytes)).toBe(true);
      expect(meta.lookaside.requestCount).toBe(count);
    }
    meta.lookaside.faults.push(unavailable(/mid=/));
    expect((await server.client.get(url)).status).toBe(503);
    expect(await filesBelow(server.blobs)).toEqual([]);
  });
});

/** Sets the number of failed attempts, and makes the next one due. */
async function dueWithAttempts(engine: EngineBed, attempts: number): Promise<void> {
  await engine
    .shared()
    .kysely.updateTable('jobs')
    .set({ attempts, due_at: new Date() })
    .where('kind', '=', 'copy')
    .execute();
}

async function leasesOf(engine: EngineBed): Promise<number> {
  const leased = await engine
    .shared()
    .kysely.selectFrom('jobs')
    .select('id')
    .where('kind', '=', 'copy')
    .where('lease_owner', 'is not', null)
    .execute();
  return leased.length;
}
