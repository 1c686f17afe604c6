/** `auth.mode: jwt`: tokens of an issuer, over requests and subscriptions, and how its keys change. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Database } from '../../src/database/database.js';
import { borrowDatabase, giveBack } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { Issuer, secondsFromNow } from '../support/issuer.js';
import { type OwnServer, useOwnServers } from '../support/own-server.js';
import { RawServer } from '../support/raw-server.js';
import { Subscriber, TRANSPORTS } from '../support/subscribers.js';
import { type Got, type GraphQLFault, kirimChannel, sole } from '../support/test-bed.js';

const API_KEY = 'api-key-0123456789';
const sha256 = createHash('sha256').update(API_KEY).digest('hex');
const apiKeys = [{ sha256, tenant: 'globex', scopes: ['media:read'] }];
const channels = [
  kirimChannel('http://127.0.0.1:1/v1', { id: 'ours' }),
  kirimChannel('http://127.0.0.1:1/v1', { id: 'theirs', tenant: 'globex' }),
];
const CHANNELS = '{ mediaChannels { id } }';

const startServer = useOwnServers();
let issuer: Issuer;
let database: Database;

beforeAll(async () => {
  database = await borrowDatabase();
}, 60_000);
afterAll(() => giveBack(database));
beforeEach(async () => {
  issuer = await Issuer.start();
});
afterEach(() => issuer.close());

function start(auth: Readonly<Record<string, unknown>> = issuer.auth()): Promise<OwnServer> {
  return startServer({ config: { auth, channels }, database });
}

interface Answer {
  readonly status: number;
  readonly channels: string[] | null;
  readonly errors: readonly GraphQLFault[];
}

async function ask({ client }: OwnServer, credentials: string, query = CHANNELS): Promise<Answer> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${credentials}` };
  const { status, bytes } = await client.get('/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) });
  const { data, errors = [] } = JSON.parse(bytes.toString());
  const listed: Array<{ id: string }> | null = data?.mediaChannels ?? null;
  return { status, channels: listed?.map(({ id }) => id) ?? null, errors };
}

const readiness = async ({ client }: OwnServer): Promise<[number, string | undefined]> => {
  const { status, bytes }: Got = await client.get('/readyz');
  return [status, JSON.parse(bytes.toString()).reason];
};

/** The code with which a socket with these credentials is closed. */
async function closeOfSocket({ client }: OwnServer, credentials: string): Promise<number> {
  const socket = new WebSocket(`${client.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    headers: { authorization: `Bearer ${credentials}` },
  });
  socket.once('open', () => socket.send('{"type":"connection_init"}'));
  const [code]: number[] = await once(socket, 'close');
  return code ?? 0;
}

describe('tokens', () => {
  it.each(['RS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA'])('signed with %s open their tenant', async (alg) => {
    const key = await issuer.addKey({ alg });
    const server = await start();
    expect(await ask(server, await issuer.token({ key }))).toEqual({ status: 200, channels: ['ours'], errors: [] });
    const token = await issuer.token({ key, claims: { tenant: 'globex' } });
    expect((await ask(server, token)).channels).toEqual(['theirs']);
  });

  it('carry tenant and scopes in the configured claims, as a text or as a list', async () => {
    const server = await start(issuer.auth({ tenantClaim: 'https://example.com/org', scopeClaim: 'permissions' }));
    const org = { tenant: undefined, scope: undefined, 'https://example.com/org': 'globex' };
    for (const permissions of ['media:write media:read', ['media:read', 'other']])
      expect((await ask(server, await issuer.token({ claims: { ...org, permissions } }))).channels).toEqual(['theirs']);
    for (const permissions of ['media:write', ['media:read media:write'], undefined, '']) {
      const { status, errors } = await ask(server, await issuer.token({ claims: { ...org, permissions } }));
      expect([status, sole(errors).extensions.code]).toEqual([200, 'FORBIDDEN']);
    }
  });

  it('without a scope open what needs none', async () => {
    const token = await issuer.token({ claims: { scope: undefined } });
    expect(await ask(await start(), token, '{ __typename }')).toMatchObject({ status: 200, errors: [] });
  });

  it('are accepted with one of several audiences, and a minute after they expired', async () => {
    const server = await start();
    const claims = [
      { aud: ['other', 'mediagraph'] },
      { exp: secondsFromNow(-30) },
      { nbf: secondsFromNow(30) },
      { exp: secondsFromNow(600) + 0.5 },
    ];
    for (const changed of claims)
      expect((await ask(server, await issuer.token({ claims: changed }))).channels).toEqual(['ours']);
  });

  it('are verified once while they and their key stay valid', async () => {
    const server = await start();
    const token = await issuer.token();
    await ask(server, token);
    const [head, payload, signature = ''] = token.split('.');
    expect((await ask(server, token)).status).toBe(200);
    const forged = `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`;
    expect((await ask(server, `${head}.${payload}.${forged}`)).status).toBe(401);
  });

  it('are accepted beside API keys', async () => {
    const server = await start(issuer.auth({}, { apiKeys }));
    expect((await ask(server, API_KEY)).channels).toEqual(['theirs']);
    expect((await ask(server, await issuer.token())).channels).toEqual(['ours']);
    expect((await ask(server, `${API_KEY}x`)).status).toBe(401);
  });
});

describe('the keys of an issuer', () => {
  it('are fetched once for a new one, which is accepted at once', async () => {
    const server = await start();
    expect((await ask(server, await issuer.token())).status).toBe(200);
    const key = await issuer.addKey({ alg: 'RS256' });
    const token = await issuer.token({ key });
    const asked = await Promise.all(Array.from({ length: 20 }, () => ask(server, token)));
    expect(asked.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(issuer.fetches).toBe(2);
  });

  it('are asked for at most once in ten seconds by tokens that name unknown ones', async () => {
    const server = await start();
    const key = await issuer.makeKey();
    for (let index = 0; index < 20; index++) {
      const header = { kid: `../../${index}\n'"` };
      expect((await ask(server, await issuer.token({ key, header }))).status).toBe(401);
    }
    expect(issuer.fetches).toBe(2);
  });

  it('may have one without an id, also a replaced one', async () => {
    issuer.keys.splice(0);
    const key = await issuer.addKey({ members: { kid: undefined } });
    const server = await start();
    expect((await ask(server, await issuer.token({ key }))).status).toBe(200);
    issuer.keys.splice(0);
    const next = await issuer.addKey({ members: { kid: undefined } });
    expect((await ask(server, await issuer.token({ key: next }))).status).toBe(200);
    // The other key is no longer published, and what was verified with it is forgotten.
    expect((await ask(server, await issuer.token({ key }))).status).toBe(401);
  });

  it('end the tokens of one that is removed, also of tokens that were verified before', async () => {
    const server = await start();
    const token = await issuer.token();
    expect((await ask(server, token)).status).toBe(200);
    const [removed] = issuer.keys.splice(0);
    const key = await issuer.addKey();
    expect((await ask(server, await issuer.token({ key }))).status).toBe(200);
    expect((await ask(server, token)).status).toBe(401);
    expect((await ask(server, await issuer.token({ key: removed }))).status).toBe(401);
  });

  it('keep the server unready, which says why, until they can be fetched', async () => {
    issuer.answer = (_request, response) => void response.writeHead(503).end();
    const server = await start();
    const token = await issuer.token();
    expect(await readiness(server)).toEqual([503, 'the key set of auth.jwt.jwksUrl was not available yet']);
    expect((await server.client.get('/livez')).status).toBe(200);
    const waiting = await server.client.get('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: CHANNELS }),
    });
    expect([waiting.status, Number(waiting.headers['retry-after']) >= 1]).toEqual([503, true]);
    expect(sole(JSON.parse(waiting.bytes.toString()).errors)).toMatchObject({
      extensions: { code: 'INTERNAL_SERVER_ERROR', retryable: true, retryAfterMs: expect.any(Number) },
    });
    expect((await ask(server, 'no token')).status).toBe(401);
    expect(await closeOfSocket(server, token)).toBe(1013);
    expect(await closeOfSocket(server, 'no token')).toBe(4403);
    issuer.answer = null;
    await until('the server to be ready', async () => (await readiness(server))[0] === 200);
    expect((await ask(server, token)).status).toBe(200);
  });

  it('stay in use while the issuer is away', async () => {
    const server = await start();
    const token = await issuer.token();
    const other = await issuer.token({ claims: { sub: 'another' } });
    expect((await ask(server, token)).status).toBe(200);
    await issuer.close();
    const unknown = await issuer.token({ key: await issuer.makeKey() });
    expect((await ask(server, unknown)).status).toBe(401);
    expect([(await ask(server, token)).status, (await ask(server, other)).status]).toEqual([200, 200]);
    expect((await readiness(server))[0]).toBe(200);
    expect(server.logged('the known keys stay in use')).toBe(1);
  });
});

describe('a reload', () => {
  it('applies other settings of tokens, and from and to API keys', async () => {
    const server = await start();
    const token = await issuer.token();
    const other = await issuer.token({ claims: { iss: 'https://other.example.com' } });
    const statuses = async () => [
      (await ask(server, token)).status,
      (await ask(server, other)).status,
      (await ask(server, API_KEY)).status,
    ];
    expect(await statuses()).toEqual([200, 401, 401]);
    await server.reload({ auth: issuer.auth({ issuer: 'https://other.example.com' }, { apiKeys }) });
    expect(await statuses()).toEqual([401, 200, 200]);
    expect(issuer.fetches).toBe(1);
    await server.reload({ auth: { mode: 'apiKey', apiKeys } });
    expect(await statuses()).toEqual([401, 401, 200]);
    await server.reload({ auth: issuer.auth() });
    expect(await statuses()).toEqual([200, 401, 401]);
    await server.reload({ auth: { mode: 'none' } });
    expect(await statuses()).toEqual([200, 401, 401]);
    expect(server.logLines.join('')).toContain('auth.mode');
  });

  it('moves to the keys of another issuer', async () => {
    const server = await start();
    const next = await Issuer.start();
    try {
      await server.reload({ auth: next.auth() });
      expect((await ask(server, await next.token())).status).toBe(200);
      expect((await ask(server, await issuer.token())).status).toBe(401);
    } finally {
      await next.close();
    }
    const gone = await RawServer.start();
    await gone.close();
    await server.reload({ auth: issuer.auth({ jwksUrl: gone.url }) });
    expect((await ask(server, await issuer.token())).status).toBe(503);
    expect((await readiness(server))[0]).toBe(200);
  });

  it('leaves a server unready that has never had keys', async () => {
    issuer.answer = (_request, response) => void response.writeHead(503).end();
    const server = await start();
    await server.reload({ auth: issuer.auth({ issuer: 'https://other.example.com' }) });
    expect((await readiness(server))[0]).toBe(503);
  });
});

describe.each(TRANSPORTS)('subscriptions over %s', (transport) => {
  const query = 'subscription { mediaUpdated(messageIds: ["ours:m"]) { id } }';
  const subscribe = (server: OwnServer, token: string) =>
    Subscriber.open({ transport, url: server.client.url, query, authorization: `Bearer ${token}` });

  it('end when their token expires', async () => {
    const server = await start();
    const lasting = subscribe(server, await issuer.token());
    const subscriber = subscribe(server, await issuer.token({ claims: { exp: secondsFromNow(2) } }));
    const fault = await subscriber.ended();
    if (transport === 'websocket') expect(fault).toMatchObject({ code: 4401, reason: 'the token has expired' });
    else {
      expect(fault).toBeNull();
      expect(sole(sole(subscriber.results).errors)).toMatchObject({
        message: expect.stringContaining('expired'),
        extensions: { code: 'UNAUTHENTICATED', requestId: expect.any(String) },
      });
    }
    expect([lasting.end, lasting.results]).toEqual([null, []]);
    lasting.close();
  });

  it('need a valid token', async () => {
    const server = await start();
    const subscriber = subscribe(server, await issuer.token({ key: await issuer.makeKey() }));
    await subscriber.ended();
    expect(subscriber.results.flatMap(({ data }) => data ?? [])).toEqual([]);
  });
});

it('a socket whose token has expired a moment ago is served while the token is accepted', async () => {
  const server = await start();
  const socket = new WebSocket(`${server.client.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open');
  const authorization = `Bearer ${await issuer.token({ claims: { exp: secondsFromNow(-5) } })}`;
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
  const [message] = await once(socket, 'message');
  expect(JSON.parse(String(message))).toEqual({ type: 'connection_ack' });
  socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: CHANNELS } }));
  const [result] = await once(socket, 'message');
  expect(JSON.parse(String(result))).toMatchObject({ type: 'next', payload: { data: expect.anything() } });
  socket.close();
});
