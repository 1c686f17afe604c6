/** Channels that are added, changed and removed while the server runs, and the work that is under way meanwhile. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { signedDelivery } from '../../demo/src/emulators/whatsapp/whatsapp-webhook.js';
import { describeEngines } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { parseMetrics, valuesBy } from '../support/metrics-text.js';
import { Mutations } from '../support/mutations.js';
import { OwnServer } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { Subscriber, TRANSPORTS } from '../support/subscribers.js';
import { kirimChannel, type MediaData, sole } from '../support/test-bed.js';

const TEST_MS = 90_000;
const other = kirimChannel('http://127.0.0.1:1/v1', { id: 'other' });

let meta: WhatsAppEmulator;
let photos = 0;
const closings: Array<() => unknown> = [];

beforeEach(async () => {
  meta = await metaEmulator().start();
  closings.push(() => meta.close());
});
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

function receive(of = meta): MetaPhoto {
  photos += 1;
  return receivePhoto(of, photos);
}

const pathOf = ({ url }: MediaData) => new URL(url).pathname + new URL(url).search;

describeEngines('a reload', ({ shared }) => {
  async function start(...channels: ReadonlyArray<Record<string, unknown>>): Promise<OwnServer> {
    const config = { channels, upload: { respondWithin: '1s' }, network: { allowPrivate: ['127.0.0.0/8'] } };
    const server = await OwnServer.start({ config, database: shared() });
    closings.push(() => server.close());
    return server;
  }

  /** The jobs of a kind that are due, and those that are dead. */
  async function jobs(kind: 'copy' | 'upload' | 'webhook'): Promise<{ open: number; due: number; dead: number }> {
    const rows = await shared().kysely.selectFrom('jobs').selectAll().where('kind', '=', kind).execute();
    const open = rows.filter(({ state }) => state === 'open');
    const due = open.filter(({ due_at, lease_owner }) => lease_owner === null && due_at.getTime() <= Date.now());
    return { open: open.length, due: due.length, dead: rows.length - open.length };
  }

  const channelsOf = async ({ client }: OwnServer) => {
    const { data } = await client.query<{ mediaChannels: Array<{ id: string }> }>('{ mediaChannels { id } }', {});
    return data?.mediaChannels.map(({ id }) => id);
  };

  /** Delivers a photo whose bytes take two seconds. Resolves when their copy is under way. */
  async function beginCopy(server: OwnServer, photo: MetaPhoto): Promise<void> {
    meta.lookaside.latencyMs = 2_000;
    expect((await server.client.deliver(META, photo.delivery)).status).toBe(200);
    await until('the copy to be under way', () =>
      meta.lookaside.requests.some(({ path }) => path.includes(`mid=${photo.mediaId}&`)),
    );
  }

  it(
    'adds a channel, whose webhooks, messages and links work at once',
    async () => {
      const server = await start(other);
      const photo = receive();
      expect((await server.client.deliver(META, photo.delivery)).status).toBe(404);
      expect(
        (await server.client.query('{ messagesWithMedia(ids: ["cloud:x"]) { id media { id } } }', {})).text,
      ).toContain('CHANNEL_NOT_FOUND');
      await server.reload({ channels: [metaChannel(meta), other] });
      expect(await channelsOf(server)).toEqual([META, 'other']);
      expect((await server.client.deliver(META, photo.delivery)).status).toBe(200);
      const media = await server.client.becomes('READY', photo.id);
      expect((await server.client.get(pathOf(media))).bytes.equals(photo.bytes)).toBe(true);
      const families = parseMetrics((await server.client.get('/metrics')).bytes.toString());
      expect(valuesBy(families, 'mediagraph_webhook_deliveries_total', 'outcome', { channel: META })).toMatchObject({
        accepted: 1,
      });
    },
    TEST_MS,
  );

  it(
    'removes a channel, which then looks as if it had never been there, and brings it back with all that it had',
    async () => {
      const server = await start(metaChannel(meta), other);
      const photo = receive();
      await server.client.deliver(META, photo.delivery);
      const media = await server.client.becomes('READY', photo.id);
      expect((await server.client.get(pathOf(media))).status).toBe(200);
      await server.reload({ channels: [other] });
      expect(await channelsOf(server)).toEqual(['other']);
      expect((await server.client.get(pathOf(media))).status).toBe(404);
      expect((await server.client.deliver(META, receive().delivery)).status).toBe(404);
      expect(await new Mutations(server.client).media(media.id)).toBeNull();
      await server.reload({ channels: [other, metaChannel(meta)] });
      expect((await server.client.get(pathOf(media))).bytes.equals(photo.bytes)).toBe(true);
      expect(await server.client.becomes('READY', photo.id)).toMatchObject({ id: media.id });
      await server.client.deliver(META, receive().delivery);
    },
    TEST_MS,
  );

  it(
    'does not name what the loader adds to the sections that need a restart',
    async () => {
      const server = await start(other);
      await server.reload({ tenants: { acme: { maxStorageBytes: '1GB' } } });
      await server.reload({ upload: { respondWithin: '2s' } });
      const named = server.logLines.filter((line) => line.includes('restart')).map((line) => JSON.parse(line).sections);
      expect(named).toEqual([['upload']]);
    },
    TEST_MS,
  );

  it.each(TRANSPORTS)(
    'ends the subscriptions to messages of a removed channel over %s, and no others',
    async (transport) => {
      const server = await start(metaChannel(meta), other);
      const subscribe = (...messageIds: string[]) => {
        const query = `subscription { mediaUpdated(messageIds: ${JSON.stringify(messageIds)}) { id } }`;
        return Subscriber.open({ transport, url: server.client.url, query });
      };
      const [ended, lasting] = [subscribe(`${META}:m`, 'other:m'), subscribe('other:m')];
      await until('both to be open', async () =>
        /^mediagraph_subscriptions 2$/m.test((await server.client.get('/metrics')).bytes.toString()),
      );
      await server.reload({ channels: [other] });
      await ended.ended();
      expect(sole(sole(ended.results).errors).extensions.code).toBe('CHANNEL_NOT_FOUND');
      expect([lasting.end, lasting.results]).toEqual([null, []]);
      lasting.close();
    },
    TEST_MS,
  );

  it(
    'lets the open work of a removed channel wait, and go on when the channel comes back',
    async () => {
      const server = await start(metaChannel(meta), other);
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'status', status: 503 } });
      const photo = receive();
      await server.client.deliver(META, photo.delivery);
      await until('the copy to fail once', async () => server.logged('a copy failed and will be retried') === 1);
      await server.reload({ channels: [other] });
      meta.lookaside.faults.length = 0;
      meta.lookaside.clearRequests();
      // It is due after a second.
      await until('the copy to be due', async () => (await jobs('copy')).due === 1);
      await sleep(1_000);
      expect(meta.lookaside.requests).toEqual([]);
      expect(await jobs('copy')).toEqual({ open: 1, due: 1, dead: 0 });
      expect(server.logged('a copy failed')).toBe(1);
      await server.reload({ channels: [metaChannel(meta), other] });
      await server.client.becomes('READY', photo.id);
    },
    TEST_MS,
  );

  it(
    'does not disturb a copy and an upload that are under way',
    async () => {
      const waiting: ServerResponse[] = [];
      const source = await RawServer.start((_request, response) => void waiting.push(response));
      closings.push(() => source.close());
      const server = await start(metaChannel(meta), other);
      const photo = receive();
      const uploading = new Mutations(server.client).uploaded({ channelId: META, url: `${source.url}/photo.jpg` });
      await beginCopy(server, photo);
      await until('the upload to be under way', () => waiting.length === 1);
      await server.reload({ channels: [other] });
      for (const response of waiting) response.end(samples.photo.bytes);
      await uploading.catch(() => null);
      await until('both to end', async () => {
        const [copies, uploads] = [await jobs('copy'), await jobs('upload')];
        return copies.open === 0 && uploads.open === 0;
      });
      await server.reload({ channels: [metaChannel(meta)] });
      expect(await server.client.statuses(photo.id)).toEqual(['READY']);
      expect(meta.media.length).toBeGreaterThan(1);
      expect(server.logLines.filter((line) => !line.includes('restart'))).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'changes credentials, addresses and secrets of a channel',
    async () => {
      const wrong = { ...metaChannel(meta), credentials: { token: 'another-token-0123456789' } };
      const server = await start(wrong, other);
      const photo = receive();
      await server.client.deliver(META, photo.delivery);
      await until('the copy to be refused', () => server.logged('a copy failed and will be retried') === 1);
      // After more attempts, the next one would be hours away.
      await until('the copy to wait', async () => (await jobs('copy')).open === 1);
      await sql`update jobs set due_at = due_at + interval '3 hours' where kind = 'copy'`.execute(shared().kysely);
      await server.reload({ channels: [metaChannel(meta), other] });
      await server.client.becomes('READY', photo.id);

      const elsewhere = await metaEmulator().start();
      closings.push(() => elsewhere.close());
      const webhook = { secret: 'a rotated secret of Meta' };
      await server.reload({ channels: [{ ...metaChannel(elsewhere), webhook }, other] });
      const next = receive(elsewhere);
      meta.clearRequests();
      expect((await server.client.deliver(META, next.delivery)).status).toBe(401);
      expect((await server.client.deliver(META, signedDelivery(next.delivery.body, webhook.secret))).status).toBe(200);
      await server.client.becomes('READY', next.id);
      expect(meta.requests).toEqual([]);
      // What was copied before is not asked for again.
      expect((await server.client.get(pathOf(sole(sole(await server.client.media([photo.id])))))).status).toBe(200);
    },
    TEST_MS,
  );

  it(
    'moves a channel to another tenant as if it were another channel',
    async () => {
      const server = await start(metaChannel(meta));
      const photo = receive();
      await server.client.deliver(META, photo.delivery);
      const media = await server.client.becomes('READY', photo.id);
      await server.reload({ channels: [{ ...metaChannel(meta), tenant: 'globex' }] });
      expect(await channelsOf(server)).toEqual([]);
      expect((await server.client.get(pathOf(media))).status).toBe(404);
    },
    TEST_MS,
  );

  it(
    'lets webhooks wait whose channel has lost its webhook',
    async () => {
      const server = await start(metaChannel(meta));
      const photo = receive();
      // A failure of the database keeps the event from being processed before the reload.
      await sql`alter table media rename to media_elsewhere`.execute(shared().kysely);
      await server.client.deliver(META, photo.delivery);
      await until('the event to fail once', () => server.logged('a webhook event failed') === 1);
      await server.reload({ channels: [{ ...metaChannel(meta), webhook: undefined }] });
      await sql`alter table media_elsewhere rename to media`.execute(shared().kysely);
      await until('the event to be due', async () => (await jobs('webhook')).due === 1);
      await sleep(500);
      expect(await jobs('webhook')).toEqual({ open: 1, due: 1, dead: 0 });
      expect((await server.client.deliver(META, receive().delivery)).status).toBe(404);
      await server.reload({ channels: [metaChannel(meta)] });
      await server.client.becomes('READY', photo.id);
      expect(await jobs('webhook')).toMatchObject({ dead: 0 });
    },
    TEST_MS,
  );
});
