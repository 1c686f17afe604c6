/** Forged tokens and hostile key sets: refused with one answer, logged by their class, in bounded time. */
import { createHmac, createPublicKey } from 'node:crypto';
import { connect } from 'node:net';
import { base64url, CompactEncrypt, CompactSign } from 'jose';
import { WebSocket } from 'ws';
import type { Database } from '../../src/database/database.js';
import { borrowDatabase, giveBack } from '../support/embedded-database.js';
import { eventually } from '../support/eventually.js';
import { Issuer, secondsFromNow, type TokenOptions } from '../support/issuer.js';
import { OwnServer, useOwnServers } from '../support/own-server.js';
import { errorOf, sole } from '../support/test-bed.js';

const QUERY = JSON.stringify({ query: '{ __typename }' });
const TEST_MS = 30_000;

let issuer: Issuer;
let database: Database;

beforeAll(async () => {
  database = await borrowDatabase();
}, 60_000);
afterAll(() => giveBack(database));

function ask({ client }: OwnServer, authorization: string) {
  const headers = { 'content-type': 'application/json', authorization };
  return client.get('/graphql', { method: 'POST', headers, body: QUERY });
}

const json = (value: unknown) => base64url.encode(JSON.stringify(value));

describe('a token', () => {
  const startServer = useOwnServers();
  let server: OwnServer;
  beforeEach(async () => {
    issuer = await Issuer.start();
    server = await startServer({ config: { auth: issuer.auth(), channels: [] }, database, logLevel: 'info' });
  });
  afterEach(() => issuer.close());

  const refusals = () =>
    server.logLines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'a token was refused');

  const signed = (options: TokenOptions) => () => issuer.token(options);
  const claims = (changed: Readonly<Record<string, unknown>>) => signed({ claims: changed });
  const header = (changed: Readonly<Record<string, unknown>>) => signed({ header: changed });
  const ofOwnKey = async (changed: (key: { readonly jwk: unknown }) => Readonly<Record<string, unknown>>) => {
    const key = await issuer.makeKey();
    return issuer.token({ key, header: { kid: 'key-1', ...changed(key) } });
  };
  const unsigned = (changed: Readonly<Record<string, unknown>>, signature = '') =>
    `${json({ typ: 'JWT', ...changed })}.${json(issuer.claims())}.${signature}`;

  it.each<[string, string, () => Promise<string> | string]>([
    ['without a signature', 'malformed', () => unsigned({ alg: 'none' })],
    ['of alg none with a signature', 'algorithm', () => unsigned({ alg: 'none', kid: 'key-1' }, 'AAAA')],
    ['of alg NONE', 'algorithm', () => unsigned({ alg: 'nOnE', kid: 'key-1' }, 'AAAA')],
    [
      'with an HMAC by the public key',
      'algorithm',
      () => {
        const jwk = { ...sole(issuer.keys).jwk };
        const secret = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
        const text = unsigned({ alg: 'HS256', kid: 'key-1' }).slice(0, -1);
        return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
      },
    ],
    ['of another algorithm than its key', 'unknownKey', () => unsigned({ alg: 'ES384', kid: 'key-1' }, 'AAAA')],
    ['without an algorithm', 'algorithm', () => unsigned({ kid: 'key-1' }, 'AAAA')],
    ['of an algorithm that is a list', 'algorithm', () => unsigned({ alg: ['ES256'], kid: 'key-1' }, 'AAAA')],
    ['of a key that is not published', 'unknownKey', async () => issuer.token({ key: await issuer.makeKey() })],
    ['of another key by the name of a published one', 'signature', () => ofOwnKey(() => ({}))],
    ['with its own key', 'signature', () => ofOwnKey(({ jwk }) => ({ jwk }))],
    ['with a link to its own key', 'signature', () => ofOwnKey(() => ({ jku: `${issuer.server.url}/jku` }))],
    ['with a link to its certificate', 'signature', () => ofOwnKey(() => ({ x5u: `${issuer.server.url}/x5u` }))],
    ['with its certificate', 'signature', () => ofOwnKey(() => ({ x5c: ['MIIB'] }))],
    ['with a kid of a path', 'unknownKey', header({ kid: '../../../../dev/null' })],
    ['with a kid of SQL', 'unknownKey', header({ kid: "x' union select 'key" })],
    ['with a kid of a prototype', 'unknownKey', header({ kid: '__proto__' })],
    ['with a kid of 8 KB', 'unknownKey', header({ kid: 'k'.repeat(8_000) })],
    ['with a kid that is a number', 'header', () => unsigned({ alg: 'ES256', kid: 1 }, 'AAAA')],
    ['with a kid that is a list', 'header', () => unsigned({ alg: 'ES256', kid: ['key-1'] }, 'AAAA')],
    ['with an empty list of extensions', 'header', () => unsigned({ alg: 'ES256', kid: 'key-1', crit: [] }, 'AAAA')],
    [
      'with an extension',
      'header',
      async () => {
        const { privateKey, alg, kid } = sole(issuer.keys);
        return new CompactSign(Buffer.from(JSON.stringify(issuer.claims())))
          .setProtectedHeader({ alg, kid, crit: ['b64'], b64: true })
          .sign(privateKey);
      },
    ],
    ['of another issuer', 'issuer', claims({ iss: 'https://login.example.com' })],
    ['of a list of issuers', 'issuer', claims({ iss: ['https://login.example.com/'] })],
    ['without an issuer', 'claims', claims({ iss: undefined })],
    ['for another audience', 'audience', claims({ aud: 'mediagraph2' })],
    ['for other audiences', 'audience', claims({ aud: ['a', 'b'] })],
    ['without an audience', 'claims', claims({ aud: undefined })],
    ['that has expired', 'expired', claims({ exp: secondsFromNow(-90) })],
    ['that never expires', 'claims', claims({ exp: undefined })],
    ['whose expiry is a text', 'claims', () => issuer.raw({ exp: String(secondsFromNow(600)) })],
    ['whose expiry is null', 'claims', () => issuer.raw({ exp: null })],
    ['that is not valid yet', 'notYetValid', claims({ nbf: secondsFromNow(120) })],
    ['whose beginning is a text', 'claims', () => issuer.raw({ nbf: 'soon' })],
    ['whose issue is a list', 'claims', () => issuer.raw({ iat: [] })],
    ['without a tenant', 'tenant', claims({ tenant: undefined })],
    ['with an empty tenant', 'tenant', claims({ tenant: '' })],
    ['with tenants', 'tenant', claims({ tenant: ['default'] })],
    ['with a tenant that is a number', 'tenant', claims({ tenant: 1 })],
    ['with a tenant of a NUL', 'tenant', claims({ tenant: 'default\0' })],
    ['with a tenant of half a character', 'tenant', claims({ tenant: 'default\ud800' })],
    ['with a tenant of 400 bytes', 'tenant', claims({ tenant: 't'.repeat(400) })],
    ['with nested scopes', 'scopes', claims({ scope: [['media:read']] })],
    ['with scopes that are a mapping', 'scopes', claims({ scope: { 'media:read': true } })],
    ['with scopes that are numbers', 'scopes', claims({ scope: [1] })],
    ['with scopes that are null', 'scopes', claims({ scope: null })],
    ['that is no object', 'malformed', () => issuer.signed('[]')],
    ['that is no JSON', 'malformed', () => issuer.signed('{"exp":')],
    ['whose header is no JSON', 'malformed', () => `${base64url.encode('{')}.${json({})}.AAAA`],
    ['whose header is a list', 'malformed', () => `${json([])}.${json({})}.AAAA`],
    ['of two parts', 'malformed', () => 'e30.e30'],
    ['of a word', 'malformed', () => 'token'],
    [
      'that is encrypted',
      'malformed',
      async () =>
        new CompactEncrypt(Buffer.from(await issuer.token()))
          .setProtectedHeader({ alg: 'dir', enc: 'A128GCM', kid: 'key-1' })
          .encrypt(Buffer.alloc(16)),
    ],
  ])('%s is refused as %s', async (_name, refusal, make) => {
    const token = await make();
    const { status, headers, bytes } = await ask(server, `Bearer ${token}`);
    const { errors } = JSON.parse(bytes.toString());
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(errors).toEqual([
      {
        message: 'expected valid credentials, got none or invalid ones',
        extensions: { code: 'UNAUTHENTICATED', requestId: headers['x-request-id'] },
      },
    ]);
    expect(refusals()).toEqual([expect.objectContaining({ refusal })]);
    const lines = server.logLines.join('');
    for (const part of token.split('.')) if (part.length > 8) expect(lines).not.toContain(part);
    // Nothing that a token names was fetched.
    expect(issuer.server.requests.filter((request) => request !== 'GET /jwks')).toEqual([]);
  });

  it('whose expiry is beyond all numbers is refused', async () => {
    const text = JSON.stringify(issuer.claims({ exp: 12345 })).replace('12345', '1e400');
    expect((await ask(server, `Bearer ${await issuer.signed(text)}`)).status).toBe(401);
  });

  it('with another scheme, or with other credentials beside it, is refused', async () => {
    const token = await issuer.token();
    for (const authorization of [token, `JWT ${token}`, `Bearer  ${token}`, `Bearer ${token}, Bearer ${token}`])
      expect((await ask(server, authorization)).status).toBe(401);
    // RFC 9110 section 11.1: the scheme is case-insensitive.
    expect((await ask(server, `bearer ${token}`)).status).toBe(200);
    const head = ['POST /graphql HTTP/1.1', 'Host: x', 'Content-Type: application/json', 'Connection: close'];
    const sent = (...headers: string[]) =>
      rawAnswer(server, [...head, ...headers, `Content-Length: ${QUERY.length}`, '', QUERY].join('\r\n'));
    const [good, bad] = [`Authorization: Bearer ${token}`, 'authorization: Bearer x.y.z'];
    expect(await sent(good)).toMatch(/^HTTP\/1.1 200 /);
    for (const two of [
      [good, bad],
      [bad, good],
      [good, good],
    ])
      expect(await sent(...two)).toMatch(/^HTTP\/1.1 401 /);
  });

  it('of 100 KB is refused, over a request and over a socket', async () => {
    const token = `${json({ alg: 'ES256', kid: 'key-1' })}.${json({ text: 'a'.repeat(75_000) })}.AAAA`;
    const { status, bytes } = await server.client.get('/graphql', { headers: { authorization: `Bearer ${token}` } });
    expect([status, JSON.parse(bytes.toString()).error.code]).toEqual([431, 'BAD_USER_INPUT']);
    for (const length of [20_000, 75_000]) {
      const socket = new WebSocket(`${server.client.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.once('open', () => {
        const authorization = `Bearer ${token.slice(0, length)}`;
        socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
      });
      expect([4403, 1006]).toContain(await closed);
    }
    expect((await ask(server, `Bearer ${await issuer.token()}`)).status).toBe(200);
  });

  it('is refused alike by sockets and event streams', async () => {
    const token = await issuer.token({ claims: { aud: 'other' } });
    const headers = {
      authorization: `Bearer ${token}`,
      accept: 'text/event-stream',
      'content-type': 'application/json',
    };
    const body = JSON.stringify({ query: 'subscription { mediaUpdated(messageIds: ["a:b"]) { id } }' });
    const { status, bytes } = await server.client.get('/graphql', { method: 'POST', headers, body });
    expect([status, sole<{ message: string }>(JSON.parse(bytes.toString()).errors).message]).toEqual([
      401,
      'expected valid credentials, got none or invalid ones',
    ]);
    const socket = new WebSocket(`${server.client.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { authorization: `Bearer ${token}` },
    });
    socket.once('open', () => socket.send('{"type":"connection_init"}'));
    const end = await new Promise((resolve) => socket.once('close', (code, reason) => resolve([code, String(reason)])));
    expect(end).toEqual([4403, 'Forbidden']);
  });
});

describe('a key set', () => {
  const startServer = useOwnServers();
  beforeEach(async () => {
    issuer = await Issuer.start();
  });
  afterEach(() => issuer.close());
  const start = () => startServer({ config: { auth: issuer.auth(), channels: [] }, database, logLevel: 'info' });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['for encryption', { use: 'enc' }],
    ['for other operations', { key_ops: ['encrypt'] }],
    ['with a private half', { d: 'AAAA' }],
    ['without a type', { kty: undefined }],
    ['of a shared secret', { kty: 'oct', k: 'AAAA' }],
    ['of another algorithm', { alg: 'HS256' }],
    ['of an algorithm of another type', { alg: 'RS256' }],
    ['of a curve without signatures', { crv: 'X25519' }],
    ['that is no point', { x: 'AAAA' }],
    ['whose number is no text', { x: 1 }],
  ])('has keys %s, which open nothing, and the others go on', async (_name, members) => {
    const bad = await issuer.addKey({ members });
    issuer.answer = (_request, response) => {
      const entries = [null, 1, [], ...issuer.keys.map(({ jwk }) => jwk), { kty: '__proto__' }];
      response.end(JSON.stringify({ keys: entries }));
    };
    const server = await start();
    expect((await ask(server, `Bearer ${await issuer.token({ key: bad })}`)).status).toBe(401);
    expect((await ask(server, `Bearer ${await issuer.token()}`)).status).toBe(200);
  });

  it('has a short RSA key, which opens nothing', async () => {
    const key = await issuer.addKey({ alg: 'RS256', modulusLength: 2048 });
    const short = issuer.shortRsaToken();
    const server = await start();
    expect((await ask(server, `Bearer ${short}`)).status).toBe(401);
    expect((await ask(server, `Bearer ${await issuer.token({ key })}`)).status).toBe(200);
  });

  it('names no algorithm for RSA, which is RS256 then', async () => {
    const key = await issuer.addKey({ alg: 'RS256', members: { alg: undefined } });
    const server = await start();
    expect((await ask(server, `Bearer ${await issuer.token({ key })}`)).status).toBe(200);
  });

  it(
    'of four thousand keys is read in moderate time, and tokens without a key id try only a few',
    async () => {
      const [own] = issuer.keys;
      const more = Array.from({ length: 4_000 }, (_, index) => ({ ...own?.jwk, kid: `k${index}` }));
      issuer.answer = (_request, response) =>
        void response.end(JSON.stringify({ keys: [...more, ...issuer.keys.map(({ jwk }) => jwk)] }));
      const server = await start();
      const startedAt = performance.now();
      expect((await ask(server, `Bearer ${await issuer.token()}`)).status).toBe(200);
      expect((await ask(server, `Bearer ${await issuer.token({ header: { kid: undefined } })}`)).status).toBe(401);
      expect(performance.now() - startedAt).toBeLessThan(TEST_MS / 3);
    },
    TEST_MS,
  );

  it.each<[string, NonNullable<Issuer['answer']>]>([
    ['is no JSON', (_request, response) => void response.end('<html>')],
    ['is no key set', (_request, response) => void response.end('{"keys":{}}')],
    ['is empty', (_request, response) => void response.end()],
    [
      'is elsewhere',
      (request, response) => {
        if (request.url === '/jwks') response.writeHead(302, { location: '/there' }).end();
        else response.end(JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) }));
      },
    ],
    ['is an error', (_request, response) => void response.writeHead(500).end('{"keys":[]}')],
    ['ends early', (_request, response) => void response.writeHead(200, { 'content-length': 99 }).end('{"keys":[]}')],
    [
      'never ends',
      (_request, response) => {
        const filler = Buffer.alloc(100_000, ' ');
        const more = () => {
          if (response.destroyed) return;
          if (response.write(filler)) setImmediate(more);
          else response.once('drain', more);
        };
        more();
      },
    ],
  ])('that %s changes nothing', async (_name, answer) => {
    issuer.answer = answer;
    const server = await start();
    expect((await server.client.get('/readyz')).status).toBe(503);
    issuer.answer = null;
    const token = await issuer.token();
    await eventually(
      async () => (await ask(server, `Bearer ${token}`)).status,
      (status) => status === 200,
    );
    issuer.answer = answer;
    const unknown = await issuer.token({ key: await issuer.makeKey() });
    expect((await ask(server, `Bearer ${unknown}`)).status).toBe(401);
    expect((await ask(server, `Bearer ${token}`)).status).toBe(200);
    expect(issuer.server.requests).not.toContain('GET /there');
  });

  it(
    'that comes slowly is given up, and delays no other request',
    async () => {
      const server = await start();
      const token = await issuer.token();
      expect((await ask(server, `Bearer ${token}`)).status).toBe(200);
      issuer.answer = (_request, response) => {
        const timer = setInterval(() => response.write(' '), 100);
        response.once('close', () => clearInterval(timer));
      };
      const unknown = await issuer.token({ key: await issuer.makeKey() });
      const refused = ask(server, `Bearer ${unknown}`).then(({ status }) => ['unknown', status]);
      const accepted = ask(server, `Bearer ${token}`).then(({ status }) => ['known', status]);
      expect(await Promise.race([refused, accepted])).toEqual(['known', 200]);
      expect(await refused).toEqual(['unknown', 401]);
    },
    TEST_MS,
  );
});

it('request headers above 16 KB are 431', async () => {
  const server = await OwnServer.start({ config: { channels: [] }, database });
  try {
    const got = await server.client.get('/livez', { headers: { 'x-long': 'a'.repeat(17_000) } });
    expect([got.status, errorOf(got).code]).toEqual([431, 'BAD_USER_INPUT']);
    expect((await server.client.get('/livez', { headers: { 'x-long': 'a'.repeat(15_000) } })).status).toBe(200);
  } finally {
    await server.close();
  }
});

/** Sends bytes and reads until the connection closes. */
function rawAnswer({ client }: OwnServer, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(client.url);
    const socket = connect(Number(port), hostname, () => socket.write(request));
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.once('end', () => resolve(answer)).once('error', reject);
  });
}
