import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import type { Fault, FaultRule } from '../../demo/src/emulators/faults.js';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import type { MediaName } from '../../src/catalogue/media/catalogued-media.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import type { Database } from '../../src/database/database.js';
import { LEASE_MS } from '../../src/jobs/job.js';
import { createUploadId } from '../../src/model/ids.js';
import { OPEN_TIMEOUT_MS } from '../support/databases.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { endOf, retried } from '../support/failures.js';
import { filesBelow } from '../support/files-below.js';
import { Gate } from '../support/gate.js';
import { jobStoreOf } from '../support/jobs.js';
import { META, metaChannel } from '../support/meta.js';
import { codesOf, Mutations } from '../support/mutations.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { CHANNELS, errorOf, type MediaData, nth, sole } from '../support/test-bed.js';
import { CHAKRA, GATEWAY, GUPSHUP, requestsOf, UploadProviders } from '../support/upload-providers.js';
import { createdBy, reservation } from '../support/uploads.js';

const SOURCE_PATH = '/photos/beach.jpg';
const IMPATIENT = { upload: { respondWithin: '50ms' } };

const startServer = useOwnServers();
let database: Database;
let providers: UploadProviders;
let source: RawServer;
let answer: (response: ServerResponse) => void;

beforeAll(async () => {
  database = await openEmbeddedDatabase();
  source = await RawServer.start((_request, response) => answer(response));
}, OPEN_TIMEOUT_MS);
afterAll(() => Promise.all([database.close(), source.close()]));
beforeEach(async () => {
  providers = await UploadProviders.start();
  source.requests.length = 0;
  gives(samples.photo);
});
const doors: Array<{ close(): Promise<void> }> = [];
afterEach(() => Promise.all([providers, ...doors.splice(0)].map((one) => one.close())));

function gives({ bytes, mimeType }: Pick<MediaSample, 'bytes' | 'mimeType'>): void {
  answer = (response) => response.setHeader('content-type', mimeType).end(bytes);
}

async function start(config: Readonly<Record<string, unknown>> = {}): Promise<{ server: OwnServer; user: Mutations }> {
  const server = await startServer({ config: { channels: providers.channels(), ...config }, database });
  return { server, user: new Mutations(server.client) };
}

const from = (channelId: string, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => ({
  channelId,
  url: source.url + SOURCE_PATH,
  ...more,
});

let messages = 0;
/** A message of its own for each test, so that its media can be found in any state. */
function newMessage(channelId: string): string {
  messages += 1;
  return `${channelId}:wamid.UPLOAD${messages}`;
}

async function mediaOfMessage({ client }: OwnServer, id: string): Promise<MediaData> {
  return sole(sole(await client.media([id])));
}

interface AtProvider {
  readonly name: string;
  readonly bytes: Buffer;
  readonly mimeType: string;
}

/** What a provider that takes uploads has, by what a send call takes. */
function heldBy(channelId: string): AtProvider[] {
  const { meta, chakra, gupshup } = providers;
  if (channelId === META) return meta.media.map(({ id, ...media }) => ({ name: id, ...media }));
  if (channelId === CHAKRA) return chakra.publicMedia.map(({ url, ...media }) => ({ name: url, ...media }));
  return gupshup.uploads.map(({ id, bytes, fileType }) => ({ name: id, bytes, mimeType: fileType }));
}

function emulatorOf(channelId: string): EmulatorServer {
  const { meta, chakra, gupshup } = providers;
  return channelId === META ? meta : channelId === CHAKRA ? chakra : gupshup;
}

describe('what a channel accepts', () => {
  const CAPABILITIES = `{ mediaChannels { id capabilities {
    listsMedia upload deletesAtProvider maxUploadBytes uploadMimeTypes } } }`;
  interface Capabilities {
    readonly upload: string;
    readonly deletesAtProvider: boolean;
    readonly maxUploadBytes: number;
    readonly uploadMimeTypes: readonly string[];
  }
  interface Channels {
    readonly mediaChannels: ReadonlyArray<{ readonly id: string; readonly capabilities: Capabilities }>;
  }

  async function capabilities(config: Readonly<Record<string, unknown>>): Promise<Map<string, Capabilities>> {
    const { user } = await start(config);
    const { data } = await user.ask<Channels>(CAPABILITIES);
    return new Map(data?.mediaChannels.map((channel) => [channel.id, channel.capabilities]));
  }

  it('is available before an upload', async () => {
    const declared = await capabilities({ upload: { maxBytes: '200MB' } });
    const none = { upload: 'NONE', uploadMimeTypes: [], maxUploadBytes: 200_000_000 };
    expect(declared.get(CHANNELS.kirim)).toMatchObject({ ...none, deletesAtProvider: false });
    expect(declared.get(CHANNELS.signalwire)).toMatchObject({ ...none, deletesAtProvider: true });
    expect(declared.get(CHANNELS.twilio)).toMatchObject({ ...none, deletesAtProvider: true });
    expect(declared.get(GATEWAY)).toMatchObject({ ...none, deletesAtProvider: false });
    // The largest that any type may be; the server's own limit where that is smaller.
    const whatsapp = { maxUploadBytes: 100_000_000 };
    expect(declared.get(META)).toMatchObject({ ...whatsapp, upload: 'BYTES', deletesAtProvider: true });
    expect(declared.get(CHAKRA)).toMatchObject({ ...whatsapp, upload: 'BYTES', deletesAtProvider: false });
    expect(declared.get(GUPSHUP)).toMatchObject({ ...whatsapp, upload: 'URL', deletesAtProvider: true });
    const types = declared.get(META)?.uploadMimeTypes ?? [];
    expect(types).toEqual(expect.arrayContaining(['image/jpeg', 'audio/ogg', 'application/pdf', 'video/mp4']));
    expect(types.filter((type) => /;|gif|html|svg/.test(type))).toEqual([]);
    expect(declared.get(CHAKRA)?.uploadMimeTypes).toEqual(types);
    expect(declared.get(GUPSHUP)?.uploadMimeTypes).toEqual([...types, 'audio/opus']);
  });

  it('is never more than the server accepts, and depends on the configuration', async () => {
    const channels = providers
      .channels()
      .map((channel) => (channel.id === CHAKRA ? { ...channel, options: {} } : channel));
    const declared = await capabilities({ upload: { maxBytes: '3MB' }, channels });
    for (const { maxUploadBytes } of declared.values()) expect(maxUploadBytes).toBe(3_000_000);
    expect(declared.get(CHAKRA)).toMatchObject({ upload: 'NONE', uploadMimeTypes: [] });
  });
});

describe('an upload to a provider that accepts bytes', () => {
  const cases = [META, CHAKRA].flatMap((channelId) =>
    (['photo', 'voiceNote', 'document'] as const).map((name) => [channelId, name] as const),
  );
  it.each(cases)(
    '%s: a %s arrives whole, with a clean type, and has the ids of the answer',
    async (channelId, name) => {
      const { server, user } = await start();
      gives(samples[name]);
      const media = await user.uploaded(from(channelId, { filename: `my ${name}`, messageId: newMessage(channelId) }));
      const [essence] = samples[name].mimeType.split(';');
      const held = sole(heldBy(channelId));
      expect(media).toMatchObject({ status: 'READY', providerMediaId: held.name, sizeBytes: held.bytes.length });
      expect(held.bytes.equals(samples[name].bytes)).toBe(true);
      // "audio/ogg; codecs=opus" is refused by the provider.
      expect(held.mimeType).toBe(essence);
      expect(emulatorOf(channelId).requestCount).toBe(1);
      const got = await server.client.get(media.url);
      expect([got.status, got.bytes.equals(samples[name].bytes)]).toEqual([200, true]);
    },
  );

  it('is made once for twenty calls with one key, and the same call after a restart returns the same media', async () => {
    const { server, user } = await start();
    const input = from(META, { idempotencyKey: `a key of ${newMessage(META)}` });
    const answers = await Promise.all(Array.from({ length: 20 }, () => user.upload(input)));
    const ids = answers.map(({ data }) => data?.uploadMediaFromUrl?.media.providerMediaId);
    expect(new Set(ids)).toEqual(new Set([sole(heldBy(META)).name]));
    expect([source.requests.length, providers.meta.requestCount]).toEqual([1, 1]);
    const first = nth(answers, 0).data?.uploadMediaFromUrl?.media;
    await server.close();

    const { user: later } = await start();
    const { data } = await later.upload(input);
    expect(data?.uploadMediaFromUrl).toMatchObject({ replayed: true, media: { id: first?.id, status: 'READY' } });
    expect(codesOf(await later.upload({ ...input, mimeType: 'image/jpeg' }))).toEqual(['IDEMPOTENCY_CONFLICT']);
    expect([source.requests.length, providers.meta.requestCount]).toEqual([1, 1]);
  });

  it('is PENDING while a slow provider receives it, and READY or FAILED afterwards', async () => {
    const { user, gate } = await startBehindGate();
    const slow = await user.uploaded(from(META));
    expect(slow).toMatchObject({ status: 'PENDING', url: null, providerMediaId: null });
    gate.open();
    await until('the upload to end', async () => (await user.media(slow.id))?.status === 'READY');
    expect(await user.media(slow.id)).toMatchObject({ providerMediaId: sole(heldBy(META)).name });

    providers.meta.faults.push({ match: /media/, fault: { kind: 'status', status: 413 } });
    const release = holdSource();
    const failing = await user.uploaded(from(META));
    expect(failing.status).toBe('PENDING');
    release();
    await until('the upload to fail', async () => (await user.media(failing.id))?.status === 'FAILED');
    expect(await user.media(failing.id)).toMatchObject({ url: null, providerMediaId: null });
  });
});

describe('an upload to Gupshup, which fetches', () => {
  it.each(['authorization', 'token'] as const)(
    'sends our signed URL in place of the source URL, with the token in %s',
    async (header) => {
      const seen: Array<string | undefined> = [];
      const { server, user, door } = await startBehindDoor(header, seen);
      gives(samples.voiceNote);
      const media = await user.uploaded(from(GUPSHUP));
      const { id, mode, bytes, fileType } = sole(providers.gupshup.uploads);
      expect(media).toMatchObject({ status: 'READY', providerMediaId: id });
      expect([mode, fileType, bytes.equals(samples.voiceNote.bytes)]).toEqual(['url', 'audio/ogg', true]);

      const { url, status } = sole(providers.gupshup.fetches);
      expect([status, url.startsWith(`${door.url}/media/${media.id}/`)]).toEqual([200, true]);
      // The link works before the upload ends, and no request but ours has reached the source.
      expect(seen).toEqual(['PENDING']);
      expect(source.requests).toEqual([`GET ${SOURCE_PATH}`]);
      const path = url.slice(door.url.length);
      expect(errorOf(await server.client.get(`${path.slice(0, -4)}abcd`)).code).toBe('SIGNATURE_INVALID');

      const { headers } = sole(providers.gupshup.requests);
      const other = header === 'token' ? 'authorization' : 'token';
      expect([typeof headers[header], headers[other]]).toEqual(['string', undefined]);
    },
  );

  it('fails when the provider cannot fetch it', async () => {
    const { server, user } = await start({ delivery: { baseUrl: 'http://127.0.0.1:9' } });
    const messageId = newMessage(GUPSHUP);
    const failed = await user.upload(from(GUPSHUP, { messageId }));
    expect(codesOf(failed)).toEqual(['PROVIDER_UNAVAILABLE']);
    expect(await mediaOfMessage(server, messageId)).toMatchObject({ status: 'FAILED', url: null });
    expect(await filesBelow(server.blobs)).toEqual([]);
  });

  /** The server's public address is another server's, which notes what a media was when it was fetched. */
  async function startBehindDoor(header: 'authorization' | 'token', seen: Array<string | undefined>) {
    const door = await RawServer.start((request, response) => void pass(request.url ?? '', response));
    doors.push(door);
    const { server, user } = await start({
      server: { port: 0, publicUrl: door.url },
      delivery: {},
      channels: [providers.gupshupChannel(GUPSHUP, header)],
    });
    async function pass(path: string, response: ServerResponse): Promise<void> {
      seen.push((await user.media(path.split('/')[2] ?? ''))?.status);
      const { status, bytes } = await server.client.get(path);
      response.writeHead(status).end(bytes);
    }
    return { server, user, door };
  }
});

describe('an upload to a provider that accepts none', () => {
  it.each([CHANNELS.kirim, CHANNELS.signalwire, CHANNELS.twilio, GATEWAY])(
    'is stored here on %s, for a send call to use',
    async (channelId) => {
      const { server, user } = await start();
      gives({ bytes: Buffer.from('GIF89a a type that no WhatsApp takes'), mimeType: 'image/gif' });
      const media = await user.uploaded(from(channelId));
      expect(media).toMatchObject({ status: 'READY', providerMediaId: null, mimeType: 'image/gif', message: null });
      const got = await server.client.get(media.url);
      expect([got.status, got.bytes.toString()]).toEqual([200, 'GIF89a a type that no WhatsApp takes']);
      expect(providers.all.map(({ requestCount }) => requestCount)).toEqual(providers.all.map(() => 0));
    },
  );
});

const TYPE_REFUSAL = `(#100) Param file must be a file with one of the following types: image/png. Received file of type 'x'.`;
type Refusal = [channelId: string, what: string, fault: Fault, code: string, retryable: boolean];
const refusals: Refusal[] = [
  [META, 'too large', { kind: 'status', status: 413 }, 'MEDIA_TOO_LARGE', false],
  [META, 'no type that it takes', graphRefusal(TYPE_REFUSAL), 'CONTENT_TYPE_NOT_ALLOWED', false],
  [META, 'bad credentials', { kind: 'status', status: 401 }, 'PROVIDER_CREDENTIALS', false],
  [META, 'too many calls', { kind: 'status', status: 429 }, 'PROVIDER_RATE_LIMITED', true],
  [META, 'an outage', { kind: 'status', status: 503 }, 'PROVIDER_UNAVAILABLE', true],
  [META, 'nothing', { kind: 'hang' }, 'PROVIDER_UNAVAILABLE', true],
  [META, 'a broken connection', { kind: 'reset' }, 'PROVIDER_UNAVAILABLE', true],
  [META, 'another shape', { kind: 'body', body: '{"uuid":1}' }, 'PROVIDER_PROTOCOL', false],
  [CHAKRA, 'too large', { kind: 'status', status: 413 }, 'MEDIA_TOO_LARGE', false],
  [
    CHAKRA,
    'errors with status 200',
    { kind: 'body', body: '{"_data":null,"_errors":[{}]}' },
    'PROVIDER_REJECTED',
    false,
  ],
  [CHAKRA, 'an outage', { kind: 'status', status: 500 }, 'PROVIDER_UNAVAILABLE', true],
  [GUPSHUP, 'too large', { kind: 'status', status: 413 }, 'MEDIA_TOO_LARGE', false],
  [GUPSHUP, 'no type that it takes', graphRefusal(TYPE_REFUSAL), 'CONTENT_TYPE_NOT_ALLOWED', false],
  [GUPSHUP, 'an outage', { kind: 'status', status: 500 }, 'PROVIDER_UNAVAILABLE', true],
  [GUPSHUP, 'a broken connection', { kind: 'reset' }, 'PROVIDER_UNAVAILABLE', true],
];

function graphRefusal(message: string): Fault {
  return { kind: 'status', status: 400, body: JSON.stringify({ error: { message, code: 100 }, message }) };
}

/** What no failure may name. */
const OF_OTHERS = [SOURCE_PATH, TYPE_REFUSAL, 'token'];
const UNAVAILABLE: FaultRule = { match: /media/, fault: { kind: 'status', status: 503 } };

function gone(): void {
  answer = (response) => response.writeHead(404).end();
}

describe('an upload that its provider answers with a refusal', () => {
  it.each(refusals)(
    '%s: %s leaves the media FAILED and nothing else',
    async (channelId, _what, fault, code, retryable) => {
      // What is not to fail by the clock has time.
      const { server, user } = await start({ providers: timeouts(fault.kind === 'hang' ? '1s' : '20s') });
      const rule = { match: /media/, fault };
      emulatorOf(channelId).faults.push(rule);
      const messageId = newMessage(channelId);
      const input = from(channelId, { messageId, idempotencyKey: messageId });
      const refused = await user.upload(input);
      expect([refused.data?.uploadMediaFromUrl ?? null, codesOf(refused)]).toEqual([null, [code]]);
      expect(sole(refused.errors).extensions).toMatchObject({ channelId, ...(retryable && { retryable }) });
      expect(refused.text).not.toContain(source.url);
      expect(await mediaOfMessage(server, messageId)).toMatchObject({
        status: 'FAILED',
        url: null,
        providerMediaId: null,
      });
      const { id } = await mediaOfMessage(server, messageId);
      expect(await endOf(server.client, id, OF_OTHERS)).toEqual({ status: 'FAILED', failure: { code, retryable } });
      expect([await filesBelow(server.blobs), heldBy(channelId)]).toEqual([[], []]);
      // Bytes are sent once: a provider may have taken what it does not acknowledge.
      expect(requestsOf(emulatorOf(channelId), 'POST')).toHaveLength(1);

      emulatorOf(channelId).faults.length = 0;
      const { data } = await user.upload(input);
      expect(data?.uploadMediaFromUrl).toMatchObject({ replayed: false, media: { status: 'READY' } });
      expect(data?.uploadMediaFromUrl?.media.providerMediaId).toBe(sole(heldBy(channelId)).name);
    },
  );

  it.each<[string, string, boolean, () => void]>([
    ['its source', 'SOURCE_FAILED', false, () => gone()],
    ['its provider', 'PROVIDER_UNAVAILABLE', true, () => emulatorOf(META).faults.push(UNAVAILABLE)],
  ])('succeeds with a retry once %s has recovered, and has no failure then', async (_what, code, retryable, fail) => {
    const { server, user } = await start();
    fail();
    const messageId = newMessage(META);
    expect(codesOf(await user.upload(from(META, { messageId })))).toEqual([code]);
    const { id } = await mediaOfMessage(server, messageId);
    expect(await endOf(server.client, id, OF_OTHERS)).toEqual({ status: 'FAILED', failure: { code, retryable } });
    gives(samples.photo);
    emulatorOf(META).faults.length = 0;
    expect(await retried(server.client, id)).toEqual({ status: 'PENDING', failure: null });
    const { url } = await server.client.becomes('READY', messageId);
    expect((await server.client.get(url)).bytes.equals(samples.photo.bytes)).toBe(true);
    expect(await endOf(server.client, id)).toEqual({ status: 'READY', failure: null });
  });

  it.each([META, CHAKRA, GUPSHUP])('%s gets no request with a type that it does not accept', async (channelId) => {
    const { server, user } = await start();
    expect(codesOf(await user.upload(from(channelId, { mimeType: 'image/gif' })))).toEqual([
      'CONTENT_TYPE_NOT_ALLOWED',
    ]);
    expect(source.requests).toEqual([]);
    gives({ bytes: Buffer.from('GIF89a a picture'), mimeType: 'image/jpeg' });
    expect(codesOf(await user.upload(from(channelId)))).toEqual(['CONTENT_TYPE_NOT_ALLOWED']);
    gives({ ...samples.sticker, bytes: Buffer.concat([samples.sticker.bytes, Buffer.alloc(500_000)]) });
    expect(codesOf(await user.upload(from(channelId)))).toEqual(['MEDIA_TOO_LARGE']);
    expect([emulatorOf(channelId).requestCount, await filesBelow(server.blobs)]).toEqual([0, []]);
  });

  it('includes a failure of the catalogue: the upload is deleted at the provider again', async () => {
    const { server, user } = await start();
    await sql`create function refuse_ready() returns trigger language plpgsql as 'begin raise exception ''no''; end'`.execute(
      database.kysely,
    );
    await sql`create trigger refuse_ready before update on media for each row when (new.status = 'READY')
      execute function refuse_ready()`.execute(database.kysely);
    try {
      const refused = await user.upload(from(META));
      expect(codesOf(refused)).toEqual(['INTERNAL_SERVER_ERROR']);
      expect(await filesBelow(server.blobs)).toEqual([]);
      await until('the provider to have nothing', () => heldBy(META).length === 0, 2_000);
    } finally {
      await sql`drop function refuse_ready cascade`.execute(database.kysely);
    }
  });
});

describe('an upload that lasts longer than its lease', () => {
  it(
    'keeps its lease: one fetch, and one media at the provider',
    async () => {
      const { user } = await start({ upload: { respondWithin: '40s' } });
      const { bytes } = samples.photo;
      // Slow, and never silent for long.
      answer = (response) => {
        response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': bytes.length });
        void drip(response, bytes, LEASE_MS + 2_500);
      };
      const media = await user.uploaded(from(META));
      expect(source.requests).toHaveLength(1);
      expect(media).toMatchObject({ status: 'READY', providerMediaId: sole(heldBy(META)).name });
    },
    3 * LEASE_MS,
  );

  async function drip(response: ServerResponse, bytes: Buffer, durationMs: number): Promise<void> {
    const start = performance.now();
    let at = 0;
    for (; performance.now() - start < durationMs && at < bytes.length - 1; at++) {
      response.write(bytes.subarray(at, at + 1));
      await sleep(500);
    }
    response.end(bytes.subarray(at));
  }
});

describe('an upload that three processes died of', () => {
  it('fails without another attempt, since the upload may have killed them', async () => {
    const media = createdBy(await new SqlUploads(database).reserve(orphaned()));
    for (let life = 1; life <= 3; life++)
      expect(await diesAlone(`process ${life}`, media)).toMatchObject({ attempts: life, deaths: life - 1 });
    const { user } = await start();
    await until('the upload to be given up', async () => (await user.media(media.id))?.status === 'FAILED');
    expect([source.requests, heldBy(META)]).toEqual([[], []]);
    // Its key is free again.
    expect(await user.uploaded(from(META, { idempotencyKey: 'deadly' }))).toMatchObject({ status: 'READY' });
  });

  it('is tried again after two', async () => {
    const media = createdBy(await new SqlUploads(database).reserve({ ...orphaned(), idempotency: null }));
    for (const owner of ['first', 'second']) await diesAlone(owner, media);
    const { user } = await start();
    await until('the upload to be finished', async () => (await user.media(media.id))?.status === 'READY');
    expect(await user.media(media.id)).toMatchObject({ providerMediaId: sole(heldBy(META)).name });
  });

  /** A process that dies while this job runs alone. */
  const diesAlone = async (owner: string, media: MediaName) => {
    // Its lease ends as soon as it begins.
    const jobs = jobStoreOf(database, { owner, leaseMs: 0 });
    const job = sole(await jobs.claim([{ kind: 'upload', limit: 1 }]));
    expect(job.key).toBe(media.id);
    expect(await jobs.setAlone(job, true)).toBe(true);
    return job;
  };

  /** Resolves when no process works on it. */
  const orphaned = () =>
    reservation({
      id: createUploadId(META),
      channelId: META,
      provider: 'whatsapp-cloud',
      sourceUrl: source.url + SOURCE_PATH,
      idempotency: { key: 'deadly', inputSha256: 'of another input' },
      now: new Date(Date.now() - 1_000),
    });
});

describe('an upload that is deleted meanwhile', () => {
  const over = (server: OwnServer) => until('the upload to end', () => server.logged('an upload failed') > 0);

  it('is not handed over, since a public address would outlive its deletion', async () => {
    const { server, user } = await start(IMPATIENT);
    const release = holdSource();
    const media = await user.uploaded(from(CHAKRA));
    await until('the source to be asked', () => source.requests.length === 1);
    expect(await user.deleted(media.id)).toMatchObject({ scope: 'LOCAL', media: { status: 'DELETED' } });
    release();
    await over(server);
    expect([requestsOf(providers.chakra, 'POST'), await filesBelow(server.blobs)]).toEqual([[], []]);
    expect(await user.media(media.id)).toMatchObject({ status: 'DELETED', url: null });
  });

  it('leaves no bytes, also when its provider refuses it afterwards', async () => {
    const { server, user } = await start(IMPATIENT);
    providers.meta.faults.push({ match: /media/, fault: { kind: 'status', status: 413 } });
    const release = holdSource();
    const media = await user.uploaded(from(META));
    // A deletion ends an upload that has not begun, and nothing is fetched then.
    await until('the source to be asked', () => source.requests.length === 1);
    await user.deleted(media.id);
    release();
    await over(server);
    await until('the bytes to be gone', async () => (await filesBelow(server.blobs)).length === 0, 2_000);
    expect(await user.media(media.id)).toMatchObject({ status: 'DELETED', url: null });
  });

  it('is deleted at the provider that was receiving it', async () => {
    const { server, user, gate } = await startBehindGate();
    const media = await user.uploaded(from(META));
    await until('the provider to be asked', () => providers.meta.requestCount === 1);
    expect(await user.deleted(media.id)).toMatchObject({ media: { status: 'DELETED' } });
    expect(await filesBelow(server.blobs)).toEqual([]);
    gate.open();
    await over(server);
    expect([heldBy(META), requestsOf(providers.meta, 'DELETE').length]).toEqual([[], 1]);
    expect(await filesBelow(server.blobs)).toEqual([]);
  });

  it('is not begun any more where it waited for its turn', async () => {
    await jobStoreOf(database).pause('upload');
    const { server, user } = await start(IMPATIENT);
    const media = await user.uploaded(from(META));
    await user.deleted(media.id);
    await jobStoreOf(database).resume('upload');
    expect((await jobStoreOf(database).counts()).upload.open).toBe(0);
    expect([source.requests, await filesBelow(server.blobs)]).toEqual([[], []]);
  });
});

describe('scopes and tenants', () => {
  const keyOf = (name: string, tenant: string, scopes: readonly string[]) => ({
    sha256: createHash('sha256').update(name).digest('hex'),
    tenant,
    scopes,
  });
  const ALL = ['media:read', 'media:write', 'media:delete'];
  const auth = {
    mode: 'apiKey',
    apiKeys: [
      keyOf('acme', 'acme', ALL),
      keyOf('beta', 'beta', ALL),
      ...ALL.map((scope) => keyOf(scope, 'acme', [scope])),
    ],
  };
  const startForTwo = async () => {
    const channels = [
      { ...metaChannel(providers.meta), tenant: 'acme' },
      { ...metaChannel(providers.meta), id: 'cloud-of-beta', tenant: 'beta' },
    ];
    const { server } = await start({ auth, channels });
    return (key: string) => new Mutations(server.client, key);
  };
  const PAYLOAD = `{ replayed media { id status kind mimeType sizeBytes sha256 filename caption url urlExpiresAt createdAt
    channel { id provider capabilities { upload maxUploadBytes } } message { id channelId } } }`;

  it('uploads and deletions need their scope, which is enough for the whole payload', async () => {
    const as = await startForTwo();
    const upload = `mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) ${PAYLOAD} }`;
    const input = from(META, { messageId: newMessage(META) });
    for (const scope of ['media:read', 'media:delete'])
      expect(codesOf(await as(scope).ask(upload, { input }))).toEqual(['FORBIDDEN']);
    expect(source.requests).toEqual([]);
    const written = await as('media:write').ask<{ uploadMediaFromUrl: { media: MediaData } }>(upload, { input });
    expect(written.errors).toEqual([]);
    const { id } = written.data?.uploadMediaFromUrl.media ?? {};
    if (id === undefined) throw new Error(`expected an upload, got ${written.text}`);

    const remove = `mutation($id: ID!) { deleteMedia(input: { id: $id }) ${PAYLOAD.replace('replayed', 'scope')} }`;
    for (const scope of ['media:read', 'media:write'])
      expect(codesOf(await as(scope).ask(remove, { id }))).toEqual(['FORBIDDEN']);
    expect(await as('media:read').media(id)).toMatchObject({ status: 'READY' });
    expect((await as('media:delete').ask(remove, { id })).errors).toEqual([]);
    const read = 'query($id: ID!) { media(id: $id) { id } }';
    for (const scope of ['media:write', 'media:delete'])
      expect(codesOf(await as(scope).ask(read, { id }))).toEqual(['FORBIDDEN']);
  });

  it('the same key of two tenants means two uploads, and neither tenant can delete the other’s', async () => {
    const as = await startForTwo();
    const idempotencyKey = `shared ${newMessage(META)}`;
    const ofAcme = await as('acme').uploaded(from(META, { idempotencyKey }));
    const ofBeta = await as('beta').uploaded(from('cloud-of-beta', { idempotencyKey }));
    expect([ofAcme.id === ofBeta.id, heldBy(META).length]).toEqual([false, 2]);
    for (const [who, other] of [
      ['acme', ofBeta],
      ['beta', ofAcme],
    ] as const) {
      expect(await as(who).media(other.id)).toBeNull();
      expect(codesOf(await as(who).delete(other.id))).toEqual(['MEDIA_NOT_FOUND']);
    }
    expect(codesOf(await as('beta').upload(from(META)))).toEqual(['CHANNEL_NOT_FOUND']);
    expect([heldBy(META).length, requestsOf(providers.meta, 'DELETE')]).toEqual([2, []]);
    expect(await as('acme').media(ofAcme.id)).toMatchObject({ status: 'READY' });
  });
});

function timeouts(timeout: string): Readonly<Record<string, unknown>> {
  const patient = { timeout, retries: 0 };
  return { 'whatsapp-cloud': patient, chakra: patient, gupshup: { timeout: '5s', retries: 0 } };
}

/** A source that sends no bytes before the test lets it. */
function holdSource(): () => void {
  let release = () => {};
  answer = (response) => {
    response.setHeader('content-type', samples.photo.mimeType).flushHeaders();
    release = () => response.end(samples.photo.bytes);
  };
  return () => release();
}

/** Meta's API behind a gate: requests are performed, and answers wait until the test opens the gate. */
async function startBehindGate(): Promise<{ server: OwnServer; user: Mutations; gate: Gate }> {
  const gate = await Gate.start(providers.meta.url);
  doors.push(gate);
  gate.shut();
  const channels = [{ ...metaChannel(providers.meta), baseUrl: gate.url }];
  return { ...(await start({ ...IMPATIENT, channels })), gate };
}
