import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import { kirimMessageId, twilioMediaSid, twilioMessageSid } from '../../demo/src/emulators/sample-ids.js';
import { describeServer } from '../support/databases.js';
import { openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { samples } from '../support/sample-messages.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { ACCOUNTS, errorOf, headerOf, kirimChannel, nth, SECRETS, sole } from '../support/test-bed.js';

const TEST_MS = 90_000;
/** Longer than any request may take while the database is silent; a router gives up after about as long. */
const ANSWER_MS = 30_000;

const MEDIA = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id status url } } }';

const cdn = new CdnEmulator();
const meta = metaEmulator();
const kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn });
const twilioAccount = { accountSid: ACCOUNTS.twilio, username: ACCOUNTS.twilio, password: SECRETS.twilioPassword };
const twilio = new LamlEmulator({ flavour: 'twilio', ...twilioAccount, cdn });
const askable = [`wa:${kirimMessageId(1)}`, `mms:${twilioMessageSid(1)}`];
let photos = 0;

beforeAll(async () => {
  await Promise.all([cdn, meta, kirim, twilio].map((emulator) => emulator.start()));
  kirim.addMessage({ id: kirimMessageId(1), media: samples.photo });
  twilio.addMessage({ sid: twilioMessageSid(1), media: [{ ...samples.photo, sid: twilioMediaSid(1) }] });
});
afterAll(() => Promise.all([cdn, meta, kirim, twilio].map((emulator) => emulator.close())));
afterEach(() => {
  for (const emulator of [meta, meta.lookaside]) {
    emulator.faults.length = 0;
    emulator.clearRequests();
  }
});

const channels = () => [
  metaChannel(meta),
  kirimChannel(kirim.baseUrl),
  { id: 'mms', provider: 'twilio', baseUrl: twilio.baseUrl, credentials: twilioAccount },
];

function receive(): MetaPhoto {
  photos += 1;
  return receivePhoto(meta, photos);
}

async function send({ client }: OwnServer, { delivery }: MetaPhoto): Promise<number> {
  return (await client.deliver(META, delivery)).status;
}

/** What the contract promises for the time without a database. `stored` is a link to what is stored. */
async function expectHonestAbsence(server: OwnServer, stored: string): Promise<void> {
  const { client } = server;
  const unacknowledged = receive();
  const webhook = await client.deliver(META, unacknowledged.delivery);
  expect([webhook.status, errorOf(webhook).code]).toEqual([503, 'INTERNAL_SERVER_ERROR']);
  expect(Number(headerOf(webhook, 'retry-after'))).toBeGreaterThan(0);

  const { data, errors } = await client.query(MEDIA, { ids: [...askable, unacknowledged.id] });
  for (const index of [0, 1]) {
    const media = sole(data?.messagesWithMedia[index]?.media);
    expect(media.status).toBe('READY');
  }
  expect(data?.messagesWithMedia[2]?.media ?? null).toBeNull();
  expect(errors.map(({ path, extensions }) => [nth(path, 1), extensions.code, extensions.retryable])).toEqual([
    [2, 'INTERNAL_SERVER_ERROR', true],
  ]);

  const delivery = await client.get(stored);
  expect([delivery.status, errorOf(delivery).code]).toEqual([503, 'INTERNAL_SERVER_ERROR']);
  expect(Number(headerOf(delivery, 'retry-after'))).toBeGreaterThan(0);
  expect((await client.get('/readyz')).status).toBe(503);
  expect((await client.get('/livez')).status).toBe(200);
}

/** Everything works, and every event that was acknowledged before is here. */
async function expectRecovery(server: OwnServer, acknowledged: readonly MetaPhoto[]): Promise<void> {
  await until('/readyz to answer 200', async () => (await server.client.get('/readyz')).status === 200);
  const fresh = receive();
  expect(await send(server, fresh)).toBe(200);
  for (const photo of [...acknowledged, fresh]) {
    const { url } = await server.client.becomes('READY', photo.id);
    expect((await server.client.get(url)).bytes.equals(photo.bytes)).toBe(true);
  }
}

describe('a database that is gone, embedded', () => {
  const startServer = useOwnServers();

  it(
    'leaves answers that need no database, and a clear error for the others',
    async () => {
      const database = await openEmbeddedDatabase();
      try {
        const server = await startServer({ config: { channels: channels() }, database });
        const stored = receive();
        expect(await send(server, stored)).toBe(200);
        const { url } = await server.client.becomes('READY', stored.id);
        await database.close();
        await expectHonestAbsence(server, url);
      } finally {
        await database.close();
      }
    },
    TEST_MS,
  );
});

describeServer('a database that goes away', (database) => {
  let proxy: TcpProxy;
  beforeEach(async () => {
    proxy = await TcpProxy.start(database.url());
  });
  // Before the servers are closed, whose last words are for the database: hooks run in the order of their registration.
  afterEach(() => proxy.restore());
  const startServer = useOwnServers();
  afterEach(() => proxy.close());

  const start = (config: Readonly<Record<string, unknown>> = {}): Promise<OwnServer> =>
    startServer({ config: { database: { url: proxy.url }, channels: channels(), ...config } });

  it(
    'refuses connections, and returns: unknown facts are errors, and no acknowledged event is lost',
    async () => {
      const server = await start();
      const stored = receive();
      expect(await send(server, stored)).toBe(200);
      const { url } = await server.client.becomes('READY', stored.id);
      const acknowledged = [receive(), receive(), receive()];
      for (const photo of acknowledged) expect(await send(server, photo)).toBe(200);
      await proxy.cut();
      await expectHonestAbsence(server, url);
      await proxy.restore();
      await expectRecovery(server, [stored, ...acknowledged]);
    },
    TEST_MS,
  );

  it(
    'ends all its connections, as at a restart: the next requests are answered, and no acknowledged event is lost',
    async () => {
      const server = await start();
      const acknowledged: MetaPhoto[] = [];
      for (let round = 0; round < 5; round++) {
        const [before, during] = [receive(), receive()];
        expect(await send(server, before)).toBe(200);
        const [status] = await Promise.all([
          send(server, during),
          database.query(
            'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
          ),
        ]);
        // The provider repeats what was not acknowledged.
        if (status !== 200) expect([round, status]).toEqual([round, 503]);
        await until('the webhook to be acknowledged', async () => (await send(server, during)) === 200);
        acknowledged.push(before, during);
      }
      await expectRecovery(server, acknowledged);
    },
    TEST_MS,
  );

  it(
    'accepts statements without answers: requests are still answered, within half a minute',
    async () => {
      const server = await start();
      const stored = receive();
      expect(await send(server, stored)).toBe(200);
      const { url } = await server.client.becomes('READY', stored.id);
      proxy.silence();
      const signal = AbortSignal.timeout(ANSWER_MS);
      const unacknowledged = receive();
      const { client } = server;
      const answers = await Promise.all([
        statusOf(client.get('/readyz', { signal })),
        statusOf(client.get(url, { signal })),
        statusOf(
          client.get(`/webhooks/${META}`, {
            method: 'POST',
            headers: unacknowledged.delivery.headers,
            body: unacknowledged.delivery.body.toString(),
            signal,
          }),
        ),
        statusOf(
          client.get('/graphql', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ query: MEDIA, variables: { ids: askable } }),
            signal,
          }),
        ),
      ]);
      expect(answers).toEqual([503, 503, 503, 200]);
      await proxy.restore();
      await expectRecovery(server, [stored]);
    },
    TEST_MS,
  );

  it(
    'makes unknown what a provider no longer lists: it may have a row',
    async () => {
      const sid = twilioMessageSid(2);
      twilio.addMessage({ sid, media: [{ ...samples.photo, sid: twilioMediaSid(2) }] });
      const server = await start();
      const { id, url } = sole(sole(await server.client.media([`mms:${sid}`])));
      expect((await server.client.get(url)).status).toBe(200);
      await server.client.becomesStored(url);
      // Another process remembers no listing.
      const { client } = await start();
      twilio.addMessage({ sid, media: [] });
      await proxy.cut();
      const user = new Mutations(client);
      const known = await user.ask<unknown>('query($id: ID!) { media(id: $id) { id } }', { id });
      for (const { errors } of [known, await user.delete(id)])
        expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR', retryable: true } }]);
      await proxy.restore();
      await until('the media to be known', async () => (await user.media(id))?.id === id);
    },
    TEST_MS,
  );

  it(
    'during a deletion that its provider refuses is an error to repeat',
    async () => {
      const server = await start();
      const stored = receive();
      expect(await send(server, stored)).toBe(200);
      const { id } = await server.client.becomes('READY', stored.id);
      const isDeletion = ({ method }: { readonly method: string }) => method === 'DELETE';
      meta.faults.push({ match: isDeletion, fault: { kind: 'status', status: 400 } });
      meta.clearRequests();
      meta.latencyMs = 2_000;
      try {
        const deletion = new Mutations(server.client).delete(id);
        await until('the provider to be asked', () => meta.requests.some(isDeletion));
        await proxy.cut();
        const { errors } = await deletion;
        expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR', retryable: true } }]);
      } finally {
        meta.latencyMs = 0;
      }
    },
    TEST_MS,
  );

  it(
    'at the end of a copy causes another attempt, also while other copies are under way',
    async () => {
      const server = await start({ providers: { 'whatsapp-cloud': { timeout: '10m' } } });
      const [endless, copied] = [receive(), receive()];
      meta.lookaside.faults.push({ match: new RegExp(`mid=${endless.mediaId}&`), fault: { kind: 'hang' } });
      meta.lookaside.faults.push({
        match: new RegExp(`mid=${copied.mediaId}&`),
        fault: { kind: 'delay', ms: 1_000 },
        times: 1,
      });
      for (const photo of [endless, copied]) expect(await send(server, photo)).toBe(200);
      await until('both copies to be under way', () => meta.lookaside.requestCount === 2);
      await proxy.cut();
      await until('the end of the copy to be lost', () => server.logged('a job could not be ended') > 0);
      await proxy.restore();
      // Its lease ends, although this process goes on to renew the other's.
      await server.client.becomes('READY', copied.id, 45_000);
    },
    TEST_MS,
  );
});

/** The answer; `null` when there was none in time. */
async function statusOf(answer: Promise<{ readonly status: number }>): Promise<number | null> {
  try {
    return (await answer).status;
  } catch {
    return null;
  }
}
