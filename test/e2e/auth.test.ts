import { createHash } from 'node:crypto';
import { type DocumentNode, getIntrospectionQuery, Kind, parse, print } from 'graphql';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { parseConfig } from '../../src/config/config.js';
import { printSubgraphSdl } from '../../src/graphql/build-schema.js';
import { encodeMediaId } from '../../src/model/ids.js';
import { leaksIn } from '../support/leaks.js';
import { messageId, receive } from '../support/sample-messages.js';
import {
  errorOf,
  type GetOptions,
  type Got,
  type GraphQLFault,
  headerOf,
  kirimChannel,
  type MediaData,
  type MessageData,
  sole,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';

const KEYS = {
  reader: 'reader-key-0123456789',
  writer: 'writer-key-0123456789',
  globex: 'globex-key-0123456789',
  rotated: 'rotated-key-0123456789',
};
const digest = (key: string) => createHash('sha256').update(key).digest('hex');

const apiKeys = [
  { sha256: digest(KEYS.reader), tenant: 'default', scopes: ['media:read'] },
  { sha256: digest(KEYS.writer), tenant: 'default', scopes: ['media:write', 'media:delete'] },
  { sha256: digest(KEYS.globex), tenant: 'globex', scopes: ['media:read'] },
];
const auth = { mode: 'apiKey', apiKeys };
const globexChannel = kirimChannel('http://127.0.0.1:1/v1', { id: 'globex-wa', tenant: 'globex' });

const MEDIA = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id url } } }';
const ENTITIES = `query($representations: [_Any!]!) { _entities(representations: $representations) { __typename
  ... on Message { id media { id } } ... on Media { url } ... on MediaChannel { provider } } }`;
const CHANNELS = '{ mediaChannels { id } }';

const SCOPED_QUERIES: Readonly<Record<string, string>> = {
  mediaChannels: CHANNELS,
  media: '{ media(id: "x") { id } }',
  messagesWithMedia: '{ messagesWithMedia(ids: ["wa:m"]) { id } }',
};
const SCOPED_MUTATIONS: Readonly<Record<string, string>> = {
  uploadMediaFromUrl:
    'mutation { uploadMediaFromUrl(input: { channelId: "wa", url: "https://example.com/a.png" }) { replayed } }',
  deleteMedia: 'mutation { deleteMedia(input: { id: "x" }) { scope } }',
  retryMedia: 'mutation { retryMedia(input: { id: "x" }) { media { id } } }',
};

/** Type, field and scope of every `@requiresScopes`. */
function requiredScopes({ definitions }: DocumentNode): Array<readonly [string, string, string]> {
  return definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION) return [];
    return (definition.fields ?? []).flatMap(({ name, directives = [] }) => {
      const required = directives.find((directive) => directive.name.value === 'requiresScopes');
      const [, scope] = /"(media:\w+)"/.exec(required ? print(required) : '') ?? [];
      return scope === undefined ? [] : [[definition.name.value, name.value, scope] as const];
    });
  });
}

interface EntitiesData {
  _entities: Array<(MessageData & MediaData) | null>;
}

const bearer = (key: string, more: Readonly<Record<string, string>> = {}): GetOptions => ({
  headers: { authorization: `Bearer ${key}`, ...more },
});

describe('API keys', () => {
  const beds = useBeds({ config: { auth, channels: [globexChannel] } });
  let bed: TestBed;

  beforeEach(async () => {
    bed = await beds.shared();
  });

  it.each<[string, GetOptions]>([
    ['are missing', {}],
    ['are unknown', bearer('no-such-key')],
    ['are the digest of a known one', bearer(digest(KEYS.reader))],
    [
      'are sent as Basic',
      { headers: { authorization: `Basic ${Buffer.from(`x:${KEYS.reader}`).toString('base64')}` } },
    ],
    ['have no scheme', { headers: { authorization: KEYS.reader } }],
    ['are empty', bearer('')],
    ['are two', bearer(`${KEYS.reader} ${KEYS.reader}`)],
    ['are endless', bearer('a'.repeat(8_000))],
    ['have one letter too many', bearer(`${KEYS.reader}x`)],
  ])('that %s are 401 as a GraphQL response', async (_name, options) => {
    const { status, headers, data, errors, text } = await bed.query('{ __typename }', {}, options);
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toMatch(/^Bearer/);
    expect(data ?? null).toBeNull();
    expect(sole(errors)).toMatchObject({ message: expect.any(String), extensions: { code: 'UNAUTHENTICATED' } });
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it('are quoted with a request id where they are refused', async () => {
    const { headers, errors } = await bed.query('{ __typename }', {}, bearer('no-such-key'));
    expect(sole(errors).extensions.requestId).toBe(headers['x-request-id']);
  });

  it('are needed for the SDL too, and for a query that asks for a trace', async () => {
    const traced = { headers: { 'apollo-federation-include-trace': 'ftv1' } };
    expect((await bed.query('{ _service { sdl } }')).status).toBe(401);
    expect((await bed.query('{ __typename }', {}, traced)).status).toBe(401);
    expect((await bed.query('{ _service { sdl } }', {}, bearer(KEYS.reader))).errors).toEqual([]);
  });

  it('open what their scopes name', async () => {
    const ids = [receive(bed, 'kirim')];
    const { data, errors } = await bed.query(MEDIA, { ids }, bearer(KEYS.reader));
    expect(errors).toEqual([]);
    expect((await bed.get(sole(sole(data?.messagesWithMedia)?.media).url)).status).toBe(200);
    // RFC 9110 section 11.1: the scheme is case-insensitive.
    expect((await bed.query(MEDIA, { ids }, { headers: { authorization: `bearer ${KEYS.reader}` } })).errors).toEqual(
      [],
    );
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['messagesWithMedia', MEDIA, { ids: [messageId('kirim')] }],
    ['media', '{ media(id: "x") { id } }', {}],
    ['mediaChannels', CHANNELS, {}],
    ['_entities', ENTITIES, { representations: [{ __typename: 'Message', id: messageId('kirim') }] }],
  ])('without media:read do not open %s', async (field, query, variables) => {
    const { data, errors } = await bed.query<Record<string, unknown>>(query, variables, bearer(KEYS.writer));
    expect(data?.[field] ?? null).toBeNull();
    expect(sole(errors)).toMatchObject({ path: [field], extensions: { code: 'FORBIDDEN' } });
    expect(bed.providerCalls).toBe(0);
  });

  it('need the very scopes that the SDL names for routers', async () => {
    const document = parse(printSubgraphSdl({ authDirectives: true }));
    for (const [type, field, scope] of requiredScopes(document)) {
      const key = scope === 'media:read' ? KEYS.writer : KEYS.reader;
      const operation = type === 'Query' ? SCOPED_QUERIES[field] : SCOPED_MUTATIONS[field];
      // The tests of subscriptions cover those.
      if (type === 'Subscription') continue;
      const { errors } = await bed.query(operation ?? '', {}, bearer(key));
      expect([field, sole(errors).extensions.code, sole(errors).message]).toEqual([
        field,
        'FORBIDDEN',
        expect.stringContaining(scope),
      ]);
    }
  });

  it('of any scope open __typename and the SDL', async () => {
    const { data, errors } = await bed.query<{ __typename: string; _service: { sdl: string } }>(
      '{ __typename _service { sdl } }',
      {},
      bearer(KEYS.writer),
    );
    expect(errors).toEqual([]);
    expect(data).toEqual({ __typename: 'Query', _service: { sdl: expect.stringContaining('type Message') } });
  });

  it('can be rotated while the server runs', async () => {
    const own = await beds.own({ config: { auth } });
    const next = { ...auth, apiKeys: [{ sha256: digest(KEYS.rotated), tenant: 'default', scopes: ['media:read'] }] };
    expect((await own.query(CHANNELS, {}, bearer(KEYS.rotated))).status).toBe(401);
    await own.app.reload(parseConfig({ auth: next, channels: [] }, {}));
    expect((await own.query(CHANNELS, {}, bearer(KEYS.rotated))).errors).toEqual([]);
    expect((await own.query(CHANNELS, {}, bearer(KEYS.reader))).status).toBe(401);
  });

  describe('of another tenant', () => {
    const alike = (errors: readonly GraphQLFault[], channelId: string) =>
      JSON.parse(
        JSON.stringify(
          errors.map(({ extensions: { requestId: _, ...extensions }, ...error }) => ({ ...error, extensions })),
        ).replaceAll(channelId, 'CHANNEL'),
      );

    it('list their own channels and no others', async () => {
      const own = await bed.query<{ mediaChannels: unknown[] }>(CHANNELS, {}, bearer(KEYS.reader));
      expect(own.data?.mediaChannels).toEqual([{ id: 'wa' }, { id: 'sms' }, { id: 'mms' }]);
      const theirs = await bed.query<{ mediaChannels: unknown[] }>(CHANNELS, {}, bearer(KEYS.globex));
      expect(theirs.data?.mediaChannels).toEqual([{ id: 'globex-wa' }]);
    });

    it('get the same answer for a message in a foreign channel as for one in an unknown channel', async () => {
      receive(bed, 'kirim');
      const ask = async (channelId: string) => {
        const id = `${channelId}:${kirimMessageId(1)}`;
        const query = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id } } }';
        const { status, data, errors } = await bed.query(query, { ids: [id] }, bearer(KEYS.globex));
        return { status, data, errors: alike(errors, channelId) };
      };
      const foreign = await ask('wa');
      expect(foreign).toEqual(await ask('nobody'));
      expect(foreign.errors).toEqual([
        expect.objectContaining({ extensions: expect.objectContaining({ code: 'CHANNEL_NOT_FOUND' }) }),
      ]);
      expect(bed.providerCalls).toBe(0);
    });

    it('get no foreign media, by id and as entities', async () => {
      const listed = await bed.query(MEDIA, { ids: [receive(bed, 'kirim')] }, bearer(KEYS.reader));
      const { id } = sole(sole(listed.data?.messagesWithMedia)?.media);
      bed.clearRequests();
      const ask = async (mediaId: string, channelId: string) => {
        const byId = await bed.query('query($id: ID!) { media(id: $id) { id } }', { id: mediaId }, bearer(KEYS.globex));
        const representations = [
          { __typename: 'Message', id: `${channelId}:${kirimMessageId(1)}` },
          { __typename: 'Message', channelId, providerMessageId: kirimMessageId(1) },
          { __typename: 'Media', id: mediaId },
          { __typename: 'MediaChannel', id: channelId },
        ];
        const entities = await bed.query<EntitiesData>(ENTITIES, { representations }, bearer(KEYS.globex));
        const shown = JSON.parse(JSON.stringify(entities.data).replaceAll(channelId, 'CHANNEL'));
        return [byId.data, alike(byId.errors, channelId), shown, alike(entities.errors, channelId)];
      };
      const unknown = encodeMediaId({
        channelId: 'nobody',
        providerMessageId: kirimMessageId(1),
        providerMediaId: null,
      });
      const foreign = await ask(id, 'wa');
      expect(foreign).toEqual(await ask(unknown, 'nobody'));
      expect(foreign[0]).toEqual({ media: null });
      expect(bed.providerCalls).toBe(0);
    });
  });
});

describe('the secret of a router', () => {
  const SECRET = 'router-secret-0123456789';
  const beds = useBeds({ config: { server: { port: 0, routerSecret: SECRET }, auth } });

  it.each<[string, Record<string, string>, number]>([
    ['is missing', {}, 401],
    ['is wrong', { 'x-router-secret': `${SECRET}x` }, 401],
    ['is empty', { 'x-router-secret': '' }, 401],
    ['is right', { 'x-router-secret': SECRET }, 200],
  ])('is required besides the key: it %s', async (_name, headers, status) => {
    const bed = await beds.shared();
    const answer = await bed.query(CHANNELS, {}, bearer(KEYS.reader, headers));
    expect(answer.status).toBe(status);
    if (status === 401) expect(sole(answer.errors).extensions.code).toBe('UNAUTHENTICATED');
    expect(answer.text).not.toContain(SECRET);
  });

  it('does not replace the key, and is not needed on routes without queries', async () => {
    const bed = await beds.shared();
    expect((await bed.query(CHANNELS, {}, { headers: { 'x-router-secret': SECRET } })).status).toBe(401);
    expect((await bed.get('/livez')).status).toBe(200);
  });
});

describe('the HTTP server', () => {
  const beds = useBeds();
  let bed: TestBed;

  beforeEach(async () => {
    bed = await beds.shared();
  });

  const faults = (got: Got): GraphQLFault[] => JSON.parse(got.bytes.toString()).errors;

  it.each<[string, string, GetOptions]>([
    ['a GET that any page can make', '/graphql?query=%7B__typename%7D', {}],
    [
      'a POST that any form can make',
      '/graphql',
      { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"query":"{ __typename }"}' },
    ],
    [
      'a POST of a form',
      '/graphql',
      { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'query={__typename}' },
    ],
    ['a POST without a type', '/graphql', { method: 'POST', body: '{"query":"{ __typename }"}' }],
  ])('refuses %s', async (_name, target, options) => {
    const got = await bed.get(target, options);
    expect(got.status).toBeGreaterThanOrEqual(400);
    expect(got.status).toBeLessThan(500);
    const [fault] = faults(got);
    expect(fault?.extensions.code).toMatch(/^(BAD_REQUEST|BAD_USER_INPUT)$/);
    expect(got.bytes.toString()).not.toContain('"data"');
  });

  it('accepts a GET with a preflight header', async () => {
    const got = await bed.get('/graphql?query=%7B__typename%7D', { headers: { 'apollo-require-preflight': 'true' } });
    expect([got.status, JSON.parse(got.bytes.toString())]).toEqual([200, { data: { __typename: 'Query' } }]);
  });

  it.each<[string, string, number]>([
    ['half a JSON', '{"query":', 400],
    [
      'a body above the limit',
      JSON.stringify({ query: '{ __typename }', variables: { a: 'x'.repeat(4_100_000) } }),
      413,
    ],
  ])('answers %s as GraphQL', async (_name, body, status) => {
    const got = await bed.get('/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect(got.status).toBe(status);
    expect(sole(faults(got))).toMatchObject({
      message: expect.any(String),
      extensions: { code: 'BAD_USER_INPUT', requestId: headerOf(got, 'x-request-id') },
    });
    expect(leaksIn(got.bytes.toString(), bed)).toEqual([]);
  });

  it('answers its health without credentials', async () => {
    for (const path of ['/livez', '/readyz']) {
      const got = await bed.get(path);
      expect([got.status, JSON.parse(got.bytes.toString())]).toEqual([200, { status: 'ok' }]);
      expect(headerOf(got, 'cache-control')).toBe('no-store');
    }
  });

  it('keeps a harmless request id, and replaces any other', async () => {
    const kept = await bed.get('/livez', { headers: { 'x-request-id': 'trace-1.2:3_4' } });
    expect(kept.headers['x-request-id']).toBe('trace-1.2:3_4');
    for (const id of ['', 'a b', '<script>', '"', 'a'.repeat(129)]) {
      const got = await bed.get('/livez', { headers: { 'x-request-id': id } });
      expect(headerOf(got, 'x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
    const { errors } = await bed.query(MEDIA, { ids: ['nobody:x'] }, { headers: { 'x-request-id': 'trace-1' } });
    expect(sole(errors).extensions.requestId).toBe('trace-1');
  });

  it.each(['/', '/nothing', '/graphql/', '/media', '/webhooks/sms', '/livez/x'])('answers 404 at %s', async (path) => {
    const got = await bed.get(path);
    expect([400, 403, 404]).toContain(got.status);
    expect(errorOf(got)).toEqual({
      code: expect.any(String),
      message: expect.any(String),
      requestId: headerOf(got, 'x-request-id'),
    });
  });

  it.each(['/%zz', '/livez%', '/graphql/%c3'])(
    'answers an invalid address with an error of the usual form: %s',
    async (path) => {
      const got = await bed.get(path);
      expect(got.status).toBe(400);
      expect(errorOf(got)).toEqual({
        code: 'BAD_USER_INPUT',
        message: expect.any(String),
        requestId: headerOf(got, 'x-request-id'),
      });
    },
  );
});

describe('the explorer', () => {
  const beds = useBeds();
  const html = { headers: { accept: 'text/html' } };
  const server = (explorer: string) => ({ config: { server: { port: 0, explorer }, auth } });

  it("is Apollo's Sandbox, without credentials, pointed at this server", async () => {
    const got = await (await beds.own(server('sandbox'))).get('/graphql', html);
    expect(got.status).toBe(200);
    expect(headerOf(got, 'content-type')).toMatch(/^text\/html/);
    expect(got.bytes.toString()).toMatch(/sandbox/i);
    expect(got.bytes.toString()).toContain('subscription MediaUpdated');
  });

  it('is GraphiQL out of the package, without resources of other origins', async () => {
    const got = await (await beds.own(server('graphiql'))).get('/graphql', html);
    expect(got.status).toBe(200);
    const page = got.bytes.toString();
    expect(page).toMatch(/graphiql/i);
    expect(page).toContain('subscription MediaUpdated');
    expect(page).not.toMatch(/<script[^>]+\bsrc\s*=\s*["']?(https?:)?\/\//i);
    expect(page).not.toMatch(/<link[^>]+\bhref\s*=\s*["']?(https?:)?\/\//i);
  });

  it('does not exist when it is off', async () => {
    const got = await (await beds.own(server('off'))).get('/graphql', html);
    expect(got.status).toBeGreaterThanOrEqual(400);
    expect(got.bytes.toString()).not.toMatch(/<html/i);
  });
});

describe('in production', () => {
  const beds = useBeds({ env: { NODE_ENV: 'production' } });
  let bed: TestBed;

  beforeEach(async () => {
    bed = await beds.shared();
  });

  it('introspection is refused', async () => {
    for (const query of [
      getIntrospectionQuery(),
      '{ __type(name: "Media") { name } }',
      'query A { ...S } fragment S on Query { __schema { queryType { name } } }',
    ]) {
      const { status, data, errors, text } = await bed.query(query);
      expect([status, data]).toEqual([400, undefined]);
      expect(errors.map(({ extensions }) => extensions.code)).toContain('GRAPHQL_VALIDATION_FAILED');
      expect(text).not.toMatch(/"name":"(Media|Message)"/);
    }
    expect((await bed.query('{ _service { sdl } }')).errors).toEqual([]);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['a field', '{ mediaChannel { id } }', {}],
    ['an argument', '{ messagesWithMedia(id: []) { id } }', {}],
    ['a type', 'query($a: MediaKin) { messagesWithMedia(ids: []) { media(kinds: [$a]) { id } } }', {}],
    ['a value', '{ messagesWithMedia(ids: []) { media(kinds: [IMAG]) { id } } }', {}],
    ['a fragment', '{ messagesWithMedia(ids: []) { ... on Messag { id } } }', {}],
    ['a directive', '{ mediaChannels @includ(if: true) { id } }', {}],
    [
      'a value in a variable',
      'query($a: [MediaKind!]) { messagesWithMedia(ids: []) { media(kinds: $a) { id } } }',
      { a: ['IMAG'] },
    ],
    [
      'a disposition in a variable',
      'query($a: MediaDisposition!) { media(id: "x") { url(disposition: $a) } }',
      { a: 'INLIN' },
    ],
  ])('errors suggest nothing for %s', async (_name, query, variables) => {
    for (const options of [{}, { headers: { 'apollo-federation-include-trace': 'ftv1' } }]) {
      const { data, errors, text } = await bed.query(query, variables, options);
      expect(data ?? null).toBeNull();
      expect(errors.length).toBeGreaterThan(0);
      expect(text).not.toMatch(/did you mean/i);
      expect(text).not.toMatch(/stacktrace/i);
    }
  });

  it('errors have no stack trace', async () => {
    bed.kirim.fault = { kind: 'body', body: '<html>' };
    for (const options of [{}, { headers: { 'apollo-federation-include-trace': 'ftv1' } }]) {
      const { text, errors } = await bed.query(MEDIA, { ids: [messageId('kirim'), 'sms:..', 'nobody:x'] }, options);
      expect(errors).toHaveLength(3);
      expect(leaksIn(text, bed)).toEqual([]);
      expect(text).not.toMatch(/stacktrace/i);
    }
  });
});

describe('in development', () => {
  const beds = useBeds();

  it('errors have suggestions', async () => {
    const bed = await beds.shared();
    expect((await bed.query('{ mediaChannel { id } }')).text).toMatch(/Did you mean/);
  });
});
