/**
 * `kill -9` during uploads and deletions. `TEST_LONG=1` runs a hundred rounds in place of one; `TEST_SEED` repeats the
 * moments of a run whose seed stands in the names of its tests.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { mediaBlobKey } from '../../src/storage/blob-store.js';
import { Chance } from '../support/chance.js';
import { describeServer, EMBEDDED_TOO } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, metaChannel, metaEmulator } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { ServerFolder, type ServerProcess } from '../support/server-folder.js';
import { kirimChannel, sole } from '../support/test-bed.js';

const ROUNDS = process.env.TEST_LONG === '1' ? 100 : 1;
const SEED = process.env.TEST_SEED ?? randomBytes(4).toString('hex');

/** A process that compiles its own sources takes seconds to start on a busy machine. */
const START_MS = 60_000;
const CALLERS = 4;
const ANSWERED_BEFORE_KILL = 20;
const LONGEST_PAUSE_MS = 150;
/** Uploads to Meta are handed over, those to Kirim are kept here alone. */
const CHANNELS = [META, 'wa'];

let meta: WhatsAppEmulator;
let source: RawServer;
let answer: (response: ServerResponse) => void;
const folders: ServerFolder[] = [];

const gives = (response: ServerResponse) => void response.end(samples.photo.bytes);
/** Half of a photo, and then nothing more. */
const holds = (response: ServerResponse) => void response.write(samples.photo.bytes.subarray(0, 10_000));

beforeAll(async () => {
  source = await RawServer.start((_request, response) => answer(response));
}, START_MS);
afterAll(() => source.close());
beforeEach(async () => {
  meta = await metaEmulator().start();
  source.requests.length = 0;
  answer = gives;
});
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => folder.close()));
  await meta.close();
});

async function makeFolder(databaseUrl?: string, more: Readonly<Record<string, unknown>> = {}): Promise<ServerFolder> {
  const channels = [metaChannel(meta), kirimChannel('http://127.0.0.1:9')];
  const folder = await ServerFolder.make({ databaseUrl, config: { channels, ...more } });
  folders.push(folder);
  return folder;
}

/** One upload by a caller, and its answer. */
interface UploadCall {
  readonly key: string;
  readonly channelId: string;
  /** The id of the media; null: the upload was not answered. */
  id: string | null;
  deletion: 'none' | 'requested' | 'acknowledged';
}

/** Callers who upload, repeat unanswered calls, and delete some of the media again. */
class Callers {
  readonly calls: UploadCall[] = [];
  answered = 0;

  constructor(private readonly chance: Chance) {}

  /** Continues until the server is gone. @throws Error when it answers with an error */
  async flow({ client }: ServerProcess): Promise<void> {
    const user = new Mutations(client);
    for (;;) {
      const answered = await this.#ask(user).catch((thrown: unknown) => {
        if (isRefusal(thrown)) throw thrown;
        return false;
      });
      if (!answered) return;
      this.answered += 1;
    }
  }

  /** What is still without an answer. */
  async finish({ client }: ServerProcess): Promise<void> {
    const user = new Mutations(client);
    for (const one of this.calls) if (one.id === null) await this.#upload(user, one);
  }

  async #ask(user: Mutations): Promise<boolean> {
    const some = this.calls[this.chance.below(this.calls.length * 3)];
    if (some?.id != null && some.deletion !== 'acknowledged') await this.#delete(user, some, some.id);
    else if (some && some.deletion === 'none') await this.#upload(user, some);
    else await this.#upload(user, this.#fresh());
    return true;
  }

  #fresh(): UploadCall {
    const channelId = CHANNELS[this.chance.below(CHANNELS.length)] ?? META;
    const fresh: UploadCall = { key: `upload ${this.calls.length}`, channelId, id: null, deletion: 'none' };
    this.calls.push(fresh);
    return fresh;
  }

  async #upload(user: Mutations, call: UploadCall): Promise<void> {
    const { key: idempotencyKey, channelId } = call;
    const { id } = await user.uploaded({ channelId, url: `${source.url}/photo.jpg`, idempotencyKey });
    if (call.id !== null && call.id !== id) throw new Error(`expected the same media for ${idempotencyKey}`);
    call.id = id;
  }

  async #delete(user: Mutations, call: UploadCall, id: string): Promise<void> {
    call.deletion = 'requested';
    await user.deleted(id);
    call.deletion = 'acknowledged';
  }
}

/** The answer was an error; else the connection broke. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message.startsWith('expected ');
}

/** One process: it uploads and deletes, until it is killed at a random moment. */
async function killedRound(folder: ServerFolder, callers: Callers, chance: Chance): Promise<void> {
  const target = callers.answered + chance.below(ANSWERED_BEFORE_KILL);
  const pauseMs = chance.below(LONGEST_PAUSE_MS);
  const server = await folder.serve();
  const flows = Promise.all(Array.from({ length: CALLERS }, () => callers.flow(server)));
  await Promise.race([flows, until('answers', () => callers.answered >= target)]);
  await sleep(pauseMs);
  server.command.kill('SIGKILL');
  expect(await server.command.ended).toBe('SIGKILL');
  await flows;
}

/** Looks into the database of a folder whose servers are gone. */
async function within<Found>(
  { databaseUrl }: ServerFolder,
  look: (database: Database) => Promise<Found>,
): Promise<Found> {
  const database = await openDatabase({ url: databaseUrl });
  try {
    return await look(database);
  } finally {
    await database.close();
  }
}

/** Makes files that a crash left old enough to be removed. */
function letAMinutePass(folder: ServerFolder): Promise<unknown> {
  return within(folder, ({ kysely }) =>
    sql`update jobs set lease_until = lease_until - interval '2 minutes', due_at = due_at - interval '2 minutes'`.execute(
      kysely,
    ),
  );
}

function killedAtRandom(databaseUrl: () => string | undefined): void {
  it(
    `leaves nothing half-done after the next start and a sweep (${ROUNDS} rounds, seed ${SEED})`,
    async () => {
      // So that calls are under way at the moment of the kill.
      meta.latencyMs = 20;
      answer = (response) => void setTimeout(() => gives(response), 20);
      const folder = await makeFolder(databaseUrl());
      const chance = new Chance(SEED);
      const callers = new Callers(chance);
      for (let round = 0; round < ROUNDS; round++) await killedRound(folder, callers, chance);

      const server = await folder.serve();
      await callers.finish(server);
      server.command.kill('SIGTERM');
      expect(await server.command.ended).toBe(0);
      await letAMinutePass(folder);
      await folder.answerOf(['sweep', '--grace', '0s']);
      await expectWhole(folder, callers);
    },
    START_MS + ROUNDS * START_MS,
  );
}

async function expectWhole(folder: ServerFolder, { calls }: Callers): Promise<void> {
  const { rows, jobs } = await within(folder, async ({ kysely }) => ({
    rows: await kysely.selectFrom('media').select(['id', 'status', 'provider_media_id', 'stored_at']).execute(),
    jobs: await kysely.selectFrom('jobs').selectAll().where('kind', '<>', 'sweep').execute(),
  }));
  const byId = new Map(rows.map((row) => [row.id, row]));
  expect([jobs, rows.filter((row) => row.status === 'PENDING')]).toEqual([[], []]);
  const atMeta = new Set(meta.media.map(({ id }) => id));
  for (const { key, id, channelId, deletion } of calls) {
    const row = byId.get(id ?? '');
    const allowed = { none: ['READY'], requested: ['READY', 'DELETED'], acknowledged: ['DELETED'] }[deletion];
    expect([key, allowed.includes(row?.status ?? 'none')]).toEqual([key, true]);
    if (row?.status === 'READY') expect([key, row.stored_at !== null]).toEqual([key, true]);
    if (channelId !== META) continue;
    const isThere = atMeta.has(row?.provider_media_id ?? '');
    expect([key, isThere]).toEqual([key, row?.status === 'READY']);
  }
  const stored = rows.filter((row) => row.stored_at !== null);
  expect(stored.filter(({ status }) => status !== 'READY')).toEqual([]);
  const files = await filesBelow(`${folder.blobs}/media`);
  const expected = stored.map(({ id }) => `${folder.blobs}/${mediaBlobKey('default', id)}`);
  // Each is of one attempt.
  const media = files.map((file) => file.replace(/\.[0-9a-f-]{36}\.original$/, '.original'));
  expect(media.sort()).toEqual(expected.sort());
  expect(calls.length).toBeGreaterThan(0);
}

const SLOW = { upload: { respondWithin: '100ms' } };

/** An upload that is under way, its source silent. */
async function beginUpload({ client }: ServerProcess): Promise<string> {
  answer = holds;
  const { id, status } = await new Mutations(client).uploaded({
    channelId: META,
    url: `${source.url}/photo.jpg`,
    idempotencyKey: 'begun',
  });
  expect(status).toBe('PENDING');
  await until('the source to be asked', () => source.requests.length === 1);
  answer = gives;
  return id;
}

const becomesReady = ({ client }: ServerProcess, id: string, withinMs?: number) =>
  until('the upload to be READY', async () => (await new Mutations(client).media(id))?.status === 'READY', withinMs);

describe('a process that is killed, embedded', () => {
  if (EMBEDDED_TOO) killedAtRandom(() => undefined);

  it(
    'has its upload taken over within 5 s after the next start; its key names the same media',
    async () => {
      const folder = await makeFolder(undefined, SLOW);
      const first = await folder.serve();
      const id = await beginUpload(first);
      first.command.kill('SIGKILL');
      await first.command.ended;
      const next = await folder.serve();
      await becomesReady(next, id, 5_000);
      expect([source.requests.length, sole(meta.media).bytes.equals(samples.photo.bytes)]).toEqual([2, true]);
      const again = { channelId: META, url: `${source.url}/photo.jpg`, idempotencyKey: 'begun' };
      expect(await new Mutations(next.client).uploaded(again)).toMatchObject({ id, status: 'READY' });
    },
    3 * START_MS,
  );
});

describe('a process that is ended by SIGTERM, embedded', () => {
  it(
    'releases its uploads without counting the attempt, and the next process finishes them',
    async () => {
      const folder = await makeFolder(undefined, SLOW);
      const first = await folder.serve();
      const id = await beginUpload(first);
      first.command.kill('SIGTERM');
      expect(await first.command.ended).toBe(0);
      const jobs = await within(folder, ({ kysely }) =>
        kysely.selectFrom('jobs').selectAll().where('kind', '=', 'upload').execute(),
      );
      expect(jobs).toMatchObject([{ key: id, lease_owner: null, lease_until: null, attempts: 0 }]);
      expect(await filesBelow(folder.blobs)).toEqual([]);
      await becomesReady(await folder.serve(), id);
      expect(meta.media).toHaveLength(1);
    },
    3 * START_MS,
  );
});

describeServer('a process that is killed', (server) => killedAtRandom(() => server.url()));

describeServer('a process that ends beside another', (server) => {
  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'by %s has its upload taken over within 30 s',
    async (signal) => {
      const folder = await makeFolder(server.url(), SLOW);
      const dying = await folder.serve();
      const survivor = await folder.serve();
      const id = await beginUpload(dying);
      dying.command.kill(signal);
      await dying.command.ended;
      await becomesReady(survivor, id, 30_000);
      expect([source.requests.length, meta.media.length]).toEqual([2, 1]);
      source.requests.length = 0;
      await server.query('truncate media, uploads, upload_keys');
    },
    3 * START_MS,
  );
});
