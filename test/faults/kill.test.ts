/**
 * `kill -9` at random moments. `TEST_LONG=1` runs a hundred rounds in place of one; `TEST_SEED` repeats the moments of
 * a run whose seed stands in the names of its tests.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { openDatabase } from '../../src/database/database.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { mediaBlobKey } from '../../src/storage/blob-store.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { Chance } from '../support/chance.js';
import type { Client } from '../support/client.js';
import { describeServer, EMBEDDED_TOO } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { ServerFolder, type ServerFolderOptions, type ServerProcess } from '../support/server-folder.js';
import { sole } from '../support/test-bed.js';

const ROUNDS = process.env.TEST_LONG === '1' ? 100 : 1;
const SEED = process.env.TEST_SEED ?? randomBytes(4).toString('hex');

/** A process that compiles its own sources takes seconds to start on a busy machine. */
const START_MS = 60_000;
const SENDERS = 4;
const ACKNOWLEDGED_BEFORE_KILL = 30;
const LONGEST_PAUSE_MS = 150;

interface SentPhoto {
  readonly photo: MetaPhoto;
  acknowledged: boolean;
}

/** What a provider does: announces, and repeats what was not acknowledged, some of it all the same. */
class Stream {
  readonly sent: SentPhoto[] = [];

  constructor(
    private readonly meta: WhatsAppEmulator,
    private readonly chance: Chance,
  ) {}

  get acknowledged(): number {
    return this.sent.filter(({ acknowledged }) => acknowledged).length;
  }

  get ids(): string[] {
    return this.sent.map(({ photo }) => photo.id);
  }

  /** Sends until the server is gone. @throws Error when it is there and does not acknowledge */
  async flow(client: Client): Promise<void> {
    for (;;) {
      const next = this.#next();
      const answer = await client.deliver(META, next.photo.delivery).catch(() => null);
      if (answer === null) return;
      if (answer.status !== 200) throw new Error(`expected a webhook to be acknowledged, got ${answer.status}`);
      next.acknowledged = true;
    }
  }

  /** What is still not acknowledged. */
  async finish(client: Client): Promise<void> {
    for (const one of this.sent.filter(({ acknowledged }) => !acknowledged)) {
      expect((await client.deliver(META, one.photo.delivery)).status).toBe(200);
      one.acknowledged = true;
    }
  }

  #next(): SentPhoto {
    const earlier = this.sent[this.chance.below(this.sent.length * 5)];
    if (earlier) return earlier;
    const padding = Buffer.alloc(this.chance.below(200_000), 'padding');
    const fresh = { photo: receivePhoto(this.meta, this.sent.length, { padding }), acknowledged: false };
    this.sent.push(fresh);
    return fresh;
  }
}

/** One process: it accepts webhooks and copies media, until it is killed at a random moment. */
async function killedRound(folder: ServerFolder, stream: Stream, chance: Chance): Promise<void> {
  const target = stream.acknowledged + chance.below(ACKNOWLEDGED_BEFORE_KILL);
  const pauseMs = chance.below(LONGEST_PAUSE_MS);
  const { command, client } = await folder.serve();
  const flows = Promise.all(Array.from({ length: SENDERS }, () => stream.flow(client)));
  await Promise.race([flows, until('webhooks to be acknowledged', () => stream.acknowledged >= target)]);
  await sleep(pauseMs);
  command.kill('SIGKILL');
  expect(await command.ended).toBe('SIGKILL');
  await flows;
}

async function expectAllReady(client: Client, { ids, sent }: Stream): Promise<void> {
  await until('every announced media to be READY', async () => {
    const media = await client.media(ids);
    return media.every((ofMessage) => ofMessage.length > 0 && ofMessage.every(({ status }) => status === 'READY'));
  });
  const media = await client.media(ids);
  for (const [index, { photo }] of sent.entries()) {
    const { bytes, status } = await client.get(sole(media[index]).url);
    expect([photo.id, status, bytes.equals(photo.bytes)]).toEqual([photo.id, 200, true]);
  }
}

/** What a dead process had taken waits until its lease has ended, also where its media are READY by another event. */
async function expectInboxDone(client: Client): Promise<void> {
  await until('the inbox to be worked off', async () => {
    const { bytes } = await client.get('/metrics');
    return /^mediagraph_webhook_events{state="due"} 0$/m.test(bytes.toString());
  });
}

/** A blob as a process leaves it that dies between the bytes and their row. */
async function leaveOrphan({ blobs }: ServerFolder): Promise<void> {
  const store = await FsBlobStore.open({ root: blobs });
  const message = { channelId: META, providerMessageId: 'wamid.NOBODY', providerMediaId: null };
  await store.put(mediaBlobKey('default', encodeMediaId(message)), Readable.from([Buffer.from('bytes of nobody')]), {});
  await store.close();
}

/** The content of the catalogue once no process works on it. */
async function countsOf({ databaseUrl }: ServerFolder) {
  const database = await openDatabase({ url: databaseUrl });
  try {
    return {
      media: await new SqlMediaCatalogue(database).counts(),
      inbox: await new SqlWebhookInbox(database).counts(),
    };
  } finally {
    await database.close();
  }
}

const emulators: WhatsAppEmulator[] = [];
const folders: ServerFolder[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => folder.close()));
  await Promise.all(emulators.splice(0).map((emulator) => emulator.close()));
});

async function startMeta(): Promise<WhatsAppEmulator> {
  const meta = metaEmulator();
  emulators.push(meta);
  return meta.start();
}

async function makeFolder(options: ServerFolderOptions): Promise<ServerFolder> {
  const folder = await ServerFolder.make(options);
  folders.push(folder);
  return folder;
}

function killedAtRandom(databaseUrl: () => string | undefined): void {
  it(
    `loses nothing that it acknowledged, doubles nothing, and leaves nothing behind (${ROUNDS} rounds, seed ${SEED})`,
    async () => {
      const meta = await startMeta();
      // So that copies are under way at the moment of the kill.
      meta.lookaside.latencyMs = 40;
      const folder = await makeFolder({ config: { channels: [metaChannel(meta)] }, databaseUrl: databaseUrl() });
      const chance = new Chance(SEED);
      const stream = new Stream(meta, chance);
      for (let round = 0; round < ROUNDS; round++) await killedRound(folder, stream, chance);

      const { command, client } = await folder.serve();
      await stream.finish(client);
      await expectAllReady(client, stream);
      await expectInboxDone(client);
      command.kill('SIGTERM');
      expect(await command.ended).toBe(0);

      await leaveOrphan(folder);
      const { length: count } = stream.sent;
      expect(count).toBeGreaterThan(0);
      expect(await folder.answerOf(['sweep', '--grace', '0s'])).toMatchObject({ dryRun: false, orphans: 1 });
      expect(await folder.answerOf(['sweep', '--grace', '0s', '--dry-run'])).toMatchObject({
        dryRun: true,
        orphans: 0,
      });
      expect(await filesBelow(`${folder.blobs}/media`)).toHaveLength(count);
      expect(await countsOf(folder)).toEqual({
        media: { mediaByStatus: { PENDING: 0, READY: count, FAILED: 0, DELETED: 0, EXPIRED: 0 }, mirrorsDue: 0 },
        inbox: { due: 0, dead: 0, oldestDueAt: null },
      });
    },
    START_MS + ROUNDS * START_MS,
  );
}

interface DeadProcess {
  readonly meta: WhatsAppEmulator;
  readonly folder: ServerFolder;
  readonly ids: readonly string[];
  /** The one that lives on, if there is one. */
  readonly survivor: ServerProcess | null;
}

/** A process that is killed in the middle of a copy, and as soon as it has acknowledged another webhook. */
async function dieAtWork(databaseUrl?: string): Promise<DeadProcess> {
  const meta = await startMeta();
  // The copy is under way until the process dies, however long that takes.
  const config = { channels: [metaChannel(meta)], providers: { 'whatsapp-cloud': { timeout: '120s' } } };
  const folder = await makeFolder({ config, databaseUrl });
  const [copied, announced] = [receivePhoto(meta, 1), receivePhoto(meta, 2)];
  meta.lookaside.faults.push({ match: new RegExp(`mid=${copied.mediaId}&`), fault: { kind: 'hang' }, times: 1 });
  const { command, client } = await folder.serve();
  expect((await client.deliver(META, copied.delivery)).status).toBe(200);
  await until('the copy to be under way', () => meta.lookaside.requestCount === 1);
  const survivor = databaseUrl === undefined ? null : await folder.serve();
  expect(await client.statuses(copied.id)).toEqual(['PENDING']);
  expect((await client.deliver(META, announced.delivery)).status).toBe(200);
  command.kill('SIGKILL');
  await command.ended;
  return { meta, folder, ids: [copied.id, announced.id], survivor };
}

async function expectTakenOver(client: Client, { ids }: DeadProcess, withinMs: number): Promise<void> {
  await Promise.all(ids.map((id) => client.becomes('READY', id, withinMs)));
}

describe('a process that is killed, embedded', () => {
  if (EMBEDDED_TOO) killedAtRandom(() => undefined);

  it(
    'has its jobs taken over within 5 s after the next start, since only one process can be open',
    async () => {
      const dead = await dieAtWork();
      const { client } = await dead.folder.serve();
      await expectTakenOver(client, dead, 5_000);
    },
    3 * START_MS,
  );
});

describeServer('a process that is killed', (server) => killedAtRandom(() => server.url()));

describeServer('a process that is killed beside another', (server) => {
  it(
    'has its jobs taken over within 30 s by a living one',
    async () => {
      const dead = await dieAtWork(server.url());
      if (!dead.survivor) throw new Error('expected a second process');
      await expectTakenOver(dead.survivor.client, dead, 30_000);
    },
    3 * START_MS,
  );
});
