/** A program that decodes a video ends after the video was deleted. */
import { access, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { borrowDatabase, giveBack } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { encodersOfFfmpeg } from '../support/installed-tools.js';
import { META, metaChannel, metaEmulator } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { OwnServer } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';

const TEST_MS = 120_000;
const withFfmpeg = (await encodersOfFfmpeg()).size > 0 ? it : it.skip;

let folder: string;
let meta: WhatsAppEmulator;
let source: RawServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-late-'));
  meta = await metaEmulator().start();
  source = await RawServer.start((_request, response) =>
    response.setHeader('content-type', 'video/mp4').end(samples.video.bytes),
  );
});
afterEach(async () => {
  await Promise.all([meta.close(), source.close()]);
  await rm(folder, { recursive: true });
});

const isThere = (name: string) =>
  access(join(folder, name)).then(
    () => true,
    () => false,
  );

/** An ffmpeg that says when it begins, and waits until it may go on. */
async function patientFfmpeg(): Promise<void> {
  const script = [
    '#!/bin/sh',
    `PATH='${process.env.PATH}'`,
    'case "$1" in -version) exit 0;; esac',
    `touch '${join(folder, 'begun')}'`,
    `while [ ! -e '${join(folder, 'may-go-on')}' ]; do sleep 0.05; done`,
    'exec ffmpeg "$@"',
  ];
  await writeFile(join(folder, 'ffmpeg'), `${script.join('\n')}\n`);
  await chmod(join(folder, 'ffmpeg'), 0o755);
}

describe('the still of a video that is deleted while it is made', () => {
  withFfmpeg.each([
    ['before its upload was READY', false],
    ['after its upload was READY', true],
  ])(
    'is not kept where the deletion came %s',
    async (_when, isReadyFirst) => {
      await patientFfmpeg();
      const database = await borrowDatabase();
      const config = { channels: [metaChannel(meta)], upload: { respondWithin: '50ms' } };
      const server = await OwnServer.start({ config, database, toolsPath: folder });
      try {
        const user = new Mutations(server.client);
        const upload = () => user.uploaded({ channelId: META, url: `${source.url}/video.mp4` });
        const isReady = async (id: string) => (await user.media(id))?.status === 'READY';
        const media = await upload();
        await until('the video to be decoded', () => isThere('begun'));
        if (isReadyFirst) await until('the upload to be READY', () => isReady(media.id));
        expect(await user.deleted(media.id)).toMatchObject({ media: { status: 'DELETED' } });
        if (!isReadyFirst) await until('the upload to end', () => server.logged('an upload failed') > 0);
        expect(await filesBelow(server.blobs)).toEqual([]);
        await writeFile(join(folder, 'may-go-on'), '');
        // A second video has its original and its still when those of the first would be there as well.
        const next = await upload();
        await until('the next upload to be READY', () => isReady(next.id));
        const filesOfNext = async () => (await filesBelow(server.blobs)).map((file) => file.includes(next.id));
        await until('its still to be kept', async () => (await filesOfNext()).filter(Boolean).length === 2);
        await until('no other file to be left', async () => !(await filesOfNext()).includes(false));
      } finally {
        await server.close();
        await giveBack(database);
      }
    },
    TEST_MS,
  );
});
