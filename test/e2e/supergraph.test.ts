import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'graphql';
import type {
  KyselyPlugin,
  PluginTransformQueryArgs,
  PluginTransformResultArgs,
  QueryResult,
  RootOperationNode,
  UnknownRow,
} from 'kysely';
import { parse as parseYaml } from 'yaml';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  twilioMessageSid,
} from '../../demo/src/emulators/sample-ids.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import type { Database } from '../../src/database/database.js';
import { printSubgraphSdl } from '../../src/graphql/build-schema.js';
import type { MessageIds } from '../../src/graphql/resolvers/message-source.js';
import { encodeMediaId } from '../../src/model/ids.js';
import type { MessageKey } from '../../src/model/media.js';
import { reportedMedia } from '../support/databases.js';
import { emptyTables, openEmbeddedDatabase } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import { OwnServer } from '../support/own-server.js';
import { receiveEverywhere, samples } from '../support/sample-messages.js';
import { Subscriber } from '../support/subscribers.js';
import {
  COMPOSERS,
  type ComposerName,
  type ConversationGiven,
  type Endpoint,
  endpointAt,
  type GatewayName,
  neighbours,
  Program,
  Supergraph,
} from '../support/supergraph.js';
import {
  type GraphQLAnswer,
  type GraphQLFault,
  kirimChannel,
  nth,
  SECRETS,
  sole,
  TestBed,
  useBeds,
} from '../support/test-bed.js';

const START_MS = 60_000;
const FORMS: readonly MessageIds[] = ['transparent', 'bare', 'owned'];
const GATEWAY_NAMES: readonly GatewayName[] = ['apollo', 'hive'];
const COMPOSER_NAMES: readonly ComposerName[] = ['apollo', 'guild'];
const FOLDER = new URL('../../schema/supergraph/', import.meta.url);

// Its beds are started below, for several tests each; this closes the database under them when all are closed.
useBeds();

const media = (messageIds: MessageIds) => ({
  name: 'media',
  url: 'http://media',
  typeDefs: parse(printSubgraphSdl({ messageIds })),
});

/** The enum of `@cacheControl`, defined as Apollo documents it: the directive alone uses it. */
const OF_CACHE_CONTROL = { code: 'UNUSED_ENUM_TYPE', about: 'CacheControlScope' };

describe.each(COMPOSER_NAMES)('the composer %s', (composer) => {
  const compose = COMPOSERS[composer];

  it.each(FORMS)('composes media, messages and notes where message ids are %s', (messageIds) => {
    const { errors, hints, supergraphSdl } = compose([media(messageIds), ...neighbours(messageIds)]);
    expect(errors).toEqual([]);
    expect([OF_CACHE_CONTROL]).toEqual(expect.arrayContaining([...hints]));
    expect(supergraphSdl).toMatch(/media\(kinds: \[MediaKind!\]\): \[Media!\] @join__field\(graph: MEDIA\)/);
    expect(supergraphSdl).toMatch(/text: String @join__field\(graph: MESSAGES\)/);
  });

  it.each(FORMS)('composes media alone, as for message ids that are %s', (messageIds) => {
    const { errors, hints } = compose([media(messageIds)]);
    expect(errors).toEqual([]);
    expect([OF_CACHE_CONTROL]).toEqual(expect.arrayContaining([...hints]));
  });

  it('composes our subgraph with the directives of routers that check scopes', () => {
    const typeDefs = parse(printSubgraphSdl({ authDirectives: true }));
    const { errors, supergraphSdl } = compose([{ ...media('transparent'), typeDefs }, ...neighbours('transparent')]);
    expect(errors).toEqual([]);
    expect(supergraphSdl).toMatch(/deleteMedia\(.*@requiresScopes\(scopes: \[\["media:delete"\]\]\)/);
    expect(supergraphSdl).toMatch(/type Media\b[^{]*@authenticated/);
  });

  it('composes our subgraph with the costs by which routers estimate operations', () => {
    const typeDefs = parse(printSubgraphSdl({ costDirectives: true, authDirectives: true }));
    const { errors, supergraphSdl } = compose([{ ...media('transparent'), typeDefs }, ...neighbours('transparent')]);
    expect(errors).toEqual([]);
    expect(supergraphSdl).toMatch(/messagesWithMedia\(.*@listSize\(assumedSize: 100\b/);
    expect(supergraphSdl).toMatch(/\bsizeBytes: \w+.*@cost\(weight: 1\)/);
  });

  it('refuses our subgraph beside messages whose ids have another form than configured', () => {
    const { errors } = compose([media('owned'), ...neighbours('bare')]);
    expect(errors.length).toBeGreaterThan(0);
  });
});

describe('the files for composers', () => {
  interface RoverFile {
    readonly subgraphs: Readonly<
      Record<string, { readonly routing_url: string; readonly schema: { readonly file: string } }>
    >;
  }
  interface CosmoFile {
    readonly subgraphs: ReadonlyArray<{
      readonly name: string;
      readonly routing_url: string;
      readonly schema: { readonly file: string };
    }>;
  }

  it('name the same subgraphs, for Rover and for Cosmo', () => {
    const rover: RoverFile = parseYaml(readFileSync(new URL('rover.yaml', FOLDER), 'utf8'));
    const cosmo: CosmoFile = parseYaml(readFileSync(new URL('cosmo.yaml', FOLDER), 'utf8'));
    const ofRover = Object.entries(rover.subgraphs).map(([name, subgraph]) => ({ name, ...subgraph }));
    expect(cosmo.subgraphs.map(({ name, routing_url, schema }) => ({ name, routing_url, schema }))).toEqual(ofRover);
    expect(ofRover.map(({ name }) => name)).toEqual(['media', 'messages', 'notes']);
  });

  it('compose into the committed supergraph (else: node schema/supergraph/compose.js)', async () => {
    const compose = new Program('compose.js', ['--check']);
    expect([await compose.ended, compose.stdout, compose.stderr]).toEqual([0, '', '']);
  });
});

describe('the messages subgraph', () => {
  it('reports faults in its data, and does not start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-conversations-'));
    const file = join(folder, 'conversations.json');
    await writeFile(
      file,
      JSON.stringify({ conversations: [{ ...conversation('ada', 'wa', 'Ada', []), contact: 'Ada' }] }),
    );
    const faulty = new Program('messages/server.js', ['--ids', 'bare', '--port', '0', '--data', file]);
    const nowhere = new Program('messages/server.js', ['--port', '0', '--data', `${file}.none`]);
    expect([await faulty.ended, await nowhere.ended]).toEqual([1, 1]);
    expect(faulty.stderr).toMatch(/expected conversations in .*conversations\[0\]\.contact/s);
    expect(nowhere.stderr).toMatch(/ENOENT/);
    expect(faulty.stdout + nowhere.stdout).toBe('');
    await rm(folder, { recursive: true });
  });
});

// ---------------------------------------------------------------- queries, through two gateways and without

const KEYS = { all: 'key-of-everything-0123456789', none: 'no-such-key' };
const ROUTER_SECRET = 'a secret between router and subgraph';
const sha256 = createHash('sha256').update(KEYS.all).digest('hex');
const GUARDED = {
  server: { port: 0, routerSecret: ROUTER_SECRET },
  auth: { mode: 'apiKey', apiKeys: [{ sha256, tenant: 'default', scopes: ['media:read', 'media:write'] }] },
};

function conversation(
  id: string,
  channelId: string,
  name: string,
  providerMessageIds: readonly string[],
): ConversationGiven {
  const messages = providerMessageIds.map((providerMessageId, index) => ({
    providerMessageId,
    direction: 'INBOUND' as const,
    sentAt: `2026-11-20T09:0${index}:00.000Z`,
    text: `text ${index} to ${name}`,
  }));
  return { id, channelId, contact: { name, phone: '+491701234567' }, messages };
}

/** A photo, a voice note and a message without media; two media; a provider that fails when a test says so; no channel. */
const CONVERSATIONS = [
  conversation('ada', 'wa', 'Ada', [kirimMessageId(1), kirimMessageId(2), kirimMessageId(3)]),
  conversation('bob', 'sms', 'Bob', [signalwireMessageSid(1), signalwireMessageSid(2)]),
  conversation('eve', 'mms', 'Eve', [twilioMessageSid(1)]),
  conversation('nobody', 'nowhere', 'Nobody', ['x']),
];
const HEARD = CONVERSATIONS.filter(({ channelId }) => channelId !== 'nowhere');
const MESSAGES: readonly MessageKey[] = HEARD.flatMap(({ channelId, messages }) =>
  messages.map(({ providerMessageId }) => ({ channelId, providerMessageId })),
);
const argument = ({ channelId, providerMessageId }: MessageKey): string => `${channelId}:${providerMessageId}`;

function receiveAll(bed: TestBed): void {
  receiveEverywhere(bed);
  bed.kirim.addMessage({ id: kirimMessageId(2), media: { ...samples.voiceNote, caption: 'listen' } });
  bed.kirim.addMessage({ id: kirimMessageId(3) });
  const several = [samples.photo, samples.video].map((sample, index) => ({
    ...sample,
    sid: signalwireMediaSid(10 + index),
  }));
  bed.signalwire.addMessage({ sid: signalwireMessageSid(2), media: several });
}

/** Who is asked: the subgraph itself, and each gateway. */
type Route = 'direct' | GatewayName;
type Json = Readonly<Record<string, unknown>>;

/** One form of ids: the real server, its neighbours, and both gateways over them. */
class Graph {
  private constructor(
    readonly bed: TestBed,
    readonly direct: Endpoint,
    readonly supergraph: Supergraph,
    private readonly headers: Readonly<Record<string, string>>,
    private readonly directHeaders: Readonly<Record<string, string>>,
  ) {}

  static async start(messageIds: MessageIds): Promise<Graph> {
    const isGuarded = messageIds === 'owned';
    const providers = { kirim: { retries: 0 }, twilio: { retries: 0 } };
    const config = { providers, federation: { messageIds }, ...(isGuarded ? GUARDED : {}) };
    const bed = await TestBed.start({ config });
    const headers: Readonly<Record<string, string>> = isGuarded ? { authorization: `Bearer ${KEYS.all}` } : {};
    const added: Readonly<Record<string, string>> = isGuarded ? { 'x-router-secret': ROUTER_SECRET } : {};
    const direct = endpointAt(bed.app.url);
    const { data } = await direct.ask<{ _service: { sdl: string } }>(
      '{ _service { sdl } }',
      {},
      { ...headers, ...added },
    );
    const supergraph = await Supergraph.start({
      messageIds,
      media: { name: 'media', url: `${bed.app.url}/graphql`, typeDefs: parse(data?._service.sdl ?? '') },
      conversations: CONVERSATIONS,
      // Each gateway with its maker's composer, and each with the other's.
      composers: messageIds === 'bare' ? { apollo: 'guild', hive: 'apollo' } : { apollo: 'apollo', hive: 'guild' },
      added,
    });
    return new Graph(bed, direct, supergraph, headers, { ...headers, ...added });
  }

  ask<Data = Json>(who: Route, query: string, variables: Json = {}): Promise<GraphQLAnswer<Data>> {
    if (who === 'direct') return this.direct.ask(query, variables, this.directHeaders);
    return this.supergraph.gateways[who].ask(query, variables, this.headers);
  }

  async close(): Promise<void> {
    await this.supergraph.close();
    await this.direct.close();
    await this.bed.close();
  }
}

function useGraph(messageIds: MessageIds): () => Graph {
  let graph: Graph | null = null;
  const current = () => {
    if (!graph) throw new Error('expected a supergraph that was started');
    return graph;
  };
  beforeAll(async () => {
    graph = await Graph.start(messageIds);
  }, START_MS);
  beforeEach(async () => {
    receiveAll(current().bed);
    // Bare ids are looked up in the catalogue: somebody has to have told of the messages before. And a link has the name
    // of its file in it, which changes when the provider is first asked for that.
    await current().ask('direct', ALL_MEDIA, { ids: MESSAGES.map(argument) });
    await current().bed.app.settled();
  });
  afterEach(() => current().bed.reset());
  afterAll(() => current().close());
  return current;
}

const WINDOW_MS = 15 * 60 * 1000;

/** Signed links are the same for a quarter of an hour; what crosses the edge of one is asked again. */
async function inOneWindow<Result>(ask: () => Promise<Result>): Promise<Result> {
  const windowNow = () => Math.floor(Date.now() / WINDOW_MS);
  for (;;) {
    const before = windowNow();
    const result = await ask();
    if (windowNow() === before) return result;
  }
}

/** What may differ: ids of requests, positions in a document that a gateway wrote anew, and the gateways' own additions. */
function comparable({ data, errors }: GraphQLAnswer<unknown>) {
  const faults = errors
    .map(withoutAdditions)
    .sort((a, b) => (JSON.stringify(a.path) < JSON.stringify(b.path) ? -1 : 1));
  return { data, errors: faults };
}

function withoutAdditions({ message, path, extensions }: GraphQLFault) {
  const { requestId, serviceName: _serviceName, ...ours } = extensions;
  expect(requestId).toEqual(expect.any(String));
  return { message, path, extensions: ours };
}

/** Every field of Media that needs no message. */
const FIELDS = `id status kind mimeType sizeBytes sha256 filename caption width height durationSeconds url urlExpiresAt
  thumbnailUrl(width: 160, fit: CONTAIN) thumbHash provider providerMediaId createdAt expiresAt
  channel { id provider capabilities { listsMedia upload deletesAtProvider receivesWebhooks maxUploadBytes uploadMimeTypes } }`;

const ALL_MEDIA = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { ${FIELDS} } } }`;
const LINKS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url } } }';
const ENTITIES = `query($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on Message { media { id } } } }`;

interface Listed {
  readonly media: ReadonlyArray<{ readonly id: string; readonly url: string; readonly kind: string }> | null;
}
interface MediaOfMessages {
  readonly messagesWithMedia: readonly Listed[];
}
interface EntitiesData {
  readonly _entities: ReadonlyArray<Listed | null>;
}
interface ConversationsData {
  readonly conversations: ReadonlyArray<{
    readonly id: string;
    readonly messages: ReadonlyArray<Listed & { readonly id: string }>;
  }>;
}
interface AddNoteData {
  readonly addNote: Json;
}
interface UploadData {
  readonly uploadMediaFromUrl: { readonly replayed: boolean; readonly media: { readonly id: string } };
}

/** Operations that the media subgraph can answer alone, so that gateways must answer the same. Only it knows the pair. */
const ALONE: ReadonlyArray<[string, string, Json?]> = [
  [
    'every field',
    `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { channelId providerMessageId media { ${FIELDS} } } }`,
  ],
  [
    'aliases',
    `query($ids: [ID!]!) { first: messagesWithMedia(ids: $ids) { name: providerMessageId pictures: media(kinds: [IMAGE]) { key: id }
      all: media { shown: url saved: url(disposition: ATTACHMENT, expiresIn: 3600) } } second: messagesWithMedia(ids: $ids) { channelId } }`,
  ],
  [
    'fragments, named, inline and within each other',
    `query($ids: [ID!]!) { __typename messagesWithMedia(ids: $ids) { ...Key ... on Message { __typename media { ...Link } } ... { media { id } } } }
      fragment Key on Message { channelId providerMessageId }
      fragment Link on Media { __typename ... on Media { url } channel { ...Line } } fragment Line on MediaChannel { id }`,
  ],
  [
    'variables, with and without defaults, and what they include and skip',
    `query Q($ids: [ID!]!, $kinds: [MediaKind!] = [IMAGE, AUDIO], $none: [MediaKind!], $how: MediaDisposition! = ATTACHMENT, $seconds: Int, $yes: Boolean!) {
      messagesWithMedia(ids: $ids) { channelId @skip(if: $yes) some: media(kinds: $kinds) { kind url(disposition: $how, expiresIn: $seconds) @include(if: $yes) }
        all: media(kinds: $none) { id } } }`,
    { kinds: ['VIDEO', 'IMAGE'], seconds: 600, yes: true },
  ],
  [
    'media of a message of a media',
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id message { channelId providerMessageId media { id url } } } } }',
  ],
  ['channels', '{ mediaChannels { id provider capabilities { listsMedia maxUploadBytes } } }'],
  ['what is not there', '{ media(id: "AQJ3YR5tc2c") { id } }'],
  [
    'errors at fields that may be null',
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { channelId media { id url(expiresIn: 5) } } }',
  ],
  [
    'errors at fields that may not be null',
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { channelId } }',
    { ids: ['unknown', 'wa:..', argument(nth(MESSAGES, 0))] },
  ],
  [
    'an argument that is refused',
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { channelId } }',
    { ids: Array(101).fill('wa:1') },
  ],
];

/** The tests that are the same for every form of `Message.id`. */
function answersAlike(messageIds: MessageIds, graph: () => Graph): void {
  const ids = MESSAGES.map(argument);

  /** `Message.id`, as the messages subgraph has it. */
  const idOf = (key: MessageKey): string => {
    if (messageIds === 'transparent') return argument(key);
    if (messageIds === 'bare') return key.providerMessageId;
    const all = CONVERSATIONS.flatMap(({ channelId, messages }) =>
      messages.map((message) => ({ ...message, channelId })),
    );
    return `msg_${all.findIndex(({ providerMessageId }) => providerMessageId === key.providerMessageId) + 1}`;
  };

  it.each(ALONE)('answers as the media subgraph alone: %s', async (_name, query, variables = {}) => {
    await inOneWindow(async () => {
      const direct = await graph().ask('direct', query, { ids, ...variables });
      for (const who of GATEWAY_NAMES)
        expect([who, comparable(await graph().ask(who, query, { ids, ...variables }))]).toEqual([
          who,
          comparable(direct),
        ]);
    });
  });

  it('joins the data of two subgraphs: conversations, messages, media, and their messages again', async () => {
    const query = `{ ada: conversation(id: "ada") { ...Whole } bob: conversation(id: "bob") { ...Whole } eve: conversation(id: "eve") { ...Whole } }
      fragment Whole on Conversation { id contact { name } messages(last: 5) { id text media {
        ${FIELDS} message { id text conversation { id } media { id url } } } } }`;
    await inOneWindow(async () => {
      const { data } = await graph().ask<MediaOfMessages>('direct', ALL_MEDIA, { ids });
      const messageOf = ({ text, ...key }: MessageKey & { readonly text: string | null }, conversationId: string) => {
        const own = { id: idOf(key), text };
        const listed = data?.messagesWithMedia[ids.indexOf(argument(key))]?.media ?? [];
        const links = listed.map(({ id, url }) => ({ id, url }));
        const message = { ...own, conversation: { id: conversationId }, media: links };
        return { ...own, media: listed.map((one) => ({ ...one, message })) };
      };
      const expected = HEARD.map(({ id, channelId, contact: { name }, messages }) => [
        id,
        {
          id,
          contact: { name },
          messages: messages.map(({ providerMessageId, text }) =>
            messageOf({ channelId, providerMessageId, text }, id),
          ),
        },
      ]);
      for (const who of GATEWAY_NAMES) {
        const answer = await graph().ask(who, query);
        expect([who, answer.errors, answer.data]).toEqual([who, [], Object.fromEntries(expected)]);
      }
    });
  });

  it('finds the same media by either key, and through the gateways', async () => {
    const key = nth(MESSAGES, 0);
    const { data } = await graph().ask<EntitiesData>('direct', ENTITIES, {
      representations: [{ __typename: 'Message', ...key }],
    });
    const media = sole(data?._entities)?.media;
    expect(media).toHaveLength(1);
    if (messageIds !== 'owned') {
      const representations = [{ __typename: 'Message', id: idOf(key) }];
      expect((await graph().ask<EntitiesData>('direct', ENTITIES, { representations })).data).toEqual(data);
    }
    for (const who of GATEWAY_NAMES) {
      const query = 'query($id: ID!) { message(id: $id) { media { id } } }';
      expect((await graph().ask(who, query, { id: idOf(key) })).data).toEqual({ message: { media } });
    }
  });
}

describe('a supergraph whose message ids are transparent', () => {
  const graph = useGraph('transparent');
  answersAlike('transparent', graph);

  const photo = nth(MESSAGES, 0);

  it('loses only the media of a failing provider, and keeps its error unchanged', async () => {
    await graph().bed.forget();
    graph().bed.twilio.fault = { kind: 'status', status: 503 };
    const key = sole(MESSAGES.filter(({ channelId }) => channelId === 'mms'));
    const ids = [argument(photo), argument(key), 'nowhere:x'];
    const direct = await graph().ask<MediaOfMessages>('direct', LINKS, { ids });
    const faults = direct.errors.map((fault) => ({ ...withoutAdditions(fault), path: undefined }));
    expect(faults.map(({ extensions }) => extensions)).toEqual([
      expect.objectContaining({ code: 'PROVIDER_UNAVAILABLE', channelId: 'mms', retryable: true, upstreamStatus: 503 }),
      { code: 'CHANNEL_NOT_FOUND', channelId: 'nowhere' },
    ]);
    const query = '{ conversations { id messages { id media { id url } } } }';
    for (const who of GATEWAY_NAMES) {
      const { data, errors } = await graph().ask<ConversationsData>(who, query);
      const messages = data?.conversations.flatMap((one) => one.messages) ?? [];
      const byMessage = new Map(messages.map(({ id, media }) => [id, media]));
      expect(ids.map((id) => byMessage.get(id))).toEqual(
        direct.data?.messagesWithMedia.map((message) => message?.media),
      );
      expect([...byMessage.values()].filter((one) => one === null)).toHaveLength(2);
      const reported = errors.map((fault) => ({ ...withoutAdditions(fault), path: undefined }));
      expect(reported).toEqual(expect.arrayContaining(faults));
      expect(reported).toHaveLength(faults.length);
      // Hive Gateway names the field, but the places in the lists above it are those of the first entity of its batch.
      const paths = errors.map(({ path }) =>
        path?.filter((step) => who === 'apollo' || typeof step === 'string').join('.'),
      );
      const places = [...(data?.conversations.entries() ?? [])].filter(([, { id }]) => ['eve', 'nobody'].includes(id));
      expect(paths.sort()).toEqual(
        who === 'apollo'
          ? places.map(([index]) => `conversations.${index}.messages.0.media`).sort()
          : places.map(() => 'conversations.messages.media'),
      );
    }
  });

  it('lets a third subgraph refer to media, and extend it', async () => {
    const { data } = await graph().ask<MediaOfMessages>('direct', ALL_MEDIA, { ids: [argument(photo)] });
    const { id, kind } = sole(sole(data?.messagesWithMedia)?.media);
    const add =
      'mutation($id: ID!, $text: String!) { addNote(mediaId: $id, text: $text) { id text media { id kind message { id text } } } }';
    const message = { id: argument(photo), text: 'text 0 to Ada' };
    for (const who of GATEWAY_NAMES) {
      const added = await graph().ask<AddNoteData>(who, add, { id, text: `seen by ${who}` });
      expect(added.errors).toEqual([]);
      expect(added.data?.addNote).toMatchObject({ text: `seen by ${who}`, media: { id, kind, message } });
    }
    const texts = GATEWAY_NAMES.map((who) => ({ text: `seen by ${who}` }));
    await inOneWindow(async () => {
      const link = await graph().ask<MediaOfMessages>('direct', LINKS, { ids: [argument(photo)] });
      const { url } = sole(sole(link.data?.messagesWithMedia)?.media);
      for (const who of GATEWAY_NAMES) {
        const answer = await graph().ask(who, '{ notes { text media { id url notes { text } } } }');
        expect(answer.data).toEqual({ notes: texts.map(({ text }) => ({ text, media: { id, url, notes: texts } })) });
        const nested = await graph().ask(who, 'query($id: ID!) { message(id: $id) { media { notes { text } } } }', {
          id: argument(photo),
        });
        expect(nested.data).toEqual({ message: { media: [{ notes: texts }] } });
      }
    });
  });

  it('uploads, answers a repeated key as before, and joins the message of the upload', async () => {
    const { bed } = graph();
    bed.cdn.put('team.jpg', samples.photo);
    const add = 'mutation { addMessage(input: { conversationId: "ada", text: "look" }) { id direction media { id } } }';
    const added = await graph().ask<{ addMessage: { id: string } }>('apollo', add);
    expect(added.data?.addMessage).toEqual({ id: expect.stringMatching(/^wa:/), direction: 'OUTBOUND', media: [] });
    const messageId = added.data?.addMessage.id ?? '';
    const upload = `mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { replayed media { id status kind filename } } }`;
    const input = { channelId: 'wa', url: bed.cdn.publicUrl('team.jpg'), messageId, idempotencyKey: 'team' };
    const answers = [];
    for (const who of ['hive', 'apollo', 'direct'] as const) {
      const { data, errors } = await graph().ask<UploadData>(who, upload, { input });
      expect([who, errors]).toEqual([who, []]);
      answers.push(data?.uploadMediaFromUrl);
    }
    const media = { id: expect.any(String), status: 'READY', kind: 'IMAGE', filename: 'team.jpg' };
    const [first, ...repeated] = answers;
    expect(first).toEqual({ replayed: false, media });
    expect(repeated).toEqual(repeated.map(() => ({ replayed: true, media: first?.media })));
    for (const who of GATEWAY_NAMES) {
      const query = 'query($id: ID!) { media(id: $id) { message { id text conversation { id } media { id } } } }';
      const { data, errors } = await graph().ask(who, query, { id: first?.media.id });
      expect(errors).toEqual([]);
      const message = { id: messageId, text: 'look', conversation: { id: 'ada' }, media: [{ id: first?.media.id }] };
      expect(data).toEqual({ media: { message } });
    }
  });

  it('deletes, and repeats a deletion with the same answer', async () => {
    const { data } = await graph().ask<MediaOfMessages>('direct', LINKS, { ids: [argument(photo)] });
    const { id } = sole(sole(data?.messagesWithMedia)?.media);
    const remove =
      'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope media { id status url message { id media { id } } } } }';
    for (const who of ['apollo', 'hive', 'direct'] as const) {
      const message = { id: argument(photo), media: [] };
      const deleteMedia = { scope: 'LOCAL', media: { id, status: 'DELETED', url: null, message } };
      const answer = await graph().ask(who, remove, { id });
      expect([who, answer.errors, answer.data]).toEqual([who, [], { deleteMedia }]);
    }
  });

  it.each<[string, string, Json]>([
    [
      'an upload from an address that is not public',
      'mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { media { id } } }',
      { input: { channelId: 'wa', url: 'http://10.0.0.1/x.jpg' } },
    ],
    [
      'an upload to no channel',
      'mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { media { id } } }',
      { input: { channelId: 'nowhere', url: 'https://example.com/x.jpg' } },
    ],
    [
      'a deletion of what is not there',
      'mutation($id: ID!) { deleteMedia(input: { id: $id }) { media { id } } }',
      { id: 'none' },
    ],
  ])('refuses %s as the media subgraph does', async (_name, query, variables) => {
    const direct = await graph().ask('direct', query, variables);
    expect(direct.errors).toHaveLength(1);
    for (const who of GATEWAY_NAMES)
      expect([who, comparable(await graph().ask(who, query, variables))]).toEqual([who, comparable(direct)]);
  });
});

describe('a supergraph whose message ids are bare', () => {
  const graph = useGraph('bare');
  answersAlike('bare', graph);

  it('reports through Hive Gateway an upload that is PENDING and becomes READY, joined with other subgraphs', async () => {
    const { bed, supergraph } = graph();
    const subscriber = Subscriber.open<{ mediaUpdated: Json }>({
      transport: 'sse',
      url: supergraph.gateways.hive.url,
      query: `subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { status kind message { text } notes { id } } }`,
      variables: { ids: [argument(nth(MESSAGES, 0))] },
    });
    try {
      await until('the subgraph to be subscribed to', async () =>
        (await bed.get('/metrics')).bytes.toString().includes('mediagraph_subscriptions 1'),
      );
      bed.cdn.put('look.jpg', samples.photo);
      const upload = 'mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { replayed } }';
      const input = { channelId: 'wa', url: bed.cdn.publicUrl('look.jpg'), messageId: argument(nth(MESSAGES, 0)) };
      await graph().ask('direct', upload, { input });
      await subscriber.has(2);
    } finally {
      subscriber.close();
    }
    const joined = { message: { text: expect.stringContaining('text') }, notes: [] };
    expect(subscriber.results).toEqual([
      { data: { mediaUpdated: { status: 'PENDING', kind: expect.any(String), ...joined } } },
      { data: { mediaUpdated: { status: 'READY', kind: 'IMAGE', ...joined } } },
    ]);
  });

  it('has no media for a message that the media subgraph does not know', async () => {
    await graph().bed.forget();
    graph().bed.clearRequests();
    for (const who of GATEWAY_NAMES) {
      const { data, errors } = await graph().ask(who, '{ conversation(id: "ada") { messages { media { id } } } }');
      const messages = [{ media: [] }, { media: [] }, { media: [] }];
      expect([who, data, errors]).toEqual([who, { conversation: { messages } }, []]);
    }
    expect(graph().bed.kirim.requestCount).toBe(0);
  });
});

describe('a supergraph whose message ids are owned, behind a router that is known to the subgraph', () => {
  const graph = useGraph('owned');
  answersAlike('owned', graph);

  const query = '{ mediaChannels { id } }';
  const nested = '{ conversation(id: "ada") { messages { text media { id } } } }';

  const REFUSED: ReadonlyArray<Readonly<Record<string, string>>> = [{}, { authorization: `Bearer ${KEYS.none}` }];

  it('forwards credentials, and has no access without them', async () => {
    for (const who of GATEWAY_NAMES) {
      const gateway = graph().supergraph.gateways[who];
      expect((await graph().ask(who, query)).data).toEqual({
        mediaChannels: [{ id: 'wa' }, { id: 'sms' }, { id: 'mms' }],
      });
      for (const headers of REFUSED) {
        const { data, errors } = await gateway.ask(query, {}, headers);
        expect([data ?? null, errors.map(({ extensions }) => extensions.code)]).toEqual([null, ['UNAUTHENTICATED']]);
        // What needs no credentials is there all the same.
        const other = await gateway.ask<{ conversation: { messages: Json[] } }>(nested, {}, headers);
        expect(other.data?.conversation.messages).toEqual(
          [0, 1, 2].map((index) => ({ text: `text ${index} to Ada`, media: null })),
        );
        expect(new Set(other.errors.map(({ extensions }) => extensions.code))).toEqual(new Set(['UNAUTHENTICATED']));
      }
    }
  });

  it('is refused other scopes than those of its credentials, with the same message', async () => {
    const remove = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }';
    const direct = await graph().ask('direct', remove, { id: 'none' });
    expect(sole(direct.errors).extensions.code).toBe('FORBIDDEN');
    for (const who of GATEWAY_NAMES)
      expect([who, comparable(await graph().ask(who, remove, { id: 'none' }))]).toEqual([who, comparable(direct)]);
  });

  it("is the only access, since it needs the gateway's own secret", async () => {
    const headers = { authorization: `Bearer ${KEYS.all}` };
    const { status, errors } = await graph().direct.ask(query, {}, headers);
    expect([status, sole(errors).extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
    expect((await graph().direct.ask(query, {}, { ...headers, 'x-router-secret': ROUTER_SECRET })).errors).toEqual([]);
  });
});

// ---------------------------------------------------------------- what a thousand representations cost

/** Counts the statements of a database, except those of jobs, which have a pool of their own. */
class CountedStatements implements KyselyPlugin {
  #texts: string[] = [];

  /** The same database, with its statements counted. */
  of(database: Database): Database {
    const answering = { kysely: database.kysely.withPlugin(this), reads: database.reads.withPlugin(this) };
    return new Proxy(database, {
      get(target, name) {
        if (name === 'kysely' || name === 'reads') return answering[name];
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  /** How many statements of requests there were since the last call. */
  take(): number {
    return this.#texts.splice(0).length;
  }

  transformQuery({ node }: PluginTransformQueryArgs): RootOperationNode {
    this.#texts.push(JSON.stringify(node));
    return node;
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return result;
  }
}

describe('a thousand representations', () => {
  const COUNT = 1_000;
  const keys: readonly MessageKey[] = Array.from({ length: COUNT }, (_, index) => ({
    channelId: 'wa',
    providerMessageId: kirimMessageId(index),
  }));
  const query = `query($representations: [_Any!]!) { _entities(representations: $representations) {
    ... on Message { media { id status url channel { id } message { channelId providerMessageId } } } } }`;
  const cdn = new CdnEmulator();
  const kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn });
  const statements = new CountedStatements();
  let database: Database;
  let server: OwnServer;

  beforeAll(async () => {
    [database] = await Promise.all([openEmbeddedDatabase(), cdn.start(), kirim.start()]);
    const config = { channels: [kirimChannel(kirim.baseUrl)] };
    server = await OwnServer.start({ config, database: statements.of(database) });
  }, START_MS);

  beforeEach(async () => {
    await emptyTables(database);
    kirim.clearRequests();
  });

  afterAll(async () => {
    await server.close();
    await Promise.all([kirim.close(), cdn.close()]);
    await database.close();
  });

  /** The statements that an answer waited for, and whether it was whole. */
  async function costOf(representationOf: (key: MessageKey) => Json): Promise<{ statements: number; media: number }> {
    const representations = keys.map((key) => ({ __typename: 'Message', ...representationOf(key) }));
    statements.take();
    const { data, errors } = await server.client.query<EntitiesData>(query, { representations });
    expect(errors).toEqual([]);
    return {
      statements: statements.take(),
      media: data?._entities.flatMap((message) => message?.media ?? []).length ?? 0,
    };
  }

  async function announce(): Promise<void> {
    const media = keys.map((key) => reportedMedia({ ...key, id: encodeMediaId({ ...key, providerMediaId: null }) }));
    const how = { mirror: false, now: new Date(), retainedUntil: null };
    await new SqlMediaCatalogue(database).recordAnnouncement('default', media, how);
  }

  // The first statement reads what has changed, the second the messages. Both are remembered.
  it.each<[string, number, number, (key: MessageKey) => Json]>([
    ['by id', 2, 0, (key) => ({ id: argument(key) })],
    ['by channel and provider message id', 2, 0, (key) => ({ ...key })],
    [
      "by the provider's own id, which is looked up first",
      3,
      1,
      ({ providerMessageId }) => ({ id: providerMessageId }),
    ],
  ])('%s cost %d statements, then %d, and no provider request', async (_name, first, again, representationOf) => {
    await announce();
    expect(await costOf(representationOf)).toEqual({ statements: first, media: COUNT });
    expect(await costOf(representationOf)).toEqual({ statements: again, media: COUNT });
    expect(kirim.requestCount).toBe(0);
  });

  it('of unknown messages cost two statements, and one provider request for each message', async () => {
    for (const { providerMessageId } of keys) kirim.addMessage({ id: providerMessageId, media: samples.photo });
    const { statements: count, media } = await costOf((key) => ({ id: argument(key) }));
    expect(media).toBe(COUNT);
    expect(new Set(kirim.requests.map(({ path }) => path)).size).toBe(COUNT);
    expect(kirim.requestCount).toBe(COUNT);
    // Messages are not looked up that are known to have no rows.
    expect(count).toBeLessThanOrEqual(2);
  });
});
