import { sql } from 'kysely';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { describeEngines } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { samples } from '../support/sample-messages.js';
import { kirimChannel, type MediaData, SECRETS, sole } from '../support/test-bed.js';

const SECRET = 'whsec_kirim_0123456789abcdef';
const DAY_MS = 24 * 60 * 60 * 1000;
const FACTS = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
  id status sizeBytes filename url thumbnailUrl expiresAt updatedAt } } }`;

interface Facts extends MediaData {
  readonly thumbnailUrl: string | null;
  readonly expiresAt: string | null;
  readonly updatedAt: string | null;
}

describeEngines('reading messages whose provider lists their media', (engine) => {
  const startServer = useOwnServers();
  const cdn = new CdnEmulator();
  const kirim = new KirimEmulator({ token: SECRETS.kirimToken, webhookSecrets: [SECRET], cdn });
  let serial = 0;

  beforeAll(() => Promise.all([cdn.start(), kirim.start()]));
  afterAll(() => Promise.all([cdn.close(), kirim.close()]));
  beforeEach(() => kirim.clearRequests());

  const start = (sections: Readonly<Record<string, unknown>> = {}, database = engine.shared()) =>
    startServer({
      config: { channels: [kirimChannel(kirim.baseUrl, { webhook: { secret: SECRET } })], ...sections },
      database,
    });

  function receive(): string {
    serial += 1;
    kirim.addMessage({ id: kirimMessageId(serial), media: samples.photo });
    return `wa:${kirimMessageId(serial)}`;
  }

  async function read({ client }: OwnServer, ids: readonly string[]): Promise<Facts[]> {
    const { data, errors } = await client.query<{ messagesWithMedia: Array<{ media: Facts[] }> }>(FACTS, { ids });
    expect(errors).toEqual([]);
    return (data?.messagesWithMedia ?? []).map(({ media }) => sole(media));
  }

  /** Rows of all tables that a read could write. */
  async function rows(): Promise<number> {
    const { rows } = await sql<{ count: number }>`select (
      (select count(*) from media) + (select count(*) from message_listings)
        + (select count(*) from jobs where kind <> 'sweep'))::integer as count`.execute(engine.shared().kysely);
    return sole(rows).count;
  }

  const pathOf = (url: string) => new URL(url).pathname + new URL(url).search;

  test('writes nothing, and asks the provider once for listings and details', async () => {
    const server = await start();
    const ids = Array.from({ length: 20 }, () => receive());
    const first = await read(server, ids);
    expect(first.map(({ status, updatedAt }) => [status, updatedAt])).toEqual(ids.map(() => ['READY', null]));
    const calls = kirim.requestCount;
    // Links are named by the details, which the first answer did not have when it signed them.
    const factsOf = (media: readonly Facts[]) => media.map(({ url, thumbnailUrl, ...facts }) => facts);
    expect(factsOf(await read(server, ids))).toEqual(factsOf(first));
    expect(kirim.requestCount).toBe(calls);
    expect(await rows()).toBe(0);
  });

  test('gives a media a row when its link is opened, with the details that were requested', async () => {
    const server = await start();
    const [id] = [receive()];
    const [media] = await read(server, [id]);
    const calls = kirim.requestCount;
    const got = await server.client.get(pathOf(media?.url ?? ''));
    expect(got.status).toBe(200);
    expect(got.bytes.equals(samples.photo.bytes)).toBe(true);
    // The listing was remembered, and so was the address of the bytes.
    expect(kirim.requestCount).toBe(calls);
    await server.client.becomesStored(pathOf(media?.url ?? ''));
    expect(await read(server, [id])).toMatchObject([{ id: media?.id, status: 'READY', filename: media?.filename }]);
    expect(await rows()).toBeGreaterThan(0);
  });

  test('gives links that open at a process that has not listed their message', async () => {
    const one = await start();
    const [media] = await read(one, [receive()]);
    const other = await start({ storage: { root: one.blobs } }, engine.replica());
    for (const link of [media?.thumbnailUrl, media?.url])
      expect((await other.client.get(pathOf(link ?? ''))).status).toBe(200);
  });

  test('hides media that another process deleted', async () => {
    const [one, other] = [await start(), await start({}, engine.replica())];
    const id = receive();
    const [media] = await read(one, [id]);
    const { data, errors } = await other.client.query<Record<string, unknown>>(
      'mutation($id: ID!) { deleteMedia(input: { id: $id }) { media { status } } }',
      { id: media?.id },
    );
    expect([errors, data]).toEqual([[], { deleteMedia: { media: { status: 'DELETED' } } }]);
    expect(await one.client.media([id])).toEqual([[]]);
    expect((await one.client.get(pathOf(media?.url ?? ''))).status).toBe(410);
  });

  test('does not take READY back when a webhook announces the media afterwards', async () => {
    const [one, other] = [await start(), await start({}, engine.replica())];
    const ids = [receive(), receive()];
    const listed = await read(one, ids);
    cdn.latencyMs = 1_500;
    try {
      for (const [index, server] of [one, other].entries()) {
        const delivery = kirim.webhookOf((ids[index] ?? '').slice('wa:'.length));
        expect((await server.client.deliver('wa', delivery)).status).toBe(200);
      }
      await until('both to be announced', async () => {
        const { rows } = await sql`select 1 from media where announced`.execute(engine.shared().kysely);
        return rows.length === 2;
      });
      expect(await read(one, ids)).toMatchObject([{ status: 'READY' }, { status: 'READY' }]);
      const opened = listed.flatMap(({ url }) => [one, other].map(({ client }) => client.get(pathOf(url))));
      expect((await Promise.all(opened)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    } finally {
      cdn.latencyMs = 0;
    }
  });

  test('gives media a row where retention is set and the provider tells no time of the message', async () => {
    const server = await start({ retention: { default: '30d' } });
    const [media] = await read(server, [receive()]);
    expect(Math.round((Date.parse(media?.expiresAt ?? '') - Date.now()) / DAY_MS)).toBe(30);
    await until('a row', async () => (await rows()) > 0);
  });

  test('copies listed media in the background where `mirror.listed` says so', async () => {
    const server = await start({ mirror: { listed: true } });
    const [media] = await read(server, [receive()]);
    expect(media?.status).toBe('READY');
    await server.client.becomesStored(pathOf(media?.url ?? ''));
  });
});
