/** What one operation may cost: fields, calls to providers, bytes, texts in its arguments. Under both executors. */
import { getIntrospectionQuery } from 'graphql';
import { messageId, receive } from '../support/sample-messages.js';
import { Subscriber } from '../support/subscribers.js';
import {
  type GetOptions,
  type GraphQLAnswer,
  type MediaData,
  type MessageData,
  sole,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';

const ONCE = { timeout: '30s', retries: 0 };
const beds = useBeds({ config: { providers: { kirim: ONCE, signalwire: ONCE, twilio: ONCE } } });

interface EntitiesData {
  readonly _entities: ReadonlyArray<(MessageData & MediaData) | null>;
}

/** Compiled, and interpreted for a trace. */
const EXECUTORS: ReadonlyArray<[string, GetOptions]> = [
  ['compiled', {}],
  ['interpreted', { headers: { 'apollo-federation-include-trace': 'ftv1' } }],
];

function bedWith(limits: Readonly<Record<string, unknown>>): Promise<TestBed> {
  return beds.own({ config: { limits, providers: { kirim: ONCE, signalwire: ONCE, twilio: ONCE } } });
}

function codesOf({ errors }: Pick<GraphQLAnswer<unknown>, 'errors'>): unknown[] {
  return errors.map(({ extensions }) => extensions.code);
}

function expectTooComplex(answer: GraphQLAnswer<unknown>): void {
  expect([answer.data ?? null, codesOf(answer)]).toEqual([null, ['QUERY_TOO_COMPLEX']]);
  expect(sole(answer.errors).extensions.requestId).toEqual(expect.any(String));
}

const aliased = (count: number, field: (alias: string) => string) =>
  Array.from({ length: count }, (_, index) => field(`a${index}`)).join(' ');

describe.each(EXECUTORS)('fields, %s', (_name, options) => {
  // `messagesWithMedia` itself, then for each of 4 messages id, media, and for its one media id and url.
  const FIELDS = 1 + 4 * 2 + 4 * 2;
  const QUERY = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id url } } }';

  it('may use the whole budget, and not one field more', async () => {
    const exact = await bedWith({ maxNodes: FIELDS });
    const ids = Array.from({ length: 4 }, (_, index) => receive(exact, 'signalwire', index));
    const answer = await exact.query(QUERY, { ids }, options);
    expect([answer.errors, answer.data?.messagesWithMedia.map((one) => one?.media?.length)]).toEqual([
      [],
      [1, 1, 1, 1],
    ]);
    const short = await bedWith({ maxNodes: FIELDS - 1 });
    for (const index of ids.keys()) receive(short, 'signalwire', index);
    expectTooComplex(await short.query(QUERY, { ids }, options));
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['at the root', `{ ${aliased(25, (alias) => `${alias}: __typename`)} }`, {}],
    [
      'of aliases',
      `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { ${aliased(10, (alias) => `${alias}: id`)} } }`,
      { ids: ['sms:a', 'sms:b', 'sms:c'] },
    ],
    [
      'in fragments',
      'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { ...A ... on Message { channelId } } } fragment A on Message { id a: id b: id c: id d: id e: id f: id }',
      { ids: ['sms:a', 'sms:b', 'sms:c'] },
    ],
    [
      'of representations',
      'query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Message { id a: id b: id } } }',
      { r: Array.from({ length: 6 }, () => ({ __typename: 'Message', id: 'sms:a' })) },
    ],
    [
      'of channels',
      `{ ${aliased(3, (alias) => `${alias}: mediaChannels { id provider capabilities { listsMedia upload deletesAtProvider } }`)} }`,
      {},
    ],
    ['of the schema', '{ __schema { types { name } } }', {}],
    ['of a type', '{ __type(name: "Media") { fields { name } } }', {}],
  ])('are counted before the items are resolved: %s', async (_where, query, variables) => {
    const short = await bedWith({ maxNodes: 20 });
    expectTooComplex(await short.query(query, variables, options));
    expect(short.providerCalls).toBe(0);
    const wide = await beds.shared();
    expect(codesOf(await wide.query(query, variables, options))).not.toContain('QUERY_TOO_COMPLEX');
  });

  it('count the values of lists that hold no objects', async () => {
    const channels = [
      {
        id: 'ch',
        provider: 'chakra',
        baseUrl: 'https://api.example.com',
        credentials: { token: 'chakra-token' },
        options: { pluginId: 'plugin-1' },
      },
    ];
    const short = await beds.own({ config: { limits: { maxNodes: 20 }, channels } });
    const query = '{ mediaChannels { capabilities { uploadMimeTypes } } }';
    expectTooComplex(await short.query(query, {}, options));
    const wide = await beds.own({ config: { limits: { maxNodes: 100 }, channels } });
    expect((await wide.query(query, {}, options)).errors).toEqual([]);
  });

  it('that are skipped are not counted, also when a variable changes between requests', async () => {
    const short = await bedWith({ maxNodes: 20 });
    const query = `query($ids: [ID!]!, $all: Boolean!) { messagesWithMedia(ids: $ids) { id ...A @include(if: $all) } }
      fragment A on Message { ${aliased(8, (alias) => `${alias}: id`)} }`;
    const ids = ['sms:a', 'sms:b', 'sms:c'];
    expect((await short.query(query, { ids, all: false }, options)).errors).toEqual([]);
    expectTooComplex(await short.query(query, { ids, all: true }, options));
    expect((await short.query(query, { ids, all: false }, options)).errors).toEqual([]);
    expectTooComplex(
      await short.query(query.replace('@include(if: $all)', '@skip(if: $all)'), { ids, all: false }, options),
    );
  });

  it('with the same response name count once', async () => {
    const short = await bedWith({ maxNodes: 10 });
    const { errors } = await short.query(`{ messagesWithMedia(ids: ["sms:a"]) { ${'id '.repeat(50)} } }`, {}, options);
    expect(errors).toEqual([]);
  });

  it('of a whole introspection are within the default', async () => {
    const bed = await beds.shared();
    const { status, errors } = await bed.query(getIntrospectionQuery(), {}, options);
    expect([status, errors]).toEqual([200, []]);
  });

  it('of circular introspection are refused', async () => {
    const bed = await beds.shared();
    const types = `types { ${aliased(10, (a) => `${a}: fields { ${aliased(10, (b) => `${a}${b}: type { name fields { args { name type { name } } type { fields { name } } } }`)} }`)} }`;
    const answer = await bed.query(`{ __schema { ${types} } }`, {}, options);
    expect(answer.data ?? null).toBeNull();
    for (const code of codesOf(answer)) expect(['QUERY_TOO_COMPLEX', 'GRAPHQL_VALIDATION_FAILED']).toContain(code);
  });
});

describe.each(EXECUTORS)('overlong lists, %s', (_name, options) => {
  it('of representations with aliases are refused as a whole, with one error', async () => {
    const bed = await beds.shared();
    const representations = Array.from({ length: 30_000 }, () => ({ __typename: 'Message', id: 'sms:a' }));
    const query = `query($r: [_Any!]!) { _entities(representations: $r) { ... on Message { ${aliased(30, (alias) => `${alias}: id`)} } } }`;
    const answer = await bed.query<EntitiesData>(query, { r: representations }, options);
    expectTooComplex(answer);
    expect(sole(answer.errors).path).toEqual(['_entities']);
  });

  it('of malformed representations have one error each', async () => {
    const bed = await beds.shared();
    const given = [
      1,
      'x',
      null,
      [],
      {},
      { __typename: 'Message' },
      { __typename: 'X', id: 'y' },
      { __typename: 'Media', id: 5 },
    ];
    const representations = Array.from({ length: 8_000 }, (_, index) => given[index % given.length] ?? { a: 1 });
    const query = 'query($r: [_Any!]!) { _entities(representations: $r) { __typename } }';
    const { data, errors } = await bed.query<EntitiesData>(query, { r: representations }, options);
    expect(data?._entities).toEqual(representations.map(() => null));
    expect(new Set(codesOf({ errors }))).toEqual(new Set(['BAD_USER_INPUT']));
    expect(new Set(errors.map(({ path }) => path?.[1])).size).toBe(8_000);
  });

  it('of known media and messages are answered: ten thousand', async () => {
    const bed = await beds.shared();
    const messages = Array.from({ length: 20 }, (_, index) => receive(bed, 'signalwire', index));
    const known = await bed.query('query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id } } }', {
      ids: messages,
    });
    await bed.app.settled();
    const ids = known.data?.messagesWithMedia.map((one) => sole(one?.media).id) ?? [];
    bed.clearRequests();
    const representations = Array.from({ length: 10_000 }, (_, index) =>
      index % 2 === 0
        ? { __typename: 'Media', id: ids[(index / 2) % 20] }
        : { __typename: 'Message', id: messages[((index - 1) / 2) % 20] },
    );
    const query = `query($r: [_Any!]!) { _entities(representations: $r) { __typename
      ... on Media { id url thumbnailUrl } ... on Message { id media { id url thumbnailUrl } } } }`;
    const { data, errors } = await bed.query<EntitiesData>(query, { r: representations }, options);
    expect(errors).toEqual([]);
    for (const [index, entity] of (data?._entities ?? []).entries()) {
      const media = index % 2 === 0 ? entity : sole(entity?.media);
      expect([index, media?.id, typeof media?.url]).toEqual([index, ids[Math.floor(index / 2) % 20], 'string']);
    }
    expect([data?._entities.length, bed.providerCalls]).toEqual([10_000, 0]);
  }, 120_000);
});

describe('calls to providers', () => {
  it.each(EXECUTORS)('beyond the bound are errors of their paths, %s', async (_name, options) => {
    const bed = await bedWith({ maxProviderCalls: 3 });
    const ids = Array.from({ length: 7 }, (_, index) => receive(bed, 'signalwire', index));
    const { data, errors } = await bed.query(
      'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id } } }',
      { ids },
      options,
    );
    expect(bed.providerCalls).toBe(3);
    expect(data?.messagesWithMedia.filter((one) => one?.media !== null)).toHaveLength(3);
    expect(codesOf({ errors })).toEqual(new Array(4).fill('QUERY_TOO_COMPLEX'));
    for (const { path } of errors) expect(path).toEqual(['messagesWithMedia', expect.any(Number), 'media']);
    await bed.app.settled();
    // What is known by now costs no call.
    const again = await bed.query(
      'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id } } }',
      { ids: ids.slice(0, 6) },
      options,
    );
    expect([again.errors, bed.providerCalls]).toEqual([[], 6]);
  });

  it('for details count too', async () => {
    const bed = await bedWith({ maxProviderCalls: 3 });
    const ids = Array.from({ length: 3 }, (_, index) => receive(bed, 'kirim', index + 1));
    const { data, errors } = await bed.query(
      'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id sizeBytes } } }',
      { ids },
    );
    expect(data?.messagesWithMedia.map((one) => sole(one?.media).sizeBytes)).toEqual([null, null, null]);
    expect(errors.map(({ path, extensions }) => [path?.at(-1), extensions.code])).toEqual(
      new Array(3).fill(['sizeBytes', 'QUERY_TOO_COMPLEX']),
    );
  });
});

describe('answers', () => {
  const QUERY = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { a: id b: id c: id d: id } }';
  const ids = Array.from({ length: 100 }, (_, index) => `sms:${'x'.repeat(200)}${index}`);

  it.each(EXECUTORS)('longer than the bound are refused, %s', async (_name, options) => {
    const bed = await bedWith({ maxAnswerBytes: '80kB' });
    expectTooComplex(await bed.query(QUERY, { ids }, options));
    expect((await bed.query(QUERY, { ids: ids.slice(0, 10) }, options)).errors).toEqual([]);
  });

  it('are measured to the byte as they are sent', async () => {
    const wide = await beds.shared();
    const texts = ['sms:"quotes" \\ and\ttabs', 'sms:umlauts äöü € 😀', 'sms:\u0007'];
    const { text } = await wide.query(QUERY, { ids: texts });
    const bytes = Buffer.byteLength(text.trimEnd());
    expect((await (await bedWith({ maxAnswerBytes: bytes })).query(QUERY, { ids: texts })).errors).toEqual([]);
    expectTooComplex(await (await bedWith({ maxAnswerBytes: bytes - 1 })).query(QUERY, { ids: texts }));
  });

  it.each(EXECUTORS)('of errors have the same limit, %s', async (_name, options) => {
    const bed = await bedWith({ maxAnswerBytes: '20kB' });
    const query = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { ${aliased(5, (alias) => `${alias}: media { id }`)} } }`;
    const answer = await bed.query(query, { ids: ids.map((_, index) => `nobody:${index}`) }, options);
    expectTooComplex(answer);
    expect(answer.text.length).toBeLessThan(1_000);
  });

  it.each(['sse', 'websocket'] as const)('over long-lived connections are bounded: %s', async (transport) => {
    const bed = await bedWith({ maxAnswerBytes: '80kB', maxNodes: 1_000 });
    for (const [query, variables] of [
      [QUERY, { ids }],
      [
        `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { ${aliased(11, (alias) => `${alias}: __typename`)} } }`,
        { ids },
      ],
    ] as const) {
      const { url } = bed.app;
      const subscriber = Subscriber.open({ transport, url, query, variables });
      await subscriber.ended();
      subscriber.close();
      const { data, errors = [] } = sole(subscriber.results);
      expect([data ?? null, codesOf({ errors })]).toEqual([null, ['QUERY_TOO_COMPLEX']]);
    }
  });
});

describe('texts in arguments', () => {
  const upload = 'mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { media { id } } }';
  const input = { channelId: 'wa', url: 'https://media.example.com/a.jpg' };
  const long = (length: number) => 'x'.repeat(length);

  it.each<[string, string, Record<string, unknown>]>([
    ['an id', 'query($id: ID!) { media(id: $id) { id } }', { id: long(513) }],
    ['an id in the document', `{ media(id: "${long(513)}") { id } }`, {}],
    ['an id in an input object', upload, { input: { ...input, messageId: long(513) } }],
    ['a channel', upload, { input: { ...input, channelId: long(513) } }],
    ['a text in an input object', upload, { input: { ...input, filename: long(2_049) } }],
    [
      'a text in an object of the document',
      `mutation { uploadMediaFromUrl(input: { channelId: "wa", url: "https://e.example/a", idempotencyKey: "${long(2_049)}" }) { media { id } } }`,
      {},
    ],
    ['a type', upload, { input: { ...input, mimeType: long(100_000) } }],
    ['a URL', upload, { input: { ...input, url: `https://media.example.com/${long(8_193)}` } }],
    [
      'an id to be deleted',
      'mutation($input: DeleteMediaInput!) { deleteMedia(input: $input) { scope } }',
      { input: { id: long(513) } },
    ],
    [
      'where a number belongs',
      'query($w: Int!) { media(id: "x") { thumbnailUrl(width: $w) } }',
      { w: long(1_000_000) },
    ],
    [
      'where a kind belongs',
      'query($k: [MediaKind!]) { messagesWithMedia(ids: []) { media(kinds: $k) { id } } }',
      { k: [long(1_000_000)] },
    ],
    ['the name of a field', upload, { input: { ...input, [long(100_000)]: 1 } }],
    [
      'too many fields',
      upload,
      { input: { ...input, ...Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`f${index}`, 1])) } },
    ],
  ])('that are too long are BAD_USER_INPUT: %s', async (_what, query, variables) => {
    const bed = await beds.shared();
    for (const [, options] of EXECUTORS) {
      const answer = await bed.query<Record<string, unknown>>(query, variables, options);
      expect(new Set(codesOf(answer))).toEqual(new Set(['BAD_USER_INPUT']));
      expect(Object.values(answer.data ?? {}).filter((value) => value !== null)).toEqual([]);
      expect(answer.text.length).toBeLessThan(20_000);
    }
    expect(bed.providerCalls).toBe(0);
  });

  it('of the maximum length are accepted', async () => {
    const bed = await beds.shared();
    const { errors } = await bed.query(upload, { input: { ...input, channelId: 'nowhere', filename: long(2_048) } });
    expect(codesOf({ errors })).toEqual(['CHANNEL_NOT_FOUND']);
    expect((await bed.query('query($id: ID!) { media(id: $id) { id } }', { id: long(512) })).errors).toEqual([]);
  });

  it('in representations fail only those representations', async () => {
    const bed = await beds.shared();
    const id = receive(bed, 'signalwire');
    const representations = [
      { __typename: 'Media', id: long(513) },
      { __typename: 'MediaChannel', id: long(513) },
      { __typename: 'Message', id, more: { deep: [long(2_049)] } },
      { __typename: 'Message', channelId: long(513), providerMessageId: 'x' },
      { __typename: 'Message', id, more: { deep: [long(2_048)] } },
    ];
    const query = 'query($r: [_Any!]!) { _entities(representations: $r) { ... on Message { id } } }';
    const { data, errors } = await bed.query<EntitiesData>(query, { r: representations });
    expect(data?._entities).toEqual([null, null, null, null, { id }]);
    expect(errors.map(({ path, extensions }) => [path?.[1], extensions.code]).sort()).toEqual(
      [0, 1, 2, 3].map((index) => [index, 'BAD_USER_INPUT']),
    );
  });

  it('of subscriptions are bounded', async () => {
    const bed = await beds.shared();
    const query = 'subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { id } }';
    const subscriber = Subscriber.open({ transport: 'sse', url: bed.app.url, query, variables: { ids: [long(513)] } });
    await subscriber.ended();
    subscriber.close();
    expect(codesOf({ errors: sole(subscriber.results).errors ?? [] })).toEqual(['BAD_USER_INPUT']);
  });
});

describe('lists of enum values', () => {
  it.each(EXECUTORS)('count each value once, %s', async (_name, options) => {
    const bed = await beds.shared();
    receive(bed, 'twilio');
    const kinds = Array.from({ length: 20_000 }, (_, index) => ['IMAGE', 'VIDEO', 'AUDIO'][index % 3]);
    const query = `query($ids: [ID!]!, $kinds: [MediaKind!]) { messagesWithMedia(ids: $ids) { ${aliased(30, (alias) => `${alias}: media(kinds: $kinds) { kind }`)} } }`;
    const ids = new Array<string>(100).fill(messageId('twilio'));
    const { data, errors } = await bed.query<{ messagesWithMedia: ReadonlyArray<Record<string, unknown>> }>(
      query,
      { ids, kinds },
      options,
    );
    expect(errors).toEqual([]);
    expect(data?.messagesWithMedia).toHaveLength(100);
    expect(data?.messagesWithMedia[99]?.a29).toEqual([{ kind: 'IMAGE' }]);
  });
});

describe('documents', () => {
  it('with many leading comments are refused by the number of tokens', async () => {
    const bed = await beds.shared();
    const answer = await bed.query(`${'#\n'.repeat(500_000)}{ __typename }`);
    expect([answer.status, codesOf(answer)]).toEqual([400, ['QUERY_TOO_COMPLEX']]);
  });

  it('with names of megabytes are refused with a short message', async () => {
    const bed = await beds.shared();
    for (const query of [`{ ${'a'.repeat(3_000_000)} }`, `{ media(id: "x", ${'b'.repeat(3_000_000)}: 1) { id } }`]) {
      const answer = await bed.query(query);
      expect([answer.status, codesOf(answer).every((code) => code === 'GRAPHQL_VALIDATION_FAILED')]).toEqual([
        400,
        true,
      ]);
      expect(answer.text.length).toBeLessThan(20_000);
    }
  });

  it.each(EXECUTORS)('are not executed where operationName is empty, %s', async (_name, options) => {
    const bed = await beds.shared();
    for (const query of ['{ __typename }', 'query A { __typename }', 'query A { __typename } query B { __typename }']) {
      const { status, data, errors } = await bed.post(JSON.stringify({ query, operationName: '' }), options);
      expect([status, data ?? null]).toEqual([400, null]);
      expect(sole(errors).extensions.code).toBe('OPERATION_RESOLUTION_FAILURE');
    }
  });
});

describe('errors', () => {
  it.each(EXECUTORS)('name the provider by its value of the enum, %s', async (_name, options) => {
    const bed = await beds.shared();
    bed.kirim.fault = { kind: 'status', status: 500 };
    const { errors } = await bed.query('{ messagesWithMedia(ids: ["wa:x"]) { media { id } } }', {}, options);
    expect(sole(errors).extensions).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', provider: 'KIRIM', channelId: 'wa' });
  });
});
