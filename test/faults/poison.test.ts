/**
 * Work that ends its process, again and again: each time that it runs alone, its process is killed from outside, as if its
 * bytes had done it. What was under way beside it does not suffer for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import type { Client } from '../support/client.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { ServerFolder } from '../support/server-folder.js';
import { sole } from '../support/test-bed.js';

/** Seven processes, each of which takes seconds to start on a busy machine. */
const TEST_MS = 420_000;

const FAILURE = 'query($id: ID!) { media(id: $id) { status failure { code message retryable } } }';
const RETRY = 'mutation($id: ID!) { retryMedia(input: { id: $id }) { media { id status } } }';

let meta: WhatsAppEmulator;
let folder: ServerFolder | null = null;

beforeEach(async () => {
  meta = await metaEmulator().start();
});
afterEach(async () => {
  await folder?.close();
  folder = null;
  await meta.close();
});

async function makeFolder(databaseUrl?: string): Promise<ServerFolder> {
  // What hangs does so until its process dies, however long that takes.
  const config = { channels: [metaChannel(meta)], providers: { 'whatsapp-cloud': { timeout: '300s' } } };
  folder = await ServerFolder.make({ config, databaseUrl });
  return folder;
}

/** How often a photo's bytes were asked for. */
function fetches({ mediaId }: MetaPhoto): number {
  return meta.lookaside.requests.filter(({ path }) => path.includes(`mid=${mediaId}&`)).length;
}

function hang({ mediaId }: MetaPhoto, times: number): void {
  meta.lookaside.faults.push({ match: new RegExp(`mid=${mediaId}&`), fault: { kind: 'hang' }, times });
}

async function announce(client: Client, photos: readonly MetaPhoto[]): Promise<void> {
  for (const { delivery } of photos) expect((await client.deliver(META, delivery)).status).toBe(200);
}

describe('a media that ends its process, embedded', () => {
  it(
    'is FAILED after three deaths while it ran alone; other media is READY, a stop is not counted, and a retry starts again',
    async () => {
      const { serve, dieDuring } = life(await makeFolder());
      const poison = receivePhoto(meta, 1);
      const innocent = [2, 3, 4].map((index) => receivePhoto(meta, index));
      hang(poison, Number.POSITIVE_INFINITY);
      for (const photo of innocent) hang(photo, 1);

      // All four are under way together: no death of the poison alone.
      const first = await serve();
      await announce(first.client, [poison, ...innocent]);
      await until('all to be under way', () => [poison, ...innocent].every((photo) => fetches(photo) === 1));
      first.command.kill('SIGKILL');
      await first.command.ended;

      const late = receivePhoto(meta, 5);
      await dieDuring(poison, 'SIGKILL', async ({ client }) => {
        // Other jobs wait while it runs alone.
        await announce(client, [late]);
        await sleep(1_500);
        expect([late, ...innocent].map(fetches)).toEqual([0, ...innocent.map(() => 1)]);
      });
      await dieDuring(poison, 'SIGTERM');
      await dieDuring(poison, 'SIGKILL');
      await dieDuring(poison, 'SIGTERM');
      await dieDuring(poison, 'SIGKILL');

      const { client } = await serve();
      const { id, url } = await client.becomes('FAILED', poison.id);
      expect(url).toBeNull();
      expect(await failureOf(client, id)).toEqual({
        status: 'FAILED',
        failure: { code: 'INTERNAL_SERVER_ERROR', message: expect.stringContaining('three times'), retryable: true },
      });
      for (const photo of [late, ...innocent]) {
        const media = await client.becomes('READY', photo.id);
        expect((await client.get(media.url)).bytes.equals(photo.bytes)).toBe(true);
      }
      expect(fetches(poison)).toBe(6);

      meta.lookaside.faults.length = 0;
      const retried = await new Mutations(client).ask(RETRY, { id });
      expect(retried).toMatchObject({ data: { retryMedia: { media: { id, status: 'PENDING' } } }, errors: [] });
      const healed = await client.becomes('READY', poison.id);
      expect((await client.get(healed.url)).bytes.equals(poison.bytes)).toBe(true);
      expect(await failureOf(client, id)).toEqual({ status: 'READY', failure: null });
    },
    TEST_MS,
  );

  async function failureOf(client: Client, id: string): Promise<unknown> {
    const { data } = await client.query<{ readonly media: unknown }>(FAILURE, { id });
    return data?.media;
  }
});

/** The processes of a folder, one after the other. */
function life(of: ServerFolder) {
  const serve = () => of.serve();
  /** A process that ends while it is alone with the poison. */
  const dieDuring = async (
    poison: MetaPhoto,
    signal: 'SIGKILL' | 'SIGTERM',
    meanwhile: (server: Awaited<ReturnType<typeof serve>>) => Promise<void> = async () => {},
  ): Promise<void> => {
    const before = fetches(poison);
    const server = await serve();
    await until('the poison to be fetched again', () => fetches(poison) > before);
    await meanwhile(server);
    server.command.kill(signal);
    expect(await server.command.ended).toBe(signal === 'SIGKILL' ? signal : 0);
  };
  return { serve, dieDuring };
}

describeServer('a webhook that ends its process', (server) => {
  it(
    'becomes a dead letter after three deaths while it ran alone, and other events are processed',
    async () => {
      const own = await makeFolder(server.url());
      const poison = receivePhoto(meta, 1);
      const first = await own.serve();
      const blocker = new pg.Client({ connectionString: server.url() });
      await blocker.connect();
      try {
        // No event can be recorded: their work hangs, as if it never ended.
        await blocker.query('begin');
        await blocker.query('lock table media in exclusive mode');
        await announce(first.client, [poison]);
        await isUnderWay(1);
        first.command.kill('SIGKILL');
        await first.command.ended;
        for (let death = 1; death <= 3; death++) {
          await leasesEnd();
          const { command } = await own.serve();
          await until('the event to be alone', async () =>
            (await events()).some(({ lease_alone: alone }) => alone === true),
          );
          expect(await events()).toMatchObject([{ suspect: true, deaths: death - 1, interruptions: death }]);
          command.kill('SIGKILL');
          await command.ended;
        }
      } finally {
        await blocker.query('rollback');
        await blocker.end();
      }
      await leasesEnd();
      const { client } = await own.serve();
      await until('the event to be a dead letter', async () => sole(await events()).state === 'dead');
      expect(await events()).toMatchObject([{ deaths: 3, last_error: expect.stringContaining('three times') }]);
      const innocent = receivePhoto(meta, 2);
      await announce(client, [innocent]);
      await client.becomes('READY', innocent.id);
    },
    TEST_MS,
  );

  const events = () =>
    server.query(`select jobs.*, webhook_events.state from jobs
      join webhook_events on webhook_events.id::text = jobs.key where kind = 'webhook' order by jobs.id`);
  const isUnderWay = (attempts: number) =>
    until('the event to be under way', async () => sole(await events()).attempts === attempts);
  /** The dead are not waited for. */
  const leasesEnd = () => server.query(`update jobs set lease_until = 'epoch' where lease_owner is not null`);
});
