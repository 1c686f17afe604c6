/** `mediagraph verify`, in processes of its own, beside a server and without one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { attemptBlobKey } from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { S3BlobStore } from '../../src/storage/s3/s3-blob-store.js';
import type { Client } from '../support/client.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { S3TestServer } from '../support/s3.js';
import { samples } from '../support/sample-messages.js';
import { ServerFolder } from '../support/server-folder.js';
import { CHANNELS, kirimChannel, SECRETS, sole } from '../support/test-bed.js';

/** Processes take seconds to start on a busy machine. */
const TEST_MS = 240_000;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Finding {
  readonly id: string;
  readonly problem: string;
  readonly outcome: string;
  readonly channelId: string | null;
  readonly key: string | null;
}

interface Verified {
  readonly status: number | string;
  readonly findings: readonly Finding[];
  readonly stderr: string;
}

const emulators: Array<{ close(): Promise<void> }> = [];
let meta: WhatsAppEmulator;
let folder: ServerFolder;
beforeEach(async () => {
  meta = await metaEmulator().start();
  emulators.push(meta);
});
afterEach(async () => {
  await folder.close();
  await Promise.all(emulators.splice(0).map((emulator) => emulator.close()));
});

async function verified(...args: readonly string[]): Promise<Verified> {
  const command = folder.run(['verify', '--json', ...args]);
  const status = await command.ended;
  const findings: Finding[] = command.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  return { status, findings, stderr: command.stderr };
}

const briefly = ({ findings }: Verified) =>
  findings.map(({ id, problem, outcome }) => `${problem} ${id} ${outcome}`).toSorted();

async function received(client: Client, serial: number): Promise<MetaPhoto & { readonly media: string }> {
  const photo = receivePhoto(meta, serial);
  expect((await client.deliver(META, photo.delivery)).status).toBe(200);
  return { ...photo, media: (await client.becomes('READY', photo.id)).id };
}

async function originalOf(media: string): Promise<string> {
  return sole(
    (await filesBelow(folder.blobs)).filter((file) => file.includes(`/i-${media}.`) && file.endsWith('.original')),
  );
}

/** A blob that no row names, and a half-written file of a dead process, both a day old, and a blob of now. */
async function leaveBehind(): Promise<Record<'orphan' | 'young' | 'unfinished', string>> {
  const store = await FsBlobStore.open({ root: folder.blobs });
  const orphan = encodeMediaId({ channelId: META, providerMessageId: 'wamid.NOBODY', providerMediaId: null });
  const young = encodeMediaId({ channelId: META, providerMessageId: 'wamid.YOUNG', providerMediaId: null });
  const then = new Date(Date.now() - DAY_MS);
  for (const id of [orphan, young]) {
    const key = attemptBlobKey('default', id);
    await store.put(key, Readable.from([Buffer.from('bytes of nobody')]), {});
    if (id === orphan) await utimes(join(folder.blobs, key), then, then);
  }
  const dead = spawn(process.execPath, ['--eval', '']);
  await once(dead, 'close');
  const unfinished = `${dead.pid}.abcdef012345-unfinished`;
  const path = join(folder.blobs, 'tmp', unfinished);
  await mkdir(join(folder.blobs, 'tmp'), { recursive: true });
  await writeFile(path, 'half a');
  await utimes(path, then, then);
  return { orphan, young, unfinished };
}

describeServer('mediagraph verify beside a server', (server) => {
  it(
    'reports what differs, changes nothing, and mends it with --repair, also twice at once',
    async () => {
      const cdn = await new CdnEmulator().start();
      const kirim = await new KirimEmulator({ token: SECRETS.kirimToken, cdn }).start();
      emulators.push(cdn, kirim);
      cdn.put('photo.jpg', samples.photo);
      folder = await ServerFolder.make({
        config: { channels: [metaChannel(meta), kirimChannel(kirim.baseUrl)] },
        databaseUrl: server.url(),
      });
      const { client } = await folder.serve();
      const photos = [await received(client, 1), await received(client, 2), await received(client, 3)] as const;
      const [missing, shorter, other] = photos;
      const mutations = new Mutations(client);
      const url = cdn.publicUrl('photo.jpg');
      const upload = await mutations.uploaded({ channelId: CHANNELS.kirim, url });
      const shared = await mutations.uploaded({ channelId: META, url });
      expect(await verified('--digests')).toEqual({ status: 0, findings: [], stderr: '' });

      await rm(await originalOf(missing.media));
      await truncate(await originalOf(shorter.media), 10);
      await writeFile(await originalOf(other.media), Buffer.alloc(other.bytes.length, 'other'));
      for (const { id } of [upload, shared]) await rm(await originalOf(id));
      const { orphan, young, unfinished } = await leaveBehind();
      const before = await filesBelow(folder.blobs);

      const seen = [
        `missing ${missing.media}`,
        `size ${shorter.media}`,
        `missing ${upload.id}`,
        `missing ${shared.id}`,
        `orphan ${orphan}`,
        `unfinished ${unfinished}`,
      ].map((finding) => `${finding} none`);
      const found = await verified();
      expect([found.status, found.stderr, briefly(found)]).toEqual([1, '', seen.toSorted()]);
      expect(found.findings.find(({ id }) => id === missing.media)).toMatchObject({
        channelId: META,
        key: expect.any(String),
      });
      expect(briefly(await verified('--digests'))).toEqual([...seen, `digest ${other.media} none`].toSorted());
      expect(briefly(await verified('--channel', CHANNELS.kirim))).toEqual([`missing ${upload.id} none`]);
      expect(await verified('--channel', 'elsewhere')).toMatchObject({ status: 0, findings: [] });
      expect(await filesBelow(folder.blobs)).toEqual(before);
      for (const { id } of photos) expect(await client.statuses(id)).toEqual(['READY']);

      const [one, another] = await Promise.all([verified('--repair', '--digests'), verified('--repair', '--digests')]);
      const mended = new Set([...briefly(one), ...briefly(another)]);
      expect([...mended]).toEqual(
        expect.arrayContaining([
          ...photos.map(({ media }) => expect.stringMatching(new RegExp(`^(missing|size|digest) ${media} copied$`))),
          `missing ${upload.id} failed`,
          `missing ${shared.id} copied`,
          `orphan ${orphan} removed`,
          `unfinished ${unfinished} removed`,
        ]),
      );
      // Lost bytes are no success.
      expect([one.status, another.status].toSorted()).toEqual([0, 1]);
      for (const { id, bytes } of photos) {
        const { url } = await client.becomes('READY', id);
        const got = await client.get(url);
        expect([got.status, got.bytes.equals(bytes)]).toEqual([200, true]);
      }
      await until(
        'the upload to come back from its provider',
        async () => (await mutations.media(shared.id))?.status === 'READY',
      );
      expect((await client.get((await mutations.media(shared.id))?.url ?? '')).bytes.equals(samples.photo.bytes)).toBe(
        true,
      );
      const failed = await mutations.ask(
        'query($id: ID!) { media(id: $id) { status sizeBytes failure { code retryable } } }',
        {
          id: upload.id,
        },
      );
      expect(failed.data).toEqual({
        media: { status: 'FAILED', sizeBytes: null, failure: { code: 'MEDIA_GONE', retryable: false } },
      });
      expect(await verified('--repair', '--digests')).toEqual({ status: 0, findings: [], stderr: '' });
      // A blob of now may get a row soon.
      expect(await originalOf(young)).toContain(young);
    },
    TEST_MS,
  );
});

describe('mediagraph verify on the embedded database', () => {
  it(
    'compares a bucket once the server has stopped, and the next start copies what was lost',
    async () => {
      const s3 = await S3TestServer.start();
      emulators.push(s3);
      folder = await ServerFolder.make({
        config: { channels: [metaChannel(meta)], storage: { driver: 's3', s3: s3.options } },
      });
      const { client, command } = await folder.serve();
      const photo = await received(client, 1);
      const beside = await verified();
      expect([beside.status, beside.stderr]).toEqual([
        1,
        expect.stringMatching(/^mediagraph failed: .*only one process/),
      ]);
      command.kill('SIGTERM');
      expect(await command.ended).toBe(0);
      expect(await verified('--digests', '--grace', '0s')).toEqual({
        status: 0,
        findings: [],
        stderr: expect.any(String),
      });

      const store = new S3BlobStore(s3.options);
      for await (const { key } of store.keys('media/')) await store.delete(key);
      await store.close();
      expect(briefly(await verified())).toEqual([`missing ${photo.media} none`]);
      const repaired = await verified('--repair');
      expect([repaired.status, briefly(repaired)]).toEqual([0, [`missing ${photo.media} copied`]]);
      const again = (await folder.serve()).client;
      const { url } = await again.becomes('READY', photo.id);
      expect((await again.get(url)).bytes.equals(photo.bytes)).toBe(true);
    },
    TEST_MS,
  );

  it(
    'takes no database that is absent for one that names no blob, and refuses faulty arguments with status 2',
    async () => {
      folder = await ServerFolder.make({ config: { channels: [], database: { url: 'pglite:/nonexistent/catalog' } } });
      const { orphan } = await leaveBehind();
      const absent = await verified('--repair', '--grace', '0s');
      expect([absent.status, absent.findings, absent.stderr]).toEqual([
        1,
        [],
        expect.stringMatching(/^mediagraph failed: expected the folder of database.url to contain a database/),
      ]);
      expect(await originalOf(orphan)).toContain(orphan);
      for (const args of [['--channel', 'No Channel'], ['--grace', 'soon'], ['--repairs']])
        expect(await verified(...args)).toMatchObject({ status: 2, findings: [] });
    },
    TEST_MS,
  );
});
