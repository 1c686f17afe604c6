import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { EmulatorServer } from '../../demo/src/emulators/emulator-server.js';
import type { Fault } from '../../demo/src/emulators/faults.js';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../demo/src/emulators/sample-ids.js';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { FsBlobStore } from '../../src/storage/fs/fs-blob-store.js';
import { describeServer, OPEN_TIMEOUT_MS } from '../support/databases.js';
import { emptyTables, openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { Gate } from '../support/gate.js';
import { jobStoreOf } from '../support/jobs.js';
import { META, metaChannel, receivePhoto } from '../support/meta.js';
import { codesOf, Mutations } from '../support/mutations.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { receive, samples } from '../support/sample-messages.js';
import { sweepIn } from '../support/sweep.js';
import { CHANNELS, errorOf, headerOf, type MediaData, sole, useBeds } from '../support/test-bed.js';
import { CHAKRA, GATEWAY, GUPSHUP, requestsOf, UploadProviders } from '../support/upload-providers.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const DELETIONS_PER_HOUR = 10;
const WITHOUT_RETRIES = { timeout: '1s', retries: 0 };
const { kirim: WA, signalwire: SMS, twilio: MMS } = CHANNELS;

const startServer = useOwnServers();
let database: Database;
let providers: UploadProviders;
let source: RawServer;
const doors: Array<{ close(): Promise<void> }> = [];

beforeAll(async () => {
  database = await openEmbeddedDatabase();
  source = await RawServer.start((_request, response) =>
    response.setHeader('content-type', samples.photo.mimeType).end(samples.photo.bytes),
  );
}, OPEN_TIMEOUT_MS);
afterAll(() => Promise.all([database.close(), source.close()]));
beforeEach(async () => {
  await emptyTables(database);
  providers = await UploadProviders.start();
});
afterEach(() => Promise.all([providers, ...doors.splice(0)].map((one) => one.close())));

interface Started {
  readonly server: OwnServer;
  readonly user: Mutations;
}

/** @param on null: the database that the configuration names */
async function start(config: Readonly<Record<string, unknown>> = {}, on: Database | null = database): Promise<Started> {
  const impatient = Object.fromEntries(
    ['signalwire', 'twilio', 'whatsapp-cloud', 'gupshup'].map((name) => [name, WITHOUT_RETRIES]),
  );
  const server = await startServer({
    config: { channels: providers.channels(), providers: impatient, ...config },
    database: on ?? undefined,
  });
  return { server, user: new Mutations(server.client) };
}

let received = 0;
/** A message with a photo that its provider lists; returns its id for callers. */
function receiveListed(channelId: string): string {
  received += 1;
  const { kirim, signalwire, twilio } = providers;
  if (channelId === WA) {
    kirim.addMessage({ id: kirimMessageId(received), media: samples.photo });
    return `${WA}:${kirimMessageId(received)}`;
  }
  const [emulator, sid, mediaSid] =
    channelId === SMS
      ? [signalwire, signalwireMessageSid(received), signalwireMediaSid(received)]
      : [twilio, twilioMessageSid(received), twilioMediaSid(received)];
  emulator.addMessage({ sid, media: [{ ...samples.photo, sid: mediaSid }] });
  return `${channelId}:${sid}`;
}

const mediaOf = async ({ server }: Started, message: string): Promise<readonly MediaData[]> =>
  sole(await server.client.media([message]));

/** Listed, opened once, and so stored here. */
async function listAndStore(started: Started, channelId: string): Promise<{ message: string; media: MediaData }> {
  const message = receiveListed(channelId);
  const media = sole(await mediaOf(started, message));
  const { server } = started;
  const before = await blobsIn(server.blobs);
  expect((await server.client.get(media.url)).status).toBe(200);
  await until('the bytes to be kept', async () => (await blobsIn(server.blobs)) > before);
  return { message, media };
}

const upload = ({ user }: Started, channelId: string): Promise<MediaData> =>
  user.uploaded({ channelId, url: `${source.url}/photo.jpg` });

function emulatorOf(channelId: string): EmulatorServer {
  const { kirim, signalwire, twilio, meta, chakra, gupshup, gateway } = providers;
  const emulators: Readonly<Record<string, EmulatorServer>> = {
    [WA]: kirim,
    [SMS]: signalwire,
    [MMS]: twilio,
    [META]: meta,
    [CHAKRA]: chakra,
    [GUPSHUP]: gupshup,
    [GATEWAY]: gateway,
  };
  const emulator = emulators[channelId];
  if (!emulator) throw new Error(`expected a channel of this test, got ${channelId}`);
  return emulator;
}

const deletionsAt = (channelId: string): number => requestsOf(emulatorOf(channelId), 'DELETE').length;

async function expectGone({ server, user }: Started, media: MediaData): Promise<void> {
  const got = await server.client.get(media.url);
  expect([got.status, errorOf(got).code]).toEqual([410, 'MEDIA_GONE']);
  expect(await user.media(media.id)).toMatchObject({ status: 'DELETED', url: null });
  expect(await filesBelow(server.blobs)).toEqual([]);
}

/** A media that the provider can delete: one that it lists, or one that was uploaded to it. */
async function anyMedia(started: Started, channelId: string): Promise<{ message: string | null; media: MediaData }> {
  if (channelId === SMS || channelId === MMS) return listAndStore(started, channelId);
  return { message: null, media: await upload(started, channelId) };
}

describe('deleteMedia', () => {
  it.each([SMS, MMS])('%s: deletes at the provider, whose listing no longer has it, and here', async (channelId) => {
    const started = await start();
    const { message, media } = await listAndStore(started, channelId);
    const { headers } = await started.server.client.get(media.url);
    expect([headerOf({ headers }, 'cache-tag'), headerOf({ headers }, 'surrogate-key')]).toEqual([media.id, media.id]);

    const deleted = await started.user.deleted(media.id);
    expect(deleted).toEqual({ scope: 'PROVIDER', media: { id: media.id, status: 'DELETED', url: null } });
    await expectGone(started, media);
    expect(await mediaOf(started, message)).toEqual([]);
    expect(await started.user.deleted(media.id)).toEqual(deleted);
    expect(requestsOf(emulatorOf(channelId), 'DELETE')).toEqual([expect.stringContaining(message.slice(4))]);
    // Also when the provider itself is asked.
    await forgetListings(started);
    expect(await mediaOf(started, message)).toEqual([]);
  });

  it.each([
    [META, 'PROVIDER'],
    [GUPSHUP, 'PROVIDER'],
    [CHAKRA, 'LOCAL'],
    [WA, 'LOCAL'],
    [SMS, 'LOCAL'],
    [MMS, 'LOCAL'],
    [GATEWAY, 'LOCAL'],
  ] as const)('%s: deletes what was uploaded, scope %s', async (channelId, scope) => {
    const started = await start();
    const media = await upload(started, channelId);
    expect(await started.user.deleted(media.id)).toMatchObject({ scope, media: { status: 'DELETED', url: null } });
    await expectGone(started, media);
    expect(deletionsAt(channelId)).toBe(scope === 'PROVIDER' ? 1 : 0);
    expect([providers.meta.media, providers.gupshup.uploads]).toEqual([[], []]);
    expect(await started.user.deleted(media.id)).toMatchObject({ scope });
    expect(deletionsAt(channelId)).toBe(scope === 'PROVIDER' ? 1 : 0);
  });

  it('deletes what a webhook announced at Meta', async () => {
    const started = await start();
    const photo = receivePhoto(providers.meta, 1);
    await started.server.client.deliver(META, photo.delivery);
    const media = await started.server.client.becomes('READY', photo.id);
    expect(await started.user.deleted(media.id)).toMatchObject({ scope: 'PROVIDER' });
    await expectGone(started, media);
    expect([providers.meta.media, await mediaOf(started, photo.id)]).toEqual([[], []]);
    // Announced again, in other words, it does not come back.
    const again = receivePhoto(providers.meta, 1, { padding: Buffer.from('another body') });
    await started.server.client.deliver(META, again.delivery);
    const waiting = () => new SqlWebhookInbox(database).counts();
    await until('the webhook to be understood', async () => (await waiting()).due === 0);
    expect(await mediaOf(started, photo.id)).toEqual([]);
  });

  it('hides a media that its provider still lists', async () => {
    const started = await start();
    const { message, media } = await listAndStore(started, WA);
    expect(await started.user.deleted(media.id)).toMatchObject({ scope: 'LOCAL' });
    providers.reset();
    await forgetListings(started);
    expect(await mediaOf(started, message)).toEqual([]);
    expect(providers.kirim.requestCount).toBeGreaterThan(0);
    await expectGone(started, media);
  });

  it.each([
    [SMS, { kind: 'status', status: 404 }],
    [
      META,
      { kind: 'status', status: 400, body: '{"error":{"message":"(#100) Invalid post_id parameter","code":100}}' },
    ],
    [GUPSHUP, { kind: 'status', status: 400, body: '{"message":"Failed to delete media","status":"error"}' }],
  ] as ReadonlyArray<[string, Fault]>)(
    '%s: deletes a media that its provider no longer has',
    async (channelId, fault) => {
      const started = await start({ providers: {} });
      const { media } = await anyMedia(started, channelId);
      emulatorOf(channelId).faults.push({ match: ({ method }) => method === 'DELETE', fault });
      expect(await started.user.deleted(media.id)).toMatchObject({ scope: 'PROVIDER' });
      await expectGone(started, media);
    },
  );

  it('does not make a provider delete media that it has not listed', async () => {
    const started = await start();
    const message = receiveListed(SMS);
    const forged = encodeMediaId({
      channelId: SMS,
      providerMessageId: message.slice(4),
      providerMediaId: signalwireMediaSid(999_999),
    });
    for (const id of [forged, 'no id at all', 'AQdzdXBwb3J0'])
      expect(codesOf(await started.user.delete(id))).toEqual(['MEDIA_NOT_FOUND']);
    expect(deletionsAt(SMS)).toBe(0);
    expect(await mediaOf(started, message)).toMatchObject([{ status: 'READY' }]);
  });
});

describe('a deletion that the provider refuses', () => {
  const inProgress = {
    kind: 'status',
    status: 400,
    body: '{"code":20009,"message":"in progress","status":400}',
  } as const;
  const blocked = 'The media deletion is temporarily blocked for this app due to previous errors';
  const refusals: Array<[channelId: string, what: string, fault: Fault, code: string]> = [
    [SMS, 'message in progress', inProgress, 'PROVIDER_REJECTED'],
    [MMS, 'message in progress', inProgress, 'PROVIDER_REJECTED'],
    [SMS, 'bad credentials', { kind: 'status', status: 401 }, 'PROVIDER_CREDENTIALS'],
    [SMS, 'an outage', { kind: 'status', status: 503 }, 'PROVIDER_UNAVAILABLE'],
    [MMS, 'no answer', { kind: 'hang' }, 'PROVIDER_UNAVAILABLE'],
    [MMS, 'a broken connection', { kind: 'reset' }, 'PROVIDER_UNAVAILABLE'],
    [MMS, 'too many calls', { kind: 'status', status: 429 }, 'PROVIDER_RATE_LIMITED'],
    [META, 'no success', { kind: 'body', body: '{"success":false}' }, 'PROVIDER_REJECTED'],
    [META, 'no answer', { kind: 'hang' }, 'PROVIDER_UNAVAILABLE'],
    [META, 'an outage', { kind: 'status', status: 500 }, 'PROVIDER_UNAVAILABLE'],
    [META, 'too many calls', { kind: 'status', status: 429 }, 'PROVIDER_RATE_LIMITED'],
    [GUPSHUP, 'an outage', { kind: 'status', status: 500 }, 'PROVIDER_UNAVAILABLE'],
    [
      GUPSHUP,
      'a lock-out',
      { kind: 'status', status: 400, body: JSON.stringify({ message: blocked }) },
      'PROVIDER_RATE_LIMITED',
    ],
  ];

  it.each(refusals)('%s: %s changes nothing, and can be tried again', async (channelId, _what, fault, code) => {
    const started = await start();
    const { message, media } = await anyMedia(started, channelId);
    const before = await started.user.media(media.id);
    emulatorOf(channelId).faults.push({ match: ({ method }) => method === 'DELETE', fault });
    const refused = await started.user.delete(media.id);
    expect([refused.data?.deleteMedia ?? null, codesOf(refused)]).toEqual([null, [code]]);
    expect(sole(refused.errors).extensions).toMatchObject({ retryable: true, channelId });

    expect(await started.user.media(media.id)).toMatchObject({ ...before, url: expect.any(String) });
    expect((await started.server.client.get(media.url)).status).toBe(200);
    expect(await filesBelow(started.server.blobs)).toHaveLength(1);
    if (message !== null) expect(await mediaOf(started, message)).toMatchObject([{ id: media.id, status: 'READY' }]);

    emulatorOf(channelId).faults.length = 0;
    expect(await started.user.deleted(media.id)).toMatchObject({ scope: 'PROVIDER' });
    await expectGone(started, media);
  });
});

describe('twenty deletions of one media at once', () => {
  const CALLERS = 20;

  it('are one deletion at the provider, with the same answer for all', async () => {
    const started = await start();
    const { media } = await listAndStore(started, SMS);
    const answers = await Promise.all(Array.from({ length: CALLERS }, () => started.user.deleted(media.id)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect([deletionsAt(SMS), answers[0]?.scope]).toEqual([1, 'PROVIDER']);
    await expectGone(started, media);
  });

  it('are all refused when the provider refuses', async () => {
    const started = await start();
    const { media } = await listAndStore(started, SMS);
    providers.signalwire.setInProgress(signalwireMessageSid(received), true);
    const answers = await Promise.all(Array.from({ length: CALLERS }, () => started.user.delete(media.id)));
    expect(new Set(answers.map((answer) => codesOf(answer).join()))).toEqual(new Set(['PROVIDER_REJECTED']));
    expect(await started.user.media(media.id)).toMatchObject({ status: 'READY' });
    providers.signalwire.setInProgress(signalwireMessageSid(received), false);
    await started.user.deleted(media.id);
  });
});

describe('bytes that are on their way during a deletion', () => {
  const beds = useBeds();

  it('to an eager copy are not stored', async () => {
    const gate = await Gate.start(providers.meta.lookaside.url);
    doors.push(gate);
    providers.meta.announcedOrigin = gate.url;
    const channel = metaChannel(providers.meta);
    const options = { phoneNumberId: '106540352242922', mediaOrigins: [gate.url] };
    const started = await start({ channels: [{ ...channel, options }], providers: {} });
    const { server, user } = started;
    gate.shut();
    const photo = receivePhoto(providers.meta, 2);
    await server.client.deliver(META, photo.delivery);
    await until('the copy to be under way', () => providers.meta.lookaside.requestCount === 1);
    const { id } = sole(await mediaOf(started, photo.id));
    expect(await user.deleted(id)).toMatchObject({ media: { status: 'DELETED' } });
    gate.open();
    await until('the copy to end', () => server.logged('a copy was abandoned') > 0);
    await until('its bytes to be removed', async () => (await blobsIn(server.blobs)) === 0);
    expect(await user.media(id)).toMatchObject({ status: 'DELETED' });
    expect(await mediaOf(started, photo.id)).toEqual([]);
  });

  it('to a reader reach that reader, and are not stored', async () => {
    const bed = await beds.shared();
    let release = () => {};
    const cdn = await RawServer.start((_request, response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'image/jpeg' }).write(samples.photo.bytes.subarray(0, 8_000));
      release = () => response.end(samples.photo.bytes.subarray(8_000));
    });
    doors.push(cdn);
    const message = receive(bed, 'kirim');
    bed.kirim.faults.push({ match: /media/, fault: { kind: 'redirect', status: 302, location: `${cdn.url}/photo` } });
    const user = new Mutations(bed);
    const url = await bed.urlOf(message);
    const reading = bed.get(url);
    await until('the bytes to be asked for', () => cdn.requests.length === 1);
    const id = decodeURIComponent(new URL(url).pathname.split('/')[2] ?? '');
    expect(await user.deleted(id)).toMatchObject({ scope: 'LOCAL' });
    release();
    expect((await reading).bytes.equals(samples.photo.bytes)).toBe(true);
    await bed.app.settled();
    expect(await filesBelow(bed.config.storage.root)).toEqual([]);
    expect((await bed.get(url)).status).toBe(410);
  });
});

describe('a deletion that a crash interrupted', () => {
  /** The state that a process leaves when it dies between the intent and the provider's answer. */
  async function interrupt(id: string): Promise<void> {
    const dead = { owner: 'dead', now: new Date(), leaseMs: 0 };
    expect(await new SqlDeletions(database).intend('default', id, dead)).not.toBeNull();
  }
  const sweeping = { retention: { sweepInterval: '1s' } };

  it('is finished by the sweep', async () => {
    const started = await start(sweeping);
    const { message, media } = await listAndStore(started, SMS);
    await interrupt(media.id);
    await until('the sweep to finish it', async () => (await started.user.media(media.id))?.status === 'DELETED');
    await until('its bytes to be gone', async () => (await blobsIn(started.server.blobs)) === 0);
    await expectGone(started, media);
    expect([deletionsAt(SMS), await mediaOf(started, message)]).toEqual([1, []]);
  });

  it('is undone where the provider refuses', async () => {
    const started = await start(sweeping);
    const { message, media } = await listAndStore(started, SMS);
    providers.signalwire.setInProgress(message.slice(4), true);
    await interrupt(media.id);
    await until(
      'the sweep to be refused',
      () => started.server.logged('an interrupted deletion could not be finished') > 0,
    );
    const intents = () => jobStoreOf(database).counts();
    await until('the intent to be withdrawn', async () => (await intents()).deletion.open === 0);
    expect([deletionsAt(SMS), await mediaOf(started, message)]).toMatchObject([1, [{ status: 'READY' }]]);
    expect((await started.server.client.get(media.url)).status).toBe(200);
  });
});

describe('tombstones', () => {
  it('last for thirty days; then the media is unknown, and also hidden in listings', async () => {
    const started = await start();
    const { user } = started;
    const [listed, atProvider, uploaded] = [
      await listAndStore(started, WA),
      await listAndStore(started, SMS),
      { media: await upload(started, GATEWAY) },
    ];
    const all = [listed, atProvider, uploaded].map(({ media }) => media.id);
    for (const id of all) await user.deleted(id);

    await sweepIn(29 * DAY_MS, { database, blobs: started.server.blobs });
    for (const id of all) expect(await user.media(id)).toMatchObject({ status: 'DELETED' });
    expect(await sweepIn(31 * DAY_MS, { database, blobs: started.server.blobs })).toMatchObject({ tombstones: 3 });
    expect(await sweepIn(31 * DAY_MS, { database, blobs: started.server.blobs })).toMatchObject({ tombstones: 0 });
    for (const id of all) {
      expect(await user.media(id)).toBeNull();
      expect(codesOf(await user.delete(id))).toEqual(['MEDIA_NOT_FOUND']);
    }
    await forgetListings(started);
    providers.reset();
    expect([await mediaOf(started, listed.message), await mediaOf(started, atProvider.message)]).toEqual([[], []]);
    expect(providers.kirim.requestCount).toBeGreaterThan(0);
    expect(await user.media(listed.media.id)).toBeNull();
    expect(await filesBelow(started.server.blobs)).toEqual([]);
  });
});

describe('Gupshup’s ten deletions an hour', () => {
  it('are counted: the eleventh is refused here with a time to wait, and changes nothing', () =>
    expectElevenDeletions(async () => {
      const started = await start();
      return [started];
    }));
});

describeServer('two replicas', (server) => {
  let blobs: string;
  beforeEach(async () => {
    blobs = await mkdtemp(join(tmpdir(), 'mediagraph-replicas-'));
  });
  // After the servers, whose hook is older.
  afterEach(() => rm(blobs, { recursive: true, force: true }));
  const startTwo = async (): Promise<[Started, Started]> => {
    const config = { database: { url: server.url() }, storage: { root: blobs } };
    return [await start(config, null), await start(config, null)];
  };

  it('agree at once: deleted through one, it is gone at the other', async () => {
    const [one, other] = await startTwo();
    for (const channelId of [SMS, WA]) {
      const message = receiveListed(channelId);
      const media = sole(await mediaOf(one, message));
      const path = pathOf(media.url);
      await until('the bytes to be kept', async () => {
        // Until the one has recorded its listing, the other passes them through.
        expect((await other.server.client.get(path)).status).toBe(200);
        return (await blobsIn(blobs)) === 1;
      });
      expect(await mediaOf(other, message)).toHaveLength(1);
      await one.user.deleted(media.id);
      expect((await other.server.client.get(path)).status).toBe(410);
      expect((await one.server.client.get(path)).status).toBe(410);
      expect([await mediaOf(other, message), await filesBelow(blobs)]).toEqual([[], []]);
      expect(await other.user.deleted(media.id)).toMatchObject({ media: { status: 'DELETED' } });
    }
    expect(deletionsAt(SMS)).toBe(1);
  });

  it('make one deletion of twenty at once', async () => {
    const replicas = await startTwo();
    const message = receiveListed(MMS);
    const { id } = sole(await mediaOf(replicas[0], message));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => replicas[index % 2 === 0 ? 0 : 1].user.deleted(id)),
    );
    expect([new Set(answers.map(({ scope }) => scope)), deletionsAt(MMS)]).toEqual([new Set(['PROVIDER']), 1]);
  });

  it('make one upload of twenty calls with one key', async () => {
    const replicas = await startTwo();
    const input = { channelId: META, url: `${source.url}/photo.jpg`, idempotencyKey: 'of two replicas' };
    const media = await Promise.all(
      Array.from({ length: 20 }, (_, index) => replicas[index % 2 === 0 ? 0 : 1].user.uploaded(input)),
    );
    expect([new Set(media.map(({ id }) => id)).size, providers.meta.media.length]).toEqual([1, 1]);
  });

  it('share Gupshup’s ten an hour', () => expectElevenDeletions(startTwo));
});

async function expectElevenDeletions(startAll: () => Promise<readonly Started[]>): Promise<void> {
  const replicas = await startAll();
  const at = (index: number): Started => replicas[index % replicas.length] ?? sole(replicas);
  const media: MediaData[] = [];
  for (let count = 0; count <= DELETIONS_PER_HOUR; count++) media.push(await upload(at(count), GUPSHUP));
  const last = media.pop();
  if (!last) throw new Error('expected eleven uploads');
  for (const [index, { id }] of media.entries())
    expect(await at(index).user.deleted(id)).toMatchObject({ scope: 'PROVIDER' });
  for (const { user, server } of replicas) {
    const refused = await user.delete(last.id);
    expect(codesOf(refused)).toEqual(['PROVIDER_RATE_LIMITED']);
    const { retryable, retryAfterMs } = sole(refused.errors).extensions;
    expect([retryable, Number(retryAfterMs) > 3_000_000, Number(retryAfterMs) <= 3_600_000]).toEqual([
      true,
      true,
      true,
    ]);
    expect(await user.media(last.id)).toMatchObject({ status: 'READY', providerMediaId: last.providerMediaId });
    expect((await server.client.get(pathOf(last.url))).status).toBe(200);
  }
  // Deleting again what is deleted costs none of them; the provider never saw the eleventh, which would lock it out.
  expect(await at(0).user.deleted(media[0]?.id ?? '')).toMatchObject({ scope: 'PROVIDER' });
  expect([deletionsAt(GUPSHUP), providers.gupshup.uploads.length]).toEqual([DELETIONS_PER_HOUR, 1]);
}

/** So that providers are asked again. */
async function forgetListings({ server }: Started): Promise<void> {
  await sql`update message_listings set listed_at = listed_at - interval '2 days',
    first_seen_at = first_seen_at - interval '2 days'`.execute(database.kysely);
  await server.reload({});
}

/** How many blobs a store has while others write to it. */
async function blobsIn(root: string): Promise<number> {
  const store = await FsBlobStore.open({ root });
  try {
    let count = 0;
    for await (const _ of store.keys('media/')) count += 1;
    return count;
  } finally {
    await store.close();
  }
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
