/** Replicas that share a database and a folder of blobs, and that get in each other's way. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import type { Client } from '../support/client.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto, withoutDigest } from '../support/meta.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { samples } from '../support/sample-messages.js';
import { ServerFolder, type ServerProcess } from '../support/server-folder.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { headerOf, kirimChannel, SECRETS, sole } from '../support/test-bed.js';

/** Processes take seconds to start on a busy machine, and a lease fifteen to end. */
const TEST_MS = 240_000;
const SKEW_MS = 20_000;

let meta: WhatsAppEmulator;
/** The database outlives a test: no two have a photo in common. */
let photos = 0;
beforeEach(async () => {
  meta = await metaEmulator().start();
});
afterEach(() => meta.close());

function receive(padding?: Buffer): MetaPhoto {
  photos += 1;
  return receivePhoto(meta, photos, { padding });
}

const fetchesOf = ({ mediaId }: MetaPhoto) =>
  meta.lookaside.requests.filter(({ path }) => path.includes(`mid=${mediaId}&`));

/** Every replica gives the bytes that GraphQL describes, also after they changed at their provider. */
async function expectBytes(replicas: readonly Client[], { id, bytes }: Pick<MetaPhoto, 'id' | 'bytes'>): Promise<void> {
  const described = await Promise.all(replicas.map(async (client) => sole(sole(await client.media([id])))));
  for (const [index, media] of described.entries()) {
    expect(media).toMatchObject({ status: 'READY', sizeBytes: bytes.length });
    for (const client of replicas) {
      const got = await client.get(new URL(media.url).pathname + new URL(media.url).search);
      expect([index, got.status, got.bytes.equals(bytes)]).toEqual([index, 200, true]);
    }
  }
}

function forgetAll(): void {
  meta.lookaside.faults.push({ match: /./, fault: { kind: 'status', status: 404 } });
}

describeServer('two replicas in one process', (server) => {
  const startServer = useOwnServers();

  async function startTwo(sections: Readonly<Record<string, unknown>>): Promise<[OwnServer, OwnServer]> {
    const config = { ...sections, database: { url: server.url() } };
    const one = await startServer({ config });
    return [one, await startServer({ config: { ...config, storage: { root: one.blobs } } })];
  }

  it.each([
    ['first', 1],
    ['last', 2],
  ])(
    'keep the download with the announced digest when the one that arrives %s is corrupt',
    async (_which, corrupt) => {
      const [one, other] = await startTwo({ channels: [metaChannel(meta)], mirror: { mode: 'lazy' } });
      const photo = receive(Buffer.alloc(200_000, 'padding'));
      expect((await one.client.deliver(META, photo.delivery)).status).toBe(200);
      const { url } = await one.client.becomes('READY', photo.id);
      // Both are under way before either has a byte.
      meta.lookaside.latencyMs = 500;
      let fetches = 0;
      const body = Buffer.from(photo.bytes);
      body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
      meta.lookaside.faults.push({
        match: () => {
          fetches += 1;
          return fetches === corrupt;
        },
        fault: { kind: 'body', body, contentType: 'image/jpeg' },
      });
      const target = new URL(url).pathname + new URL(url).search;
      await Promise.all([one, other].map(({ client }) => client.get(target).catch(() => null)));
      meta.lookaside.latencyMs = 0;
      await until('the good bytes to be kept', async () => {
        await one.client.get(target).catch(() => null);
        return headerOf(await other.client.get(target, { method: 'HEAD' }), 'etag') !== undefined;
      });
      expect(fetches).toBeGreaterThanOrEqual(2);
      forgetAll();
      await expectBytes([one.client, other.client], photo);
      expect(await filesBelow(`${one.blobs}/media`)).toHaveLength(1);
    },
    TEST_MS,
  );

  describe('over media that its provider lists', () => {
    const cdn = new CdnEmulator();
    const kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn });
    beforeAll(() => Promise.all([cdn.start(), kirim.start()]));
    afterAll(() => Promise.all([cdn.close(), kirim.close()]));
    const THUMBNAIL = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url thumbnailUrl } } }';

    it(
      'open each other’s links at once, before the listing is recorded',
      async () => {
        const [one, other] = await startTwo({ channels: [kirimChannel(kirim.baseUrl)] });
        kirim.addMessage({ id: kirimMessageId(1), media: samples.photo });
        const blocker = new pg.Client({ connectionString: server.url() });
        await blocker.connect();
        try {
          await blocker.query('begin');
          await blocker.query('lock table media in exclusive mode');
          const { data } = await one.client.query<{
            readonly messagesWithMedia: ReadonlyArray<{
              readonly media: ReadonlyArray<{ readonly url: string; readonly thumbnailUrl: string }>;
            }>;
          }>(THUMBNAIL, { ids: [`wa:${kirimMessageId(1)}`] });
          const links = sole(sole(data?.messagesWithMedia ?? []).media);
          const answers = [links.thumbnailUrl, links.url].map((link) =>
            other.client.get(new URL(link).pathname + new URL(link).search),
          );
          // By then both are under way, and the other replica has found no row.
          await sleep(2_000);
          const row = 'select 1 from media where provider_message_id = $1';
          expect((await blocker.query(row, [kirimMessageId(1)])).rows).toEqual([]);
          await blocker.query('rollback');
          expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
        } finally {
          await blocker.query('rollback');
          await blocker.end();
        }
      },
      TEST_MS,
    );

    it(
      'have the strong ETag from the second complete GET on',
      async () => {
        const [one, other] = await startTwo({ channels: [kirimChannel(kirim.baseUrl)] });
        for (const [index, second] of [one, other].entries()) {
          const id = kirimMessageId(2 + index);
          kirim.addMessage({ id, media: samples.photo });
          const { url } = sole(sole(await one.client.media([`wa:${id}`])));
          const target = new URL(url).pathname + new URL(url).search;
          expect((await one.client.get(target)).status).toBe(200);
          const again = await second.client.get(target);
          expect([index, again.status, headerOf(again, 'etag')]).toEqual([index, 200, expect.stringMatching(/^"/)]);
        }
      },
      TEST_MS,
    );
  });
});

describeServer('two replicas, one of which', (server) => {
  const folders: ServerFolder[] = [];
  let proxy: TcpProxy;
  beforeEach(async () => {
    proxy = await TcpProxy.start(server.url());
  });
  afterEach(async () => {
    await Promise.all(folders.splice(0).map((folder) => folder.close()));
    await proxy.close();
  });

  async function makeFolder(sections: Readonly<Record<string, unknown>>, databaseUrl: string): Promise<ServerFolder> {
    const providers = { 'whatsapp-cloud': { timeout: '120s' } };
    const config = { channels: [metaChannel(meta)], log: { level: 'info' }, providers, ...sections };
    const folder = await ServerFolder.make({ config, databaseUrl });
    folders.push(folder);
    return folder;
  }

  /** How long the first download hangs: longer than a lease, and than it takes the other replica to see it. */
  const HANGS_MS = 40_000;

  it.each<[string, (replica: ServerProcess) => void, (replica: ServerProcess) => void]>([
    ['is cut off from the database', () => proxy.silence(), () => {}],
    ['is stopped', ({ command }) => command.kill('SIGSTOP'), ({ command }) => command.kill('SIGCONT')],
  ])(
    '%s while it copies: the bytes that the other one has stored meanwhile stay unchanged',
    async (_what, leave, comeBack) => {
      const folder = await makeFolder({}, server.url());
      const cutOff = await makeFolder({ storage: { root: folder.blobs } }, proxy.url);
      const other = await folder.serve();
      const late = await cutOff.serve();
      // Without a digest nothing but the row decides whose bytes count.
      const photo = receive();
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'delay', ms: HANGS_MS }, times: 1 });
      // So that the other one does not take the work.
      other.command.kill('SIGSTOP');
      expect((await late.client.deliver(META, withoutDigest(photo.delivery))).status).toBe(200);
      await until('the copy to be under way', () => fetchesOf(photo).length === 1);
      const begun = Date.now();
      leave(late);
      other.command.kill('SIGCONT');
      await other.client.becomes('READY', photo.id);
      expect(fetchesOf(photo)).toHaveLength(2);
      // What the first download brings at last is something else.
      const { length } = photo.bytes;
      meta.addMedia({ id: photo.mediaId, bytes: Buffer.alloc(length, samples.photo.bytes), mimeType: 'image/jpeg' });
      await sleep(Math.max(0, begun + HANGS_MS + 2_000 - Date.now()));
      comeBack(late);
      await proxy.restore();
      await until('the late one to give up', () =>
        /abandoned|will be retried|could not be/.test(late.command.stdout + late.command.stderr),
      );
      forgetAll();
      await expectBytes([other.client, late.client], photo);
      await folder.answerOf(['sweep', '--grace', '0s']);
      expect(await filesBelow(`${folder.blobs}/media`)).toHaveLength(1);
      await expectBytes([other.client, late.client], photo);
    },
    TEST_MS,
  );

  it(
    'has a wrong clock: nothing is downloaded twice, and both agree when a link and a media end',
    async () => {
      const folder = await makeFolder({}, server.url());
      const replicas = [
        await folder.serve({ clockOffsetMs: -SKEW_MS }),
        await folder.serve({ clockOffsetMs: SKEW_MS }),
      ];
      const clients = replicas.map(({ client }) => client);
      const received = [receive(), receive(), receive(), receive()];
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'delay', ms: 4_000 } });
      for (const [index, photo] of received.entries())
        expect((await clients[index % 2]?.deliver(META, photo.delivery))?.status).toBe(200);
      for (const { id } of received) for (const client of clients) await client.becomes('READY', id);
      expect(received.map((photo) => fetchesOf(photo).length)).toEqual([1, 1, 1, 1]);
      meta.lookaside.faults.length = 0;

      const [photo] = received;
      if (!photo) throw new Error('expected a photo');
      const links = await Promise.all(clients.map(async (client) => sole(sole(await client.media([photo.id]))).url));
      const [first = 0, second = 0] = links.map((link) => Number(new URL(link).searchParams.get('exp')));
      // Both are of this moment by the database's clock, give or take what the questions took.
      expect(Math.abs(first - second)).toBeLessThan(SKEW_MS / 1_000 / 2);
      await expectBytes(clients, photo);

      const [{ at } = { at: null }] = await server.query(
        `update media set expires_at = now() + interval '15 seconds' where provider_message_id = $1
         returning extract(epoch from expires_at) * 1000 as at`,
        [photo.id.slice(META.length + 1)],
      );
      const endsAt = Number(at);
      const seen = await Promise.all(
        clients.map(async (client) => {
          const statuses: string[] = [];
          for (;;) {
            const requestedAt = Date.now();
            const status = sole(await client.statuses(photo.id));
            // Before its time by this machine's clock, which is the database's, it is there.
            if (Date.now() < endsAt - 2_000) statuses.push(status);
            if (status === 'EXPIRED' || requestedAt > endsAt + SKEW_MS / 2)
              return { before: new Set(statuses), status };
            await sleep(200);
          }
        }),
      );
      expect(seen).toEqual(clients.map(() => ({ before: new Set(['READY']), status: 'EXPIRED' })));
    },
    TEST_MS,
  );
});
