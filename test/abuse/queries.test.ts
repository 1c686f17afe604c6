import { crc32 } from 'node:zlib';
import { getIntrospectionQuery } from 'graphql';
import { kirimMessageId, signalwireMediaSid, signalwireMessageSid } from '../../demo/src/emulators/sample-ids.js';
import { decodeMediaId, encodeMediaId, type MediaIdParts } from '../../src/model/ids.js';
import { leaksIn } from '../support/leaks.js';
import { receive, receiveEverywhere } from '../support/sample-messages.js';
import { Subscriber } from '../support/subscribers.js';
import {
  type GetOptions,
  type GraphQLFault,
  headerOf,
  kirimChannel,
  type MediaData,
  type MessageData,
  nth,
  sole,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';

const MEDIA = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id } } }';
const ENTITIES = `query($representations: [_Any!]!) { _entities(representations: $representations) { __typename
  ... on Message { id media { id } } ... on Media { url } ... on MediaChannel { provider } } }`;

const TYPENAME = JSON.stringify({ query: '{ __typename }' });
const PREFLIGHTED = { 'apollo-require-preflight': '1' };
const NO_JSON = { 'content-type': 'application/json', accept: 'text/plain' };

interface EntitiesData {
  _entities: Array<(MessageData & MediaData) | null>;
}

// Nothing may be waited for here: a provider's late 404 is not what is tested.
const ONCE = { timeout: '1s', retries: 0 };
const beds = useBeds({ config: { providers: { kirim: ONCE, signalwire: ONCE, twilio: ONCE } } });
let bed: TestBed;

beforeEach(async () => {
  bed = await beds.shared();
});

describe('message ids that no provider can have issued', () => {
  const HOSTILE: ReadonlyArray<[string, string]> = [
    ['nothing', ''],
    ['a colon', ':'],
    ['no channel', ':x'],
    ['no message', 'sms:'],
    ['a dot', 'sms:.'],
    ['two dots', 'sms:..'],
    ['encoded dots', 'sms:%2e%2e'],
    ['encoded dots in capitals', 'sms:%2E%2E'],
    ['half encoded dots', 'sms:.%2e'],
    ['twice encoded dots', 'sms:%252e%252e'],
    ['thrice encoded dots', 'sms:%25252e%25252e'],
    ['dots between slashes', 'sms:a/../b'],
    ['dots between encoded slashes', 'sms:a%2f..%2fb'],
    ['dots between backslashes', 'sms:a\\..\\b'],
    ['a dot after a slash', 'sms:a/.'],
    ['bare dots', '..'],
    ['NUL', 'sms:a\0b'],
    ['a line break', 'sms:a\nb'],
    ['a carriage return', 'sms:a\r\nHost: evil.example'],
    ['a delete character', 'sms:a\x7fb'],
    ['a line separator', 'sms:a\u2028b'],
    ['10,000 characters', `sms:${'a'.repeat(10_000)}`],
    ['10,000 characters without a channel', 'a'.repeat(10_000)],
    ['241 bytes in fewer characters', `sms:${'ä'.repeat(121)}`],
  ];

  it.each(HOSTILE)('are BAD_USER_INPUT at their message and reach no provider: %s', async (_name, id) => {
    const ids = [receive(bed, 'signalwire'), id];
    const { text, data, errors } = await bed.query(MEDIA, { ids });
    expect(data?.messagesWithMedia).toEqual([
      { id: ids[0], media: [{ id: expect.any(String) }] },
      { id, media: null },
    ]);
    expect(sole(errors)).toMatchObject({
      path: ['messagesWithMedia', 1, 'media'],
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(bed.providerCalls).toBe(1);
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it('are BAD_USER_INPUT where JSON escapes a lone surrogate', async () => {
    const body = JSON.stringify({ query: MEDIA, variables: { ids: ['sms:SURROGATE'] } }).replace(
      'SURROGATE',
      'a\\ud800b',
    );
    const { errors } = await bed.post(body);
    expect(sole(errors)).toMatchObject({
      path: ['messagesWithMedia', 0, 'media'],
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(bed.providerCalls).toBe(0);
  });

  it.each(HOSTILE)('are refused as entities: %s', async (_name, id) => {
    const separated = id.startsWith('sms:')
      ? { channelId: 'sms', providerMessageId: id.slice(4) }
      : { channelId: 'sms', providerMessageId: '..' };
    const representations = [
      { __typename: 'Message', id: receive(bed, 'signalwire') },
      { __typename: 'Message', id },
      { __typename: 'Message', ...separated },
    ];
    const { data, errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(data?._entities).toEqual([
      expect.objectContaining({ media: [expect.anything()] }),
      expect.objectContaining({ id, media: null }),
      null,
    ]);
    expect(errors.map(({ path, extensions }) => [path, extensions.code])).toEqual(
      expect.arrayContaining([
        [['_entities', 1, 'media'], 'BAD_USER_INPUT'],
        [['_entities', 2], 'BAD_USER_INPUT'],
      ]),
    );
    expect(bed.providerCalls).toBe(1);
  });

  it.each(['nobody:1', 'sms2:x', `${'a'.repeat(63)}:x`])('differ from ids of unknown channels: %s', async (id) => {
    const { data, errors } = await bed.query(MEDIA, { ids: [id] });
    expect(data?.messagesWithMedia).toEqual([{ id, media: null }]);
    expect(sole(errors)).toMatchObject({
      path: ['messagesWithMedia', 0, 'media'],
      extensions: { code: 'CHANNEL_NOT_FOUND' },
    });
  });

  it.each(['SMS:x', 'a b:c', '../sms:x', `${'a'.repeat(64)}:x`, 'wamid.HBgL', '😀', '__proto__', 'constructor:x'])(
    'differ from bare ids, whose channel is unknown: %s',
    async (id) => {
      const { data, errors } = await bed.query(MEDIA, { ids: [id] });
      const [message] = data?.messagesWithMedia ?? [];
      expect(message?.id).toBe(id);
      if (errors.length === 0) expect(message?.media).toEqual([]);
      else expect(['BAD_USER_INPUT', 'CHANNEL_NOT_FOUND']).toContain(sole(errors).extensions.code);
      expect(bed.providerCalls).toBe(0);
    },
  );

  it('differ from unusual valid ids, which the provider gets as one path segment', async () => {
    const { data, errors } = await bed.query(MEDIA, { ids: ['wa:😀', 'wa:a/b?c#d', `wa:${'a'.repeat(240)}`] });
    expect(errors).toEqual([]);
    expect(data?.messagesWithMedia.map((message) => message?.media)).toEqual([[], [], []]);
    expect(bed.kirim.requests.map(({ path }) => path).sort()).toEqual([
      '/v1/messages/%F0%9F%98%80/media',
      '/v1/messages/a%2Fb%3Fc%23d/media',
      `/v1/messages/${'a'.repeat(240)}/media`,
    ]);
  });
});

describe('lists of ids', () => {
  it('hold a hundred and no more', async () => {
    const id = receive(bed, 'signalwire');
    const hundred = await bed.query(MEDIA, { ids: Array.from({ length: 100 }, () => id) });
    expect([hundred.errors, hundred.data?.messagesWithMedia.length, bed.providerCalls]).toEqual([[], 100, 1]);
    bed.clearRequests();
    const { data, errors } = await bed.query(MEDIA, { ids: Array.from({ length: 101 }, () => id) });
    expect(data).toBeNull();
    expect(sole(errors)).toMatchObject({ path: ['messagesWithMedia'], extensions: { code: 'BAD_USER_INPUT' } });
    expect(bed.providerCalls).toBe(0);
  });

  it('may be empty', async () => {
    expect((await bed.query(MEDIA, { ids: [] })).data).toEqual({ messagesWithMedia: [] });
  });

  it.each<[string, Record<string, unknown>]>([
    ['null', { ids: null }],
    ['nothing', {}],
    ['a null in it', { ids: ['sms:x', null] }],
    ['an object in it', { ids: [{ a: 1 }] }],
    ['a list in it', { ids: [['sms:x']] }],
    ['a boolean', { ids: true }],
    ['a fraction', { ids: [1.5] }],
  ])('are BAD_USER_INPUT as %s', async (_name, variables) => {
    const { data, errors, text } = await bed.query(MEDIA, variables);
    expect(data ?? null).toBeNull();
    expect(errors.length).toBeGreaterThan(0);
    for (const { extensions } of errors) expect(extensions.code).toBe('BAD_USER_INPUT');
    expect(bed.providerCalls).toBe(0);
    expect(leaksIn(text, bed)).toEqual([]);
  });
});

describe('queries beyond a limit', () => {
  const limits = { maxDepth: 3, maxAliases: 5, maxTokens: 50 };
  const strictBeds = useBeds({ config: { limits } });
  let strict: TestBed;

  beforeEach(async () => {
    strict = await strictBeds.shared();
  });

  async function expectTooComplex(query: string, inBed = strict): Promise<void> {
    const { status, data, errors, text } = await inBed.query(query);
    expect([status, data]).toEqual([400, undefined]);
    expect(errors.map(({ extensions }) => extensions.code)).toContain('QUERY_TOO_COMPLEX');
    expect(inBed.providerCalls).toBe(0);
    expect(leaksIn(text, inBed)).toEqual([]);
  }

  const chain = (depth: number) =>
    `{ messagesWithMedia(ids: ["sms:x"]) ${'{ media { message '.repeat(depth)} { id } ${'} }'.repeat(depth)} }`;

  it('are refused with QUERY_TOO_COMPLEX: depth', async () => {
    const { errors } = await strict.query('{ messagesWithMedia(ids: ["nobody:x"]) { media { id } } }');
    expect(sole(errors).extensions.code).toBe('CHANNEL_NOT_FOUND');
    await expectTooComplex('{ messagesWithMedia(ids: ["sms:x"]) { media { message { id } } } }');
    await expectTooComplex(chain(5), bed);
  });

  it('are refused with QUERY_TOO_COMPLEX: depth in fragments, named and inline', async () => {
    await expectTooComplex(`{ messagesWithMedia(ids: []) { ...A } }
      fragment A on Message { ... on Message { media { ...B } } } fragment B on Media { message { ... { id } } }`);
  });

  it('are refused with QUERY_TOO_COMPLEX: aliases', async () => {
    const aliased = (count: number) =>
      `{ ${Array.from({ length: count }, (_, index) => `a${index}: __typename`).join(' ')} }`;
    expect((await strict.query(aliased(5))).errors).toEqual([]);
    await expectTooComplex(aliased(6));
    expect((await bed.query(aliased(30))).errors).toEqual([]);
    await expectTooComplex(aliased(31), bed);
    await expectTooComplex(aliased(200), bed);
  });

  it('are refused with QUERY_TOO_COMPLEX: aliases that fragments multiply', async () => {
    await expectTooComplex(`{ messagesWithMedia(ids: []) { ...A ...B } }
      fragment A on Message { a: id b: id ...B } fragment B on Message { c: id d: id }`);
  });

  it.each([51, 500, 3_000, 50_000])('are refused with QUERY_TOO_COMPLEX: %d tokens', async (count) => {
    await expectTooComplex(`{ ${'__typename '.repeat(count - 2)} }`);
  });

  it('are refused with QUERY_TOO_COMPLEX: 5,000 tokens in production, too', async () => {
    const production = await beds.own({ config: { limits }, env: { NODE_ENV: 'production' } });
    await expectTooComplex(`{ ${'__typename '.repeat(5_000)} }`, production);
  });

  it('accept a whole introspection', async () => {
    const { status, errors, data } = await strict.query<{ __schema: { types: unknown[] } }>(getIntrospectionQuery());
    expect([status, errors]).toEqual([200, []]);
    expect(data?.__schema.types.length).toBeGreaterThan(10);
  });

  it('are refused next to an introspection', async () => {
    await expectTooComplex(
      `query { __schema { queryType { name } } messagesWithMedia(ids: ["sms:x"]) { media { message { id } } } }`,
    );
    await expectTooComplex('{ __typename: messagesWithMedia(ids: ["sms:x"]) { media { message { id } } } }');
  });
});

describe('hostile documents', () => {
  it.each([
    ['a fragment in itself', 'query { messagesWithMedia(ids: []) { ...A } } fragment A on Message { id ...A }'],
    [
      'fragments in a circle',
      `query { messagesWithMedia(ids: []) { ...A } }
      fragment A on Message { media { ...B } } fragment B on Media { message { ...A } }`,
    ],
    ['an unknown fragment', 'query { messagesWithMedia(ids: []) { ...Nowhere } }'],
    ['an unknown field', '{ secrets }'],
    ['an unknown argument', '{ messagesWithMedia(ids: [], force: true) { id } }'],
    ['two conflicting fields', '{ messagesWithMedia(ids: []) { id: channelId id } }'],
  ])('are refused before anything runs: %s', async (_name, query) => {
    const { status, data, errors, text } = await bed.query(query);
    expect([status, data]).toEqual([400, undefined]);
    for (const { extensions } of errors)
      expect(['GRAPHQL_VALIDATION_FAILED', 'QUERY_TOO_COMPLEX']).toContain(extensions.code);
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it.each(['mutation { deleteEverything }', 'subscription { everything }'])(
    "are the caller's fault when the operation does not exist: %s",
    async (query) => {
      const { data, errors } = await bed.query(query);
      expect(data ?? null).toBeNull();
      expect(['BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED']).toContain(sole(errors).extensions.code);
    },
  );

  it('cost no more than their size where fragments double at every level', async () => {
    const levels = 150;
    const fragments = Array.from(
      { length: levels },
      (_, at) => `fragment F${at} on Message { ...F${at + 1} ...F${at + 1} }`,
    ).join('\n');
    const { errors } = await bed.query(
      `{ messagesWithMedia(ids: []) { ...F0 } } ${fragments} fragment F${levels} on Message { id }`,
    );
    // Not by the clock: all 2^150 of them take longer than any test may.
    expect(sole(errors).extensions.code).toBe('QUERY_TOO_COMPLEX');
  });

  const TRACED = { headers: { 'apollo-federation-include-trace': 'ftv1' } };
  const many = (count: number, part: (index: number) => string) => Array.from({ length: count }, (_, at) => part(at));
  const manyFaults: ReadonlyArray<[string, (count: number) => string]> = [
    ['directives', (count) => `query { __typename ${many(count, (at) => `@x${at}`).join(' ')} }`],
    ['fields', (count) => `query { ${many(count, (at) => `secret${at}`).join(' ')} }`],
    ['variables', (count) => `query { media(id: [${many(count, (at) => `$v${at}`).join(' ')}]) { id } }`],
    ['fragments', (count) => `query { ${many(count, (at) => `...F${at}`).join(' ')} }`],
  ];

  it.each(manyFaults)('have one error for hundreds of unknown names, and one each for a few: %s', async (_name, of) => {
    for (const options of [{}, TRACED]) {
      const { status, data, errors, text } = await bed.query(of(400), {}, options);
      expect([status, data, errors.length]).toEqual([400, undefined, 1]);
      expect(sole(errors).message).toMatch(/has more faults than this one; validation stopped\.$/);
      expect(sole(errors).extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
      expect(Buffer.byteLength(text)).toBeLessThan(10_000);
      expect((await bed.query(of(4), {}, options)).errors.length).toBeGreaterThanOrEqual(4);
    }
  });

  it('have one error for hundreds of unknown names over a connection that stays open', async () => {
    const query = `subscription { mediaUpdated(messageIds: ["sms:x"]) { id ${many(400, (at) => `@x${at}`).join(' ')} } }`;
    const subscriber = Subscriber.open({ transport: 'websocket', url: bed.app.url, query });
    const errors = await subscriber.ended();
    subscriber.close();
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringMatching(/validation stopped\.$/) })]);
  });

  it.each([
    ['half a document', '{ messagesWithMedia(ids: ["sms:x"'],
    ['nothing but a comment', '# nothing'],
    ['control characters', '{ \u0001 }'],
  ])('are GRAPHQL_PARSE_FAILED: %s', async (_name, query) => {
    const { status, errors } = await bed.query(query);
    expect(status).toBe(400);
    expect(sole(errors).extensions.code).toBe('GRAPHQL_PARSE_FAILED');
  });

  it.each<[string, string]>([
    ['a list of operations', JSON.stringify([{ query: '{ __typename }' }, { query: '{ __typename }' }])],
    ['no query', '{}'],
    ['a query that is no text', '{"query":5}'],
    ['variables that are no object', '{"query":"{ __typename }","variables":"x"}'],
    ['an operation that is not there', '{"query":"query A { __typename }","operationName":"B"}'],
    ['two operations and no name', '{"query":"query A { __typename } query B { __typename }"}'],
    ['half a JSON', '{"query":"{ __typ'],
    ['no body', ''],
    ['a prototype', '{"query":"{ __typename }","__proto__":{"polluted":true}}'],
  ])('are refused as GraphQL responses: %s', async (_name, body) => {
    const answer = await bed.post(body);
    const { status, data, errors, text } = answer;
    expect([status, data]).toEqual([400, undefined]);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors)
      expect(error).toMatchObject({
        message: expect.any(String),
        extensions: { code: expect.stringMatching(/^[A-Z_]+$/), requestId: headerOf(answer, 'x-request-id') },
      });
    expect(headerOf(answer, 'cache-control')).toBe('no-store');
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it.each<[string, number, string, GetOptions]>([
    ['a page of another site', 400, '/graphql?query={__typename}', {}],
    ['a mutation by GET', 405, '/graphql?query=mutation{a:__typename}', { headers: PREFLIGHTED }],
    ['a GET with a body of another type', 415, '/graphql?query={__typename}', { headers: { 'content-type': 'x/y' } }],
    ['variables that are no JSON', 400, '/graphql?query={__typename}&variables={', { headers: PREFLIGHTED }],
    ['an answer of another type', 406, '/graphql', { method: 'POST', headers: NO_JSON, body: TYPENAME }],
  ])(
    'have a request id and Cache-Control: no-store when Apollo Server refuses them: %s',
    async (_name, status, target, options) => {
      const got = await bed.get(target, options);
      const { errors }: { errors: unknown } = JSON.parse(got.bytes.toString());
      expect([got.status, headerOf(got, 'cache-control')]).toEqual([status, 'no-store']);
      expect(errors).toEqual([
        expect.objectContaining({
          extensions: { code: 'BAD_REQUEST', requestId: headerOf(got, 'x-request-id') },
        }),
      ]);
    },
  );

  it('have no effect when the answer would be refused', async () => {
    const { data } = await bed.query(MEDIA, { ids: [receive(bed, 'kirim')] });
    const id = sole(sole(data?.messagesWithMedia)?.media).id;
    const deletion = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }';
    const { status } = await bed.query(deletion, { id }, { headers: NO_JSON });
    const still = await bed.query<{ media: MediaData }>('query($id: ID!) { media(id: $id) { status } }', { id });
    expect([status, still.data?.media.status]).toEqual([406, 'READY']);
  });

  /** The codes of a document's errors, as one answer and as events. */
  async function codesOf(inBed: TestBed, query: string): Promise<string[]> {
    const { status, errors } = await inBed.query(query);
    const body = JSON.stringify({ query });
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
    const { bytes } = await inBed.get('/graphql', { method: 'POST', headers, body });
    const [, eventData = ''] = /^data: (.*)$/m.exec(bytes.toString()) ?? [];
    const event: { errors: GraphQLFault[] } = JSON.parse(eventData);
    expect(status).toBe(400);
    return [...errors, ...event.errors].map(({ extensions }) => extensions.code);
  }

  it.each([
    'subscription($a: Boolean!) { mediaUpdated(messageIds: []) @include(if: $a) { id } }',
    'subscription($a: Boolean!) { ... @skip(if: $a) { mediaUpdated(messageIds: []) { id } } }',
    'subscription { mediaUpdated(messageIds: []) @skip { id } }',
    'subscription { mediaUpdated(messageIds: []) @include(if: 1) { id } }',
  ])('are GRAPHQL_VALIDATION_FAILED where the root of a subscription has a condition: %s', async (query) => {
    expect(new Set(await codesOf(bed, query))).toEqual(new Set(['GRAPHQL_VALIDATION_FAILED']));
  });

  it.each([20, 1_000, 2_000, 5_000, 20_000])('are refused where they are nested %d times', async (levels) => {
    const patient = await beds.own({ config: { limits: { maxTokens: 1_000_000 } } });
    const nested = (open: string, close: string) => open.repeat(levels) + close.repeat(levels);
    for (const query of [
      `{ messagesWithMedia(ids: []) ${nested('{ media { message ', '} }')} }`.replace('message }', 'message { id } }'),
      `{ ${nested('... { ', '} ')} }`.replace('{ }', '{ a }'),
      `{ a(b: ${nested('[', ']')}) }`,
      `{ _entities(representations: [${nested('{ a: [', '] }')}]) { a } }`,
      `query($a: ${nested('[', ']').replace('[]', '[ID]')}) { a(b: $a) }`,
    ])
      for (const code of await codesOf(patient, query))
        expect(['QUERY_TOO_COMPLEX', 'GRAPHQL_VALIDATION_FAILED']).toContain(code);
  });

  it('may be JSON of a hundred thousand levels', async () => {
    const depth = 100_000;
    const nested = '['.repeat(depth) + ']'.repeat(depth);
    const body = `{"query":${JSON.stringify(ENTITIES)},"variables":{"representations":[${nested}]}}`;
    const { status, errors } = await bed.post<EntitiesData>(body);
    expect(status).toBeLessThan(500);
    for (const { extensions } of errors) expect(extensions.code).toBe('BAD_USER_INPUT');
    expect((await bed.query('{ __typename }')).errors).toEqual([]);
  });

  it('are not remembered when a persisted query is unknown', async () => {
    const extensions = { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } };
    const { errors } = await bed.post(JSON.stringify({ extensions }));
    expect(sole(errors).extensions.code).toBe('PERSISTED_QUERY_NOT_FOUND');
  });
});

describe('forged media ids', () => {
  const MEDIA_BY_ID = 'query($id: ID!) { media(id: $id) { id url } }';
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

  async function listedId(provider: 'signalwire' | 'kirim'): Promise<string> {
    const { data } = await bed.query(MEDIA, { ids: [receive(bed, provider)] });
    bed.clearRequests();
    return sole(sole(data?.messagesWithMedia)?.media).id;
  }

  async function expectUnknown(id: string, inBed = bed): Promise<void> {
    const { data, errors } = await inBed.query<{ media: unknown }>(MEDIA_BY_ID, { id });
    expect([id, data, errors]).toEqual([id, { media: null }, []]);
    const entity = await inBed.query<EntitiesData>(ENTITIES, { representations: [{ __typename: 'Media', id }] });
    expect([entity.data, entity.errors]).toEqual([{ _entities: [null] }, []]);
  }

  it('are refused when any single bit changes, and reach no provider', async () => {
    const id = await listedId('signalwire');
    const flipped = [...id].flatMap((character, at) =>
      [1, 2, 4, 8, 16, 32].map(
        (bit) => id.slice(0, at) + ALPHABET.charAt(ALPHABET.indexOf(character) ^ bit) + id.slice(at + 1),
      ),
    );
    const representations = flipped.map((one) => ({ __typename: 'Media', id: one }));
    const { data, errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(errors).toEqual([]);
    expect(data?._entities).toEqual(flipped.map(() => null));
    expect(bed.providerCalls).toBe(0);
  });

  it('are refused for another length or alphabet, and reach no provider', async () => {
    const id = await listedId('signalwire');
    const forged = [
      '',
      'x',
      id.slice(1),
      id.slice(0, -1),
      `${id}A`,
      `${id}=`,
      ` ${id}`,
      `${id}\n`,
      `${id}\0`,
      id.toUpperCase(),
      id + id,
      'A'.repeat(512),
      Buffer.from(id, 'base64url').toString('base64'),
      Buffer.from(id, 'base64url').toString('hex'),
      'sms:..',
      '../../x',
    ];
    for (const one of forged) await expectUnknown(one);
    expect(bed.providerCalls).toBe(0);
  });

  it('are BAD_USER_INPUT above 512 characters', async () => {
    for (const id of ['A'.repeat(513), 'A'.repeat(100_000)]) {
      const { data, errors } = await bed.query<{ media: unknown }>(MEDIA_BY_ID, { id });
      expect([data, errors.map(({ path, extensions }) => [path, extensions.code])]).toEqual([
        { media: null },
        [[['media'], 'BAD_USER_INPUT']],
      ]);
      const entity = await bed.query<EntitiesData>(ENTITIES, { representations: [{ __typename: 'Media', id }] });
      expect([entity.data, sole(entity.errors).extensions.code]).toEqual([{ _entities: [null] }, 'BAD_USER_INPUT']);
    }
    expect(bed.providerCalls).toBe(0);
  });

  it.each(['', '\0', 'a\0b', 'sms:x', '\ud800', '😀'])('are MEDIA_NOT_FOUND for mutations: %j', async (id) => {
    for (const field of ['deleteMedia', 'retryMedia']) {
      const { data, errors } = await bed.query<null>(
        `mutation($id: ID!) { ${field}(input: { id: $id }) { __typename } }`,
        { id },
      );
      expect([data, sole(errors).extensions.code]).toEqual([null, 'MEDIA_NOT_FOUND']);
    }
    expect(bed.providerCalls).toBe(0);
  });

  /** An id with a valid checksum over any content. */
  function withChecksum(...parts: Array<number | string | Buffer>): string {
    const bytes = Buffer.concat(
      parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))),
    );
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32(bytes));
    return Buffer.concat([bytes, checksum]).toString('base64url');
  }

  it('with a valid checksum count as ids, and reach no provider', async () => {
    const forged = [
      withChecksum(1),
      withChecksum(1, 0, 0),
      withChecksum(0, 3, 'sms', 1, 'x'),
      withChecksum(2, 3, 'sms', 1, 'x'),
      withChecksum(1, 3, 'SMS', 1, 'x'),
      withChecksum(1, 200, 'sms', 1, 'x'),
      withChecksum(1, 3, 'sms', 0),
      withChecksum(1, 3, 'sms', 200, 'x'),
      withChecksum(1, 3, 'sms', 2, '..'),
      withChecksum(1, 3, 'sms', 1, '.', 'ME1'),
      withChecksum(1, 3, 'sms', 6, 'a/../b'),
      withChecksum(1, 3, 'sms', 6, '%2e%2e'),
      withChecksum(1, 3, 'sms', 1, '\0'),
      withChecksum(1, 3, 'sms', 1, 'x', '..'),
      withChecksum(1, 3, 'sms', 1, 'x', '../../Accounts'),
      withChecksum(1, 3, 'sms', 1, 'x', 'a'.repeat(71)),
      withChecksum(1, 3, 'sms', 1, Buffer.from([0xff])),
      withChecksum(1, 3, 'sms', 1, Buffer.from([0xff]), 'ME1'),
      withChecksum(1, 3, 'sms', 2, Buffer.from([0xed, 0xa0])),
      withChecksum(1, 6, 'nobody', 1, 'x'),
      withChecksum(1, 9, '__proto__', 1, 'x'),
    ];
    for (const one of forged) await expectUnknown(one);
    expect(bed.providerCalls).toBe(0);
  });

  it('that name a media their message does not have are looked up in its listing only', async () => {
    const [signalwire, kirim] = [decoded(await listedId('signalwire')), decoded(await listedId('kirim'))];
    receive(bed, 'signalwire', 2);
    const forged: MediaIdParts[] = [
      { ...signalwire, providerMediaId: 'forged-sid' },
      { ...signalwire, providerMediaId: signalwireMediaSid(2) },
      { ...signalwire, providerMediaId: null },
      { ...signalwire, providerMessageId: signalwireMessageSid(2) },
      { ...signalwire, providerMessageId: 'forged-message' },
      { ...signalwire, channelId: 'mms' },
      { ...signalwire, channelId: 'wa' },
      { ...kirim, providerMediaId: 'forged-sid' },
      { ...kirim, channelId: 'sms' },
      { ...kirim, providerMessageId: 'forged-message' },
    ];
    for (const parts of forged) await expectUnknown(encodeMediaId(parts));
    const paths = bed.emulators.flatMap(({ requests }) => requests.map(({ path }) => path));
    for (const path of paths) expect(path).toMatch(/\/Messages\/[^/]+\/Media\.json$|^\/v1\/messages\/[^/]+\/media$/);
    expect(paths.filter((path) => path.includes('forged-sid'))).toEqual([]);
    expect(bed.cdn.requestCount).toBe(0);
  });

  it("of another tenant's channel reach no provider", async () => {
    const shared = await beds.shared();
    const others = await beds.own({
      config: { channels: [kirimChannel(shared.kirim.baseUrl, { id: 'theirs', tenant: 'globex' })] },
    });
    receive(shared, 'kirim');
    await expectUnknown(
      encodeMediaId({ channelId: 'theirs', providerMessageId: kirimMessageId(1), providerMediaId: null }),
      others,
    );
    expect(shared.providerCalls + others.providerCalls).toBe(0);
  });
});

describe('representations', () => {
  it('may be ten thousand: each message is requested once, and an invalid one fails alone', async () => {
    const distinct = 50;
    const unhurried = { timeout: '20s', retries: 0 };
    bed = await beds.own({ config: { providers: { signalwire: unhurried } } });
    const ids = Array.from({ length: distinct }, (_, index) => receive(bed, 'signalwire', index));
    const representations: unknown[] = Array.from({ length: 10_000 }, (_, index) => ({
      __typename: 'Message',
      id: ids[index % distinct],
    }));
    representations[5_000] = { __typename: 'Message', id: 'nobody:x' };
    representations[6_000] = { __typename: 'Nothing' };
    const { status, data, errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(status).toBe(200);
    expect(data?._entities).toHaveLength(10_000);
    expect(data?._entities.filter((entity) => entity?.media?.length === 1)).toHaveLength(9_998);
    expect(errors.map(({ path, extensions }) => [path, extensions.code])).toEqual(
      expect.arrayContaining([
        [['_entities', 5_000, 'media'], 'CHANNEL_NOT_FOUND'],
        [['_entities', 6_000], 'BAD_USER_INPUT'],
      ]),
    );
    expect(errors).toHaveLength(2);
    expect(bed.signalwire.requestCount).toBe(distinct);
  });

  it.each<[string, unknown]>([
    ['a number', 5],
    ['a text', 'Message'],
    ['a list', []],
    ['an empty object', {}],
    ['no key', { __typename: 'Message' }],
    ['half a key', { __typename: 'Message', channelId: 'sms' }],
    ['a number for an id', { __typename: 'Message', id: 5 }],
    ['null for an id', { __typename: 'Message', id: null }],
    ['an object for an id', { __typename: 'Message', id: { toString: 'sms:x' } }],
    ['a list for an id', { __typename: 'Media', id: ['x'] }],
    ['numbers in the pair', { __typename: 'Message', channelId: 5, providerMessageId: 7 }],
    ['no type', { id: 'sms:x' }],
    ['a type that is no text', { __typename: ['Message'], id: 'sms:x' }],
    ['a type that is no entity', { __typename: 'MediaChannelCapabilities', id: 'sms' }],
    ['a root type', { __typename: 'Query' }],
    ['a prototype', { __typename: '__proto__', id: 'x' }],
  ])('that are %s are BAD_USER_INPUT at their place, and the others are answered', async (_name, bad) => {
    const representations = [
      { __typename: 'MediaChannel', id: 'sms' },
      bad,
      { __typename: 'Message', id: receive(bed, 'kirim') },
    ];
    const { data, errors, text } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(data?._entities).toEqual([
      { __typename: 'MediaChannel', provider: 'SIGNALWIRE' },
      null,
      expect.objectContaining({ __typename: 'Message', media: [expect.anything()] }),
    ]);
    expect(sole(errors)).toMatchObject({ path: ['_entities', 1], extensions: { code: 'BAD_USER_INPUT' } });
    expect(leaksIn(text, bed)).toEqual([]);
  });

  it('do not pass their other fields on', async () => {
    const representations = [
      {
        __typename: 'Message',
        id: receive(bed, 'kirim'),
        media: [{ id: 'made-up' }],
        key: 'x',
        target: 'y',
        constructor: 'z',
      },
    ];
    const { data, errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(errors).toEqual([]);
    expect(sole(sole(data?._entities)?.media).id).not.toBe('made-up');
  });

  it('of channels that have no such name are CHANNEL_NOT_FOUND', async () => {
    const names = ['', 'SMS', '../sms', 'sms/..', '__proto__', 'a'.repeat(1_000)];
    const representations = names.map((channelId) => ({ __typename: 'Message', channelId, providerMessageId: 'x' }));
    const { errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(errors).toHaveLength(names.length);
    for (const { extensions } of errors) expect(['CHANNEL_NOT_FOUND', 'BAD_USER_INPUT']).toContain(extensions.code);
    expect(bed.providerCalls).toBe(0);
  });

  it('have the same answer with a trace', async () => {
    const representations = [
      { __typename: 'Message', id: nth(receiveEverywhere(bed), 0) },
      { __typename: 'Nothing' },
      { __typename: 'Media', id: 'x' },
    ];
    const plain = await bed.query<EntitiesData>(ENTITIES, { representations });
    const traced = await bed.query<EntitiesData>(
      ENTITIES,
      { representations },
      { headers: { 'apollo-federation-include-trace': 'ftv1' } },
    );
    expect(traced.data).toEqual(plain.data);
    expect(traced.errors.map(({ path, extensions }) => [path, extensions.code])).toEqual(
      plain.errors.map(({ path, extensions }) => [path, extensions.code]),
    );
  });
});

function decoded(id: string): MediaIdParts {
  const parts = decodeMediaId(id);
  if (!parts || 'uploadId' in parts) throw new Error(`expected the id of a provider's media, got ${id}`);
  return parts;
}
