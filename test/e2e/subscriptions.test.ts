/** `mediaUpdated` over both protocols, as gateways and frontends speak them, with the reference clients of both. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { sql } from 'kysely';
import { request } from 'undici';
import { WebSocket } from 'ws';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import type { Database } from '../../src/database/database.js';
import { openDatabase } from '../../src/database/database.js';
import { describeEngines, describeServer } from '../support/databases.js';
import { borrowDatabase, emptyTables, giveBack } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { META, type MetaPhoto, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { OwnServer } from '../support/own-server.js';
import { Subscriber, TRANSPORTS, type Transport } from '../support/subscribers.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { kirimChannel, type MediaData } from '../support/test-bed.js';

const UPDATED = 'subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { id status url message { id } } }';
const digest = (key: string) => createHash('sha256').update(key).digest('hex');

interface Updated {
  readonly mediaUpdated: Pick<MediaData, 'id' | 'status' | 'url' | 'message'>;
}

let meta: WhatsAppEmulator;
let serial = 0;
const closings: Array<() => unknown> = [];

beforeAll(async () => {
  meta = await metaEmulator().start();
});
afterAll(() => meta.close());
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

function photo(): MetaPhoto {
  serial += 1;
  return receivePhoto(meta, serial);
}

async function start(database: Database, config: Readonly<Record<string, unknown>> = {}): Promise<OwnServer> {
  const server = await OwnServer.start({ config: { channels: [metaChannel(meta)], ...config }, database });
  closings.push(() => server.close());
  return server;
}

interface Subscribing {
  readonly transport?: Transport;
  readonly query?: string;
  readonly authorization?: string;
}

function subscribe(
  { client: { url } }: OwnServer,
  ids: readonly string[],
  { transport = 'websocket', query = UPDATED, authorization }: Subscribing = {},
): Subscriber<Updated> {
  const subscriber = Subscriber.open<Updated>({ transport, url, query, variables: { ids }, authorization });
  closings.push(() => subscriber.close());
  return subscriber;
}

const statuses = ({ results }: Subscriber<Updated>) => results.map(({ data }) => data?.mediaUpdated.status);
const codes = ({ results }: Subscriber<Updated>) => results.at(-1)?.errors?.map(({ extensions }) => extensions.code);

/** Resolves when this many subscriptions are open over any connections. No later change is missed. */
/** A server that asks for credentials asks for this one where its metrics are read. */
const METRICS_TOKEN = 'metrics-token-0123456789';

async function isSubscribed({ client }: OwnServer, count = 1): Promise<void> {
  await until(`${count} subscriptions to be open`, async () => {
    const { bytes } = await client.get('/metrics', { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    return new RegExp(`^mediagraph_subscriptions ${count}$`, 'm').test(bytes.toString());
  });
}

describeEngines('mediaUpdated', ({ shared, replica }) => {
  it.each(TRANSPORTS)(
    'reports over %s every status of a media, from its webhook to its deletion',
    async (transport) => {
      const server = await start(shared());
      const [watched, other] = [photo(), photo()];
      const subscriber = subscribe(server, [watched.id], { transport });
      await isSubscribed(server);
      for (const { delivery } of [other, watched])
        expect((await server.client.deliver(META, delivery)).status).toBe(200);
      await subscriber.has(2);
      const { data } = subscriber.results[1] ?? {};
      expect(data?.mediaUpdated.message?.id).toBe(watched.id);
      expect((await server.client.get(data?.mediaUpdated.url ?? '')).bytes.equals(watched.bytes)).toBe(true);
      await new Mutations(server.client).delete(data?.mediaUpdated.id ?? '');
      await subscriber.has(3);
      expect(statuses(subscriber)).toEqual(['PENDING', 'READY', 'DELETED']);
      subscriber.close();
      await isSubscribed(server, 0);
    },
  );

  it('reports changes by another replica', async () => {
    const [listener, worker] = [await start(shared()), await start(replica())];
    const watched = photo();
    const subscriber = subscribe(listener, [watched.id]);
    await isSubscribed(listener);
    await worker.client.deliver(META, watched.delivery);
    await subscriber.has(2);
    expect(statuses(subscriber)).toEqual(['PENDING', 'READY']);
  });
});

describeServer('mediaUpdated while the database is away', ({ url }) => {
  it('catches up with missed changes', async () => {
    const proxy = await TcpProxy.start(url());
    closings.push(() => proxy.close());
    const databases = await Promise.all([openDatabase({ url: proxy.url }), openDatabase({ url: url() })]);
    for (const database of databases) closings.push(() => database.close());
    const [cutOff, worker] = [await start(databases[0]), await start(databases[1])];
    const watched = photo();
    const subscriber = subscribe(cutOff, [watched.id]);
    await isSubscribed(cutOff);
    await proxy.cut();
    await worker.client.deliver(META, watched.delivery);
    await worker.client.becomes('READY', watched.id);
    await proxy.restore();
    await subscriber.has(1);
    expect(statuses(subscriber)).toEqual(['READY']);
  });
});

describe('subscriptions', () => {
  const keys = { reader: 'reader-key-0123456789', writer: 'writer-key-0123456789', globex: 'globex-key-0123456789' };
  const apiKey = (key: string, tenant: string, scope: string) => ({ sha256: digest(key), tenant, scopes: [scope] });
  const auth = {
    mode: 'apiKey',
    apiKeys: [
      apiKey(keys.reader, 'default', 'media:read'),
      apiKey(keys.writer, 'default', 'media:write'),
      apiKey(keys.globex, 'globex', 'media:read'),
    ],
  };
  let database: Database;
  let server: OwnServer;
  let guarded: OwnServer;

  beforeAll(async () => {
    database = await borrowDatabase();
    const channels = [metaChannel(meta), kirimChannel('http://127.0.0.1:1/v1', { id: 'globex-wa', tenant: 'globex' })];
    const limits = { subscriptionsPerConnection: 2 };
    [server, guarded] = await Promise.all([
      OwnServer.start({ config: { channels: [metaChannel(meta)], limits }, database }),
      OwnServer.start({ config: { channels, auth, metrics: { token: METRICS_TOKEN } }, database }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([server.close(), guarded.close()]);
    await giveBack(database);
  });
  beforeEach(() => emptyTables(database));

  describe.each(TRANSPORTS)('over %s', (transport) => {
    it('are refused without good credentials', async () => {
      for (const authorization of [undefined, 'Bearer nobody-knows-this-one', keys.reader]) {
        const subscriber = subscribe(guarded, ['cloud:m'], { transport, authorization });
        const fault = await subscriber.ended();
        expect([fault !== null, subscriber.results]).toEqual([true, []]);
        if (transport === 'websocket') expect(fault).toMatchObject({ code: 4403 });
      }
    });

    it.each<[string, readonly string[], string | undefined, string]>([
      ['without the scope to read', ['cloud:m'], `Bearer ${keys.writer}`, 'FORBIDDEN'],
      ["for a channel of another tenant's", ['cloud:m'], `Bearer ${keys.globex}`, 'CHANNEL_NOT_FOUND'],
      ['for a channel that does not exist', ['nobody:m'], `Bearer ${keys.reader}`, 'CHANNEL_NOT_FOUND'],
      ['for no message', [], `Bearer ${keys.reader}`, 'BAD_USER_INPUT'],
      [
        'for more messages than a query may name',
        Array(101).fill('cloud:m'),
        `Bearer ${keys.reader}`,
        'BAD_USER_INPUT',
      ],
      ['for a message without its channel', ['wamid.X'], `Bearer ${keys.reader}`, 'BAD_USER_INPUT'],
      ['for a path', ['cloud:../m'], `Bearer ${keys.reader}`, 'BAD_USER_INPUT'],
    ])('end with one error %s', async (_case, ids, authorization, code) => {
      const subscriber = subscribe(guarded, ids, { transport, authorization });
      expect(await subscriber.ended()).toBeNull();
      expect([subscriber.results.length, codes(subscriber)]).toEqual([1, [code]]);
      expect(subscriber.results[0]?.errors?.[0]?.extensions.requestId).toEqual(expect.any(String));
    });

    it.each<[string, string, string]>([
      ['cannot be parsed', 'subscription {', 'GRAPHQL_PARSE_FAILED'],
      ['asks for what there is not', 'subscription { mediaDreamt { id } }', 'GRAPHQL_VALIDATION_FAILED'],
      [
        'is too deep',
        `subscription { mediaUpdated(messageIds: ["cloud:m"]) ${'{ message { media '.repeat(5)}{ id }${' } }'.repeat(5)} }`,
        'QUERY_TOO_COMPLEX',
      ],
    ])('refuse a document that %s', async (_case, query, code) => {
      const subscriber = subscribe(server, [], { transport, query });
      const fault = await subscriber.ended();
      // As a message of its own over sockets, as a result over events.
      const errors = transport === 'sse' ? subscriber.results[0]?.errors : fault;
      expect(errors).toEqual([expect.objectContaining({ extensions: expect.objectContaining({ code }) })]);
    });

    it('carry queries as well', async () => {
      const subscriber = subscribe(server, [], { transport, query: '{ mediaChannels { id } }' });
      expect(await subscriber.ended()).toBeNull();
      expect(subscriber.results).toEqual([{ data: { mediaChannels: [{ id: META }] } }]);
    });

    it('end with an error when the credentials are revoked', async () => {
      const watched = photo();
      const subscriber = subscribe(guarded, [watched.id], { transport, authorization: `Bearer ${keys.reader}` });
      await isSubscribed(guarded);
      await guarded.reload({ auth: { ...auth, apiKeys: auth.apiKeys.slice(1) } });
      await guarded.client.deliver(META, watched.delivery);
      await subscriber.ended();
      expect([subscriber.results.length, codes(subscriber)]).toEqual([1, ['UNAUTHENTICATED']]);
      await guarded.reload({ auth });
    });

    it('are closed so that clients reconnect when the server shuts down', async () => {
      const config = { channels: [metaChannel(meta)] };
      const leaving = await OwnServer.start({ config, database });
      const subscriber = subscribe(leaving, ['cloud:m'], { transport });
      await isSubscribed(leaving);
      await leaving.close();
      const fault = await subscriber.ended();
      if (transport === 'websocket') expect(fault).toMatchObject({ code: 1001 });
      else expect(fault).not.toBeNull();
    });
  });

  it('are limited in number over one socket', async () => {
    const socket = new WebSocket(`${server.client.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const messages: Array<{ type: string; id?: string; payload?: unknown }> = [];
    socket.on('message', (data) => messages.push(JSON.parse(data.toString())));
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await until('the socket to be accepted', () => messages.length === 1);
    for (const id of ['1', '2', '3'])
      socket.send(
        JSON.stringify({ type: 'subscribe', id, payload: { query: UPDATED, variables: { ids: ['cloud:m'] } } }),
      );
    await until('an answer', () => messages.length === 2);
    expect(messages[1]).toMatchObject({ type: 'error', id: '3', payload: [{ extensions: { code: 'RATE_LIMITED' } }] });
    await isSubscribed(server, 2);
    socket.close();
    await isSubscribed(server, 0);
  });

  it('cannot be opened by pages of other sites when no credentials are required', async () => {
    const handshake = async (origin: string, { client: { url } }: OwnServer) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { origin });
      const status = await new Promise((resolve) => {
        socket.once('open', () => resolve(101));
        socket.once('unexpected-response', (_request, response) => resolve(response.statusCode));
        socket.once('error', () => {});
      });
      socket.terminate();
      return status;
    };
    expect(await handshake('https://evil.example', server)).toBe(403);
    expect(await handshake('http://127.0.0.1.evil.example', server)).toBe(403);
    expect(await handshake('http://localhost:5173', server)).toBe(101);
    expect(await handshake('https://app.example', guarded)).toBe(101);
  });

  it('are refused when the request accepts only a single answer', async () => {
    const answer = await server.client.query(UPDATED, { ids: ['cloud:m'] });
    expect(answer.errors.map(({ message, extensions: { code } }) => [code, message])).toEqual([
      ['BAD_REQUEST', expect.stringContaining('text/event-stream')],
    ]);
  });

  it('work over events by GET, and only they do', async () => {
    const { url } = server.client;
    const headers = { accept: 'text/event-stream' };
    const get = (query: string) =>
      request(`${url}/graphql?${new URLSearchParams({ query, variables: '{"ids":["cloud:m"]}' })}`, { headers });
    const events = await get(UPDATED);
    expect([events.statusCode, events.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    events.body.on('error', () => {}).destroy();
    for (const query of ['{ mediaChannels { id } }', 'mutation { deleteMedia(input: { id: "x" }) { scope } }', '{']) {
      const { statusCode, body } = await get(query);
      expect([query, statusCode >= 400]).toEqual([query, true]);
      await body.dump();
    }
  });

  it('use events when the client accepts both, and queries do not', async () => {
    const ask = (query: string) =>
      request(`${server.client.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify({ query, variables: { ids: ['cloud:m'] } }),
      });
    const events = await ask(UPDATED);
    expect(events.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    events.body.on('error', () => {}).destroy();
    const single = await ask('{ mediaChannels { id } }');
    expect(single.headers['content-type']).toMatch('application/json');
    await single.body.dump();
  });

  it('keep only the latest change of each media for a reader that does not read', async () => {
    const watched = photo();
    await server.client.deliver(META, watched.delivery);
    await server.client.becomes('READY', watched.id);
    // Some kilobytes a piece, so that a socket is full after some hundred.
    const links = Array.from({ length: 25 }, (_, index) => `url${index}: url`).join(' ');
    const query = `subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { status ${links} } }`;
    const socket = await unreadEvents(server, { query, variables: { ids: [watched.id] } });
    await isSubscribed(server);
    const rounds = 40;
    const toAndFro = `do $$ begin for change in 1..50 loop
      update media set status = 'PENDING'; commit; update media set status = 'READY'; commit;
    end loop; end $$`;
    for (let round = 0; round < rounds; round++) {
      await sql.raw(toAndFro).execute(database.kysely);
      await server.client.get('/livez');
    }
    await sql`update media set status = 'FAILED'`.execute(database.kysely);
    const events = await readEvents(socket, (text) => text.includes('FAILED'));
    expect(events.match(/^event: next$/gm)?.length).toBeLessThan(rounds * 75);
    socket.destroy();
  });
});

/** A request for events whose answer is not read until {@link readEvents}. */
async function unreadEvents({ client: { url } }: OwnServer, payload: unknown): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = createConnection({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  const body = JSON.stringify(payload);
  const headers = [
    'POST /graphql HTTP/1.1',
    `Host: ${hostname}:${port}`,
    'Accept: text/event-stream',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${headers.join('\r\n')}\r\n\r\n${body}`);
  return socket;
}

async function readEvents(socket: Socket, isWhole: (text: string) => boolean): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await until('all events', () => isWhole(text.slice(-20_000)));
  return text;
}
