import { rename, rm, writeFile } from 'node:fs/promises';
import { describeEngines, OPEN_TIMEOUT_MS } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { ServerFolder } from '../support/server-folder.js';

const MEBI = 2 ** 20;
/** Above every file of the embedded database, below the large media. */
const LIMIT_KIB = 20 * 1024;
const LARGE = { padding: Buffer.alloc(24 * MEBI, 'padding') };
const PROCESS_MS = 120_000;
const TRIED_AGAIN = 'a copy failed and will be retried';

const meta = metaEmulator();
beforeAll(() => meta.start());
afterAll(() => meta.close());

describe('a blob disk that is full', () => {
  let folder: ServerFolder;
  beforeEach(async () => {
    folder = await ServerFolder.make({ config: { channels: [metaChannel(meta)] } });
  });
  afterEach(() => folder.close());

  // No file grows beyond a limit: as on a full disk, a write is short and the next one fails, for root as for anybody.
  it(
    'loses no webhook and leaves no partial blob; with space again, everything is READY',
    async () => {
      const [small, large, later] = [receivePhoto(meta, 1), receivePhoto(meta, 2, LARGE), receivePhoto(meta, 3)];
      const full = await folder.serve({ fileSizeKib: LIMIT_KIB });
      for (const { delivery } of [small, large]) expect((await full.client.deliver(META, delivery)).status).toBe(200);
      await full.client.becomes('READY', small.id);
      await full.command.printed(/a copy failed and will be retried/);
      expect(full.command.stdout).toMatch(/EFBIG/);
      expect(await full.client.statuses(large.id)).toEqual(['PENDING']);
      expect((await full.client.deliver(META, later.delivery)).status).toBe(200);
      await full.client.becomes('READY', later.id);
      full.command.kill('SIGTERM');
      expect(await full.command.ended).toBe(0);
      expect(await filesBelow(folder.blobs)).toHaveLength(2);

      const roomy = await folder.serve();
      for (const photo of [small, large, later]) {
        const { url, sizeBytes } = await roomy.client.becomes('READY', photo.id);
        expect(sizeBytes).toBe(photo.bytes.length);
        expect((await roomy.client.get(url)).bytes.equals(photo.bytes)).toBe(true);
      }
      expect(await filesBelow(folder.blobs)).toHaveLength(3);
    },
    PROCESS_MS,
  );
});

describeEngines('a blob disk that is away', (engine) => {
  const startServer = useOwnServers();

  async function awayWhile(server: OwnServer, happens: () => Promise<void>): Promise<void> {
    const aside = `${server.blobs}-aside`;
    await rename(server.blobs, aside);
    await writeFile(server.blobs, '');
    await happens();
    await rm(server.blobs);
    await rename(aside, server.blobs);
  }

  it(
    'loses no webhook, is reported by /readyz, and is used again as soon as it is back',
    async () => {
      const server = await startServer({ config: { channels: [metaChannel(meta)] }, database: engine.shared() });
      const photo = receivePhoto(meta, 1);
      await awayWhile(server, async () => {
        expect((await server.client.deliver(META, photo.delivery)).status).toBe(200);
        await until('a copy to fail', () => server.logged(TRIED_AGAIN) > 0);
        expect(await server.client.statuses(photo.id)).toEqual(['PENDING']);
        const unready = await server.client.get('/readyz');
        expect([unready.status, JSON.parse(unready.bytes.toString())]).toEqual([
          503,
          {
            status: 'unavailable',
            reason: 'the blob store is unavailable',
            missing: [{ name: 'blob store', reason: 'the blob store is unavailable' }],
          },
        ]);
        expect((await server.client.get('/livez')).status).toBe(200);
      });
      const { url } = await server.client.becomes('READY', photo.id);
      expect((await server.client.get(url)).bytes.equals(photo.bytes)).toBe(true);
      expect((await server.client.get('/readyz')).status).toBe(200);
      expect(await filesBelow(server.blobs)).toHaveLength(1);
    },
    OPEN_TIMEOUT_MS,
  );
});
