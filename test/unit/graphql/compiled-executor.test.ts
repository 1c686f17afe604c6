import { createHash } from 'node:crypto';
import { type ExecutionResult, execute, type GraphQLSchema, parse, validate } from 'graphql';
import type { MediaCatalogue } from '../../../src/catalogue/media/media-catalogue.js';
import { SqlMediaCatalogue } from '../../../src/catalogue/media/sql-media-catalogue.js';
import type { Database } from '../../../src/database/database.js';
import { createSubgraphSchema } from '../../../src/graphql/build-schema.js';
import { CompiledExecutor } from '../../../src/graphql/execution/compiled-executor.js';
import { ExecutionBudget } from '../../../src/graphql/execution/execution-budget.js';
import type { GraphQLContext } from '../../../src/graphql/resolvers/context.js';
import { createLoaders } from '../../../src/graphql/resolvers/loaders.js';
import { CachePolicy } from '../../../src/graphql/transport/cache-policy.js';
import { UrlSigner } from '../../../src/links/signed-url.js';
import { MediaLookup } from '../../../src/media/lookup/lookup.js';
import { Retention } from '../../../src/media/retention.js';
import { MediagraphError } from '../../../src/model/errors.js';
import { type ProviderMedia, UNKNOWN_DETAILS } from '../../../src/model/media.js';
import { ChannelDirectory } from '../../../src/providers/channel-directory.js';
import type { ProviderAdapter } from '../../../src/providers/provider-adapter.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { openEmbeddedDatabase } from '../../support/embedded-database.js';

/** An adapter in memory. The start of a message id selects its outcome. */
const adapter: ProviderAdapter = {
  provider: 'kirim',
  mediaPerMessage: 'several',
  listMedia: async (ids) =>
    ids.map((id) => (id.startsWith('fail') ? providerUnavailable() : id.startsWith('none') ? [] : [listed(id)])),
  describeMedia: async (refs) =>
    refs
      .map(({ providerMessageId }) => providerMessageId ?? '')
      .map((id) =>
        id.startsWith('undescribed')
          ? providerUnavailable()
          : { ...UNKNOWN_DETAILS, kind: 'IMAGE', mimeType: 'image/png', sizeBytes: id.length },
      ),
};

function listed(providerMessageId: string): ProviderMedia {
  const createdAt = new Date(Date.UTC(2026, 0, 1));
  return {
    ...UNKNOWN_DETAILS,
    providerMessageId,
    providerMediaId: 'ME1',
    downloadUrl: null,
    status: 'READY',
    createdAt,
    availableUntil: null,
  };
}

function providerUnavailable(): MediagraphError {
  return new MediagraphError('PROVIDER_UNAVAILABLE', 'the provider failed', { channelId: 'wa' });
}

const directory = new ChannelDirectory([{ id: 'wa', tenant: 'default', provider: 'kirim', adapter, webhook: null }]);
const keys = [{ id: 'k1', secret: 'a secret of these tests' }];
const logger = createLogger({ level: 'silent' });
let database: Database;
let catalogue: MediaCatalogue;

beforeAll(async () => {
  database = await openEmbeddedDatabase();
  catalogue = new SqlMediaCatalogue(database);
}, 60_000);

afterAll(() => database.close());

function context(): GraphQLContext {
  const cache = new CachePolicy(0);
  return {
    caller: { tenant: 'default', scopes: new Set(['media:read']) },
    requestId: 'r',
    mutations: {
      upload: () => Promise.reject(new Error('none')),
      delete: () => Promise.reject(new Error('none')),
      retry: () => Promise.reject(new Error('none')),
    },
    loaders: createLoaders({
      lookup: new MediaLookup({
        ...{
          channels: directory,
          catalogue,
          backgroundCatalogue: catalogue,
          retention: new Retention(),
          clock: Date,
          logger,
        },
        copies: [],
        onToCopy: () => {},
      }),
      tenant: 'default',
      call: {},
      cache,
    }),
    cache,
    budget: new ExecutionBudget({ maxNodes: 500_000, maxProviderCalls: 1_000, maxAnswerBytes: 64_000_000 }),
    watch: () => Promise.reject(new Error('none')),
    channels: directory,
    urls: new UrlSigner({ keys, baseUrl: () => 'https://cdn.example.com', ttlMs: 3_600_000 }),
    renditions: { makes: () => true, fromProvider: true },
    bindsToOrigins: false,
    now: Date.UTC(2026, 10, 21),
    maxUploadBytes: 1,
    messageIds: 'transparent',
  };
}

/** Executes an operation with both executors. */
async function executeWithBoth(
  schema: GraphQLSchema,
  query: string,
  variables?: Record<string, unknown>,
  operationName?: string,
) {
  const document = parse(query);
  expect(validate(schema, document)).toEqual([]);
  const documentHash = createHash('sha256').update(query).digest('hex');
  const compiled = new CompiledExecutor(schema).execute({
    document,
    documentHash,
    operationName,
    variables,
    context: context(),
  });
  const interpreted = execute({ schema, document, operationName, variableValues: variables, contextValue: context() });
  return { compiled: comparable(await compiled), interpreted: comparable(await interpreted) };
}

/** Sorts the errors, since those of parallel fields may come in any order (GraphQL specification, section 6.4.4). */
function comparable({ data, errors }: ExecutionResult) {
  const errorTexts = (errors ?? []).map(({ message, path, locations, originalError }) =>
    JSON.stringify({ message, path, locations, original: originalError?.message }),
  );
  return { data: JSON.parse(JSON.stringify(data ?? null)), errors: errorTexts.sort() };
}

const FIELDS =
  'id status kind mimeType sizeBytes sha256 filename caption url urlExpiresAt provider providerMediaId createdAt expiresAt';

describe('compiled execution answers as graphql-js does', () => {
  const schema = createSubgraphSchema({});

  const operations: ReadonlyArray<[string, string, Record<string, unknown>?, string?]> = [
    [
      'every field',
      `{ messagesWithMedia(ids: ["wa:a", "wa:b"]) { id channelId providerMessageId media { ${FIELDS} channel { id provider capabilities { listsMedia upload deletesAtProvider receivesWebhooks maxUploadBytes uploadMimeTypes } } message { id media { id } } } } }`,
    ],
    [
      'errors at nullable fields',
      '{ messagesWithMedia(ids: ["wa:fail1", "wa:a", "nope:x", "wa:..", "wa:none", "bare"]) { id media { id } } }',
    ],
    [
      'errors that null their parents',
      '{ messagesWithMedia(ids: ["bare", "wa:a", "wa:.."]) { id channelId media { id } } }',
    ],
    ['errors deep inside', '{ messagesWithMedia(ids: ["wa:undescribed", "wa:a"]) { media { id kind } } }'],
    [
      'errors at nullable leaves',
      '{ messagesWithMedia(ids: ["wa:undescribed", "wa:a"]) { media { id mimeType sizeBytes url(expiresIn: 1) } } }',
    ],
    [
      'aliases and arguments',
      '{ a: messagesWithMedia(ids: ["wa:a"]) { m: media { inline: url saved: url(disposition: ATTACHMENT, expiresIn: 60) u: url(disposition: INLINE) } } b: messagesWithMedia(ids: "wa:b") { id } }',
    ],
    [
      'fragments',
      'query { messagesWithMedia(ids: ["wa:a"]) { ...M ... on Message { media(kinds: [IMAGE]) { ...F } } ... { id } } } fragment M on Message { id media(kinds: [IMAGE]) { status } } fragment F on Media { id __typename }',
    ],
    [
      'variables',
      'query Q($ids: [ID!]!, $kinds: [MediaKind!] = [IMAGE], $d: MediaDisposition! = ATTACHMENT, $e: Int) { messagesWithMedia(ids: $ids) { media(kinds: $kinds) { url(disposition: $d, expiresIn: $e) } } }',
      { ids: ['wa:a', 5] },
    ],
    [
      'variables given',
      'query Q($ids: [ID!]!, $kinds: [MediaKind!], $d: MediaDisposition! = ATTACHMENT, $e: Int) { messagesWithMedia(ids: $ids) { media(kinds: $kinds) { url(disposition: $d, expiresIn: $e) } } }',
      { ids: 'wa:a', kinds: ['VIDEO', 'IMAGE'], d: 'INLINE', e: 90 },
    ],
    [
      'null for nullable variables',
      'query Q($kinds: [MediaKind!]) { messagesWithMedia(ids: ["wa:a"]) { media(kinds: $kinds) { id } } }',
      { kinds: null },
    ],
    ['a missing variable', 'query Q($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id } }'],
    ['a null where none may be', 'query Q($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id } }', { ids: [null] }],
    ['a variable of another type', 'query Q($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id } }', { ids: { a: 1 } }],
    [
      'an unknown enum value',
      'query Q($k: [MediaKind!]) { messagesWithMedia(ids: []) { media(kinds: $k) { id } } }',
      { k: ['IMAGEE'] },
    ],
    [
      'a number out of range',
      'query Q($e: Int) { messagesWithMedia(ids: ["wa:a"]) { media { url(expiresIn: $e) } } }',
      { e: 2 ** 40 },
    ],
    [
      'skip and include',
      'query Q($yes: Boolean!, $no: Boolean!) { messagesWithMedia(ids: ["wa:a"]) { id @skip(if: $yes) channelId @include(if: $no) media @skip(if: $no) { id @include(if: $yes) status @skip(if: true) } } }',
      { yes: true, no: false },
    ],
    ['one operation of several', 'query A { mediaChannels { id } } query B { media(id: "x") { id } }', {}, 'B'],
    ['an operation that is not there', 'query A { mediaChannels { id } } query B { media(id: "x") { id } }', {}, 'C'],
    ['several operations and no name', 'query A { mediaChannels { id } } query B { media(id: "x") { id } }'],
    ['type names', '{ __typename mediaChannels { __typename capabilities { __typename } } }'],
    [
      'introspection',
      '{ __schema { queryType { name } } __type(name: "Media") { fields { name } } mediaChannels { id } }',
    ],
    [
      'entities',
      'query E($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Message { id channelId media { id } } ... on Media { id url } ... on MediaChannel { provider } } }',
      {
        r: [
          { __typename: 'Message', id: 'wa:a' },
          { __typename: 'Message', channelId: 'wa', providerMessageId: 'b' },
          { __typename: 'Message', channelId: 'wa', providerMessageId: '..' },
          { __typename: 'MediaChannel', id: 'wa' },
          { __typename: 'MediaChannel', id: 'no' },
          { __typename: 'Media', id: 'no' },
          { __typename: 'Query' },
          {},
          5,
          null,
        ],
      },
    ],
    [
      'entities that are not a list',
      'query E($r: [_Any!]!) { _entities(representations: $r) { __typename } }',
      { r: { __typename: 'Message', id: 'wa:a' } },
    ],
    ['the SDL', '{ _service { sdl } }'],
  ];

  for (const [name, query, variables, operationName] of operations) {
    it(name, async () => {
      const { compiled, interpreted } = await executeWithBoth(schema, query, variables, operationName);
      expect(compiled.data).toEqual(interpreted.data);
      // Siblings of a field that nulls its parent may report further errors (section 6.4.4), but none may be missing.
      expect(compiled.errors).toEqual(expect.arrayContaining(interpreted.errors));
      if (!name.includes('null their parents')) expect(compiled.errors).toEqual(interpreted.errors);
    });
  }
});
