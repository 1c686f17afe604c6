import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { signalwireMediaSid, signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import type { Database } from '../../src/database/database.js';
import type { SweepReport } from '../../src/media/sweep.js';
import { CdnPurge } from '../../src/net/cdn-purge.js';
import { OPEN_TIMEOUT_MS } from '../support/databases.js';
import { emptyTables, openEmbeddedDatabase } from '../support/embedded-database.js';
import { EmulatedProviders } from '../support/emulated-providers.js';
import { until } from '../support/eventually.js';
import { Mutations } from '../support/mutations.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { sweepIn } from '../support/sweep.js';
import { errorOf, type MediaData, sole } from '../support/test-bed.js';

const SECRET = 'purge-token-0123456789';
const PATH = '/zones/secret-zone-42/purge?key=secret-key-42';
const TIMEOUT_MS = 5_000;
const MINUTE_MS = 60_000;
const FAILED = 'the CDN could not be purged after a deletion';

interface PurgeRequest {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const startServer = useOwnServers();
const providers = new EmulatedProviders();
let database: Database;
let cdn: RawServer;
let purges: PurgeRequest[];
let answer: (response: ServerResponse) => void;
let received = 0;

const well = (response: ServerResponse) => void response.end();

beforeAll(async () => {
  [database, cdn] = await Promise.all([
    openEmbeddedDatabase(),
    RawServer.start((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.once('end', () => {
        purges.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
        answer(response);
      });
    }),
    providers.start(),
  ]);
}, OPEN_TIMEOUT_MS);
afterAll(() => Promise.all([database.close(), cdn.close(), providers.close()]));
beforeEach(async () => {
  await emptyTables(database);
  purges = [];
  answer = well;
});

interface Started {
  readonly server: OwnServer;
  readonly user: Mutations;
}

async function start(purge: string | null, config: Readonly<Record<string, unknown>> = {}): Promise<Started> {
  const delivery = { purge, purgeHeaders: { Authorization: `Bearer ${SECRET}`, 'X-Zone': 'eu' } };
  const server = await startServer({ config: { channels: providers.channels(), delivery, ...config }, database });
  return { server, user: new Mutations(server.client) };
}

const startPurging = () => start(cdn.url + PATH);

/** Media that its provider lists, and deletes. */
async function listed({ server }: Started): Promise<MediaData> {
  received += 1;
  const [sid, mediaSid] = [signalwireMessageSid(received), signalwireMediaSid(received)];
  providers.signalwire.addMessage({ sid, media: [{ ...samples.photo, sid: mediaSid }] });
  return sole(sole(await server.client.media([`sms:${sid}`])));
}

const tags = () => purges.map(({ headers }) => headers['cache-tag']);

/** Runs a sweep of a process with the same configuration, whose clock is ahead by `ms`. */
function sweptIn(ms: number, { server }: Started, url = cdn.url + PATH): Promise<SweepReport> {
  const purge = new CdnPurge({ url, headers: {}, timeoutMs: TIMEOUT_MS });
  return sweepIn(ms, { database, blobs: server.blobs, purge });
}

describe('a deletion', () => {
  it('purges the CDN after the bytes are unreachable, and before it is acknowledged', async () => {
    const started = await startPurging();
    const { id, url } = await listed(started);
    let release = () => {};
    answer = (response) => {
      release = () => void response.end();
    };
    let isAcknowledged = false;
    const deletion = started.user.deleted(id).then((deleted) => {
      isAcknowledged = true;
      return deleted;
    });
    await until('the CDN to be told', () => purges.length === 1);
    expect(await started.user.media(id)).toMatchObject({ status: 'DELETED' });
    // Else the CDN would fetch it again right after the purge.
    expect((await started.server.client.get(url)).status).toBe(410);
    expect(isAcknowledged).toBe(false);
    release();
    expect(await deletion).toMatchObject({ media: { status: 'DELETED' } });

    const { line, headers, body } = sole(purges);
    expect([line, JSON.parse(body)]).toEqual([`POST ${PATH}`, { tags: [id] }]);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-tag': id,
      'surrogate-key': id,
      xkey: id,
      authorization: `Bearer ${SECRET}`,
      'x-zone': 'eu',
    });
  });

  it('purges at each call for it, and once more when deliveries under way have ended', async () => {
    const started = await startPurging();
    const { id } = await listed(started);
    for (const _ of ['deleted', 'deleted already']) await started.user.deleted(id);
    expect(tags()).toEqual([id, id]);
    for (const minutes of [2, 4]) await sweptIn(minutes * MINUTE_MS, started);
    expect(tags()).toEqual([id, id, id]);
  });

  it('sends no purge when none is configured, now and later', async () => {
    const started = await start(null);
    const { id } = await listed(started);
    await started.user.deleted(id);
    await sweptIn(2 * MINUTE_MS, started);
    expect(purges).toEqual([]);
  });

  it('that the provider refuses sends no purge', async () => {
    const started = await startPurging();
    const { id } = await listed(started);
    providers.signalwire.setInProgress(signalwireMessageSid(received), true);
    expect((await started.user.delete(id)).errors).toHaveLength(1);
    await sweptIn(2 * MINUTE_MS, started);
    expect(purges).toEqual([]);
  });
});

describe('a CDN that cannot be purged', () => {
  const faults: Array<[what: string, fault: (response: ServerResponse) => void]> = [
    ['answers 500', (response) => void response.writeHead(500).end(`no ${SECRET}`)],
    ['answers 302', (response) => void response.writeHead(302, { location: '/elsewhere' }).end()],
    ['ends the connection', (response) => void response.socket?.destroy()],
    ['does not answer', () => {}],
  ];

  it.each(faults)('%s: does not stop a deletion, and the purge is repeated until it succeeds', async (what, fault) => {
    const started = await startPurging();
    const { id, url } = await listed(started);
    answer = fault;
    expect(await started.user.deleted(id)).toMatchObject({ media: { status: 'DELETED' } });
    const got = await started.server.client.get(url);
    expect([got.status, errorOf(got).code, started.server.logged(FAILED)]).toEqual([410, 'MEDIA_GONE', 1]);
    expectNoSecretIn(started);
    // Younger than a minute it may be under way.
    await sweptIn(MINUTE_MS / 2, started);
    expect(tags()).toEqual([id]);
    // One time-out is enough.
    if (what === 'does not answer') answer = faults[0]?.[1] ?? well;
    await sweptIn(2 * MINUTE_MS, started);
    expect(tags()).toEqual([id, id]);
    answer = well;
    for (const minutes of [3, 4]) await sweptIn(minutes * MINUTE_MS, started);
    expect(tags()).toEqual([id, id, id]);
  });

  it('is unreachable: the purge is repeated', async () => {
    const gone = await RawServer.start();
    await gone.close();
    const started = await start(gone.url + PATH);
    const { id } = await listed(started);
    expect(await started.user.deleted(id)).toMatchObject({ media: { status: 'DELETED' } });
    expect(started.server.logged(FAILED)).toBe(1);
    expectNoSecretIn(started);
    await sweptIn(2 * MINUTE_MS, started, gone.url + PATH);
    await sweptIn(3 * MINUTE_MS, started);
    expect(tags()).toEqual([id]);
  });

  it('gets one attempt per sweep, for the oldest deletion first', async () => {
    const started = await startPurging();
    const media = [await listed(started), await listed(started), await listed(started)];
    answer = (response) => void response.writeHead(503).end();
    for (const { id } of media) await started.user.deleted(id);
    purges = [];
    await sweptIn(2 * MINUTE_MS, started);
    expect(tags()).toEqual([media[0]?.id]);
    answer = well;
    purges = [];
    await sweptIn(3 * MINUTE_MS, started);
    expect(tags()).toEqual(media.map(({ id }) => id));
  });

  /** Neither the URL, which may have a key in it, nor a header. */
  function expectNoSecretIn({ server }: Started): void {
    const lines = server.logLines.join('\n');
    for (const secret of [SECRET, 'secret-zone-42', 'secret-key-42']) expect(lines).not.toContain(secret);
  }
});

it('media that expires ends with its links, and needs no purge', async () => {
  const started = await start(cdn.url + PATH, { retention: { default: '1d' } });
  const { id, url } = await listed(started);
  await started.server.client.becomesStored(url);
  expect(await sweptIn(2 * 24 * 60 * MINUTE_MS, started)).toMatchObject({ expired: 1 });
  expect(await started.user.media(id)).toMatchObject({ status: 'EXPIRED' });
  expect(purges).toEqual([]);
});
