/** Two processes with different channels on one database, as during a rolling change of the configuration. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { ServerFolder, type ServerProcess } from '../support/server-folder.js';
import { kirimChannel } from '../support/test-bed.js';

const TEST_MS = 240_000;
const other = kirimChannel('http://127.0.0.1:1/v1', { id: 'other' });

describeServer('processes with different channels', (server) => {
  let meta: WhatsAppEmulator;
  let photos = 0;
  const folders: ServerFolder[] = [];

  beforeEach(async () => {
    meta = await metaEmulator().start();
  });
  afterEach(async () => {
    await Promise.all(folders.splice(0).map((folder) => folder.close()));
    await meta.close();
  });

  async function folderOf(config: Readonly<Record<string, unknown>>): Promise<ServerFolder> {
    const [first] = folders;
    const storage = first ? { storage: { root: first.blobs } } : {};
    const folder = await ServerFolder.make({ config: { ...storage, ...config }, databaseUrl: server.url() });
    folders.push(folder);
    return folder;
  }

  function receive(): MetaPhoto {
    photos += 1;
    return receivePhoto(meta, photos);
  }

  /** Rewrites the configuration of a process, which reloads it. */
  async function reload(folder: ServerFolder, { command }: ServerProcess, channels: readonly unknown[]): Promise<void> {
    await folder.configure({ storage: { root: folders[0]?.blobs }, log: { level: 'info' }, channels });
    const before = command.stdout.split('the configuration was reloaded').length;
    command.kill('SIGHUP');
    await until(
      'the configuration to be reloaded',
      () => command.stdout.split('the configuration was reloaded').length > before,
    );
  }

  const jobs = () => server.query(`select kind, state, attempts, last_error from jobs where kind <> 'sweep'`);

  it(
    'leave each other’s jobs alone: a process without the channel neither performs nor fails them',
    async () => {
      const log = { level: 'info' };
      const having = await (await folderOf({ log, channels: [metaChannel(meta), other] })).serve();
      const lacking = await (await folderOf({ log, channels: [other] })).serve();
      const received = Array.from({ length: 30 }, receive);
      await Promise.all(received.map(({ delivery }) => having.client.deliver(META, delivery)));
      for (const { id } of received)
        expect(await having.client.becomes('READY', id)).toMatchObject({ status: 'READY' });
      expect((await lacking.client.deliver(META, receive().delivery)).status).toBe(404);
      expect(await jobs()).toEqual([]);
      expect(lacking.command.stdout).not.toMatch(/"level":(40|50)/);
    },
    TEST_MS,
  );

  it(
    'keep the work of one that died for a process that gets its channel later',
    async () => {
      const first = await folderOf({ channels: [metaChannel(meta)] });
      const having = await first.serve();
      const second = await folderOf({ log: { level: 'info' }, channels: [other] });
      const lacking = await second.serve();
      meta.lookaside.latencyMs = 60_000;
      const photo = receive();
      expect((await having.client.deliver(META, photo.delivery)).status).toBe(200);
      await until('the copy to be under way', () =>
        meta.lookaside.requests.some(({ path }) => path.includes(`mid=${photo.mediaId}&`)),
      );
      await until('the event to be processed', async () => (await jobs()).every(({ kind }) => kind === 'copy'));
      having.command.kill('SIGKILL');
      await having.command.ended;
      meta.lookaside.latencyMs = 0;
      // The lease ends after 15 seconds, and an idle worker looks after ten more.
      await sleep(27_000);
      expect(await jobs()).toEqual([{ kind: 'copy', state: 'open', attempts: 1, last_error: null }]);
      await reload(second, lacking, [other, metaChannel(meta)]);
      await lacking.client.becomes('READY', photo.id);
      // A channel that leaves and comes back.
      await reload(second, lacking, [other]);
      expect((await lacking.client.deliver(META, receive().delivery)).status).toBe(404);
      await reload(second, lacking, [metaChannel(meta), other]);
      const next = receive();
      expect((await lacking.client.deliver(META, next.delivery)).status).toBe(200);
      await lacking.client.becomes('READY', next.id);
      expect(await jobs()).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'keep what was under way when a channel is removed everywhere, also over restarts',
    async () => {
      const folder = await folderOf({ log: { level: 'info' }, channels: [metaChannel(meta)] });
      const process = await folder.serve();
      const photo = receive();
      meta.lookaside.faults.push({ match: /./, fault: { kind: 'status', status: 503 } });
      await process.client.deliver(META, photo.delivery);
      await process.command.printed(/a copy failed and will be retried/);
      await until('the event to be processed', async () => (await jobs()).every(({ kind }) => kind === 'copy'));
      await reload(folder, process, []);
      meta.lookaside.faults.length = 0;
      process.command.kill('SIGTERM');
      expect(await process.command.ended).toBe(0);
      const restarted = await folder.serve();
      await sleep(5_000);
      expect(await jobs()).toMatchObject([{ kind: 'copy', state: 'open' }]);
      await reload(folder, restarted, [metaChannel(meta)]);
      await restarted.client.becomes('READY', photo.id);
      expect(await jobs()).toEqual([]);
    },
    TEST_MS,
  );
});
