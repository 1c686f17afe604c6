/** What a mutation's payload shows to a key without other scopes. Under both executors, and over sockets. */
import { createHash } from 'node:crypto';
import { RawServer } from '../support/raw-server.js';
import { receive, samples } from '../support/sample-messages.js';
import { Subscriber } from '../support/subscribers.js';
import {
  type GetOptions,
  type GraphQLAnswer,
  type GraphQLFault,
  kirimChannel,
  sole,
  type TestBed,
  useBeds,
} from '../support/test-bed.js';

const KEYS = { writer: 'writer-key-0123456789', eraser: 'eraser-key-0123456789', both: 'both-key-0123456789' };
const apiKeys = [
  { key: KEYS.writer, scopes: ['media:write'] },
  { key: KEYS.eraser, scopes: ['media:delete'] },
  { key: KEYS.both, scopes: ['media:write', 'media:delete', 'media:read'] },
].map(({ key, scopes }) => ({ sha256: createHash('sha256').update(key).digest('hex'), tenant: 'default', scopes }));

const PAYLOAD = `id status kind mimeType sizeBytes sha256 filename caption width height durationSeconds url urlExpiresAt
  thumbnailUrl thumbHash provider providerMediaId createdAt expiresAt
  channel { id provider capabilities { listsMedia upload } } message { id channelId providerMessageId }`;

/** Every way that leads from a payload's media to another one. */
const EDGES: ReadonlyArray<[string, string, string]> = [
  ['message', 'message { media { id url } }', ''],
  ['aliases', 'a: message { b: media { id c: url } }', ''],
  ['kinds', 'message { media(kinds: [IMAGE, DOCUMENT]) { url } }', ''],
  [
    'named fragments',
    '...A',
    'fragment A on Media { message { ...B } } fragment B on Message { media { ...C } } fragment C on Media { id url }',
  ],
  ['inline fragments', '... on Media { message { ... on Message { media { ... { url } } } } }', ''],
  ['a way and back', 'message { media { message { media { thumbnailUrl } } } }', ''],
  ['a condition', 'message @include(if: true) { media @skip(if: false) { url } }', ''],
];

const EXECUTORS: ReadonlyArray<[string, Readonly<Record<string, string>>]> = [
  ['compiled', {}],
  ['interpreted', { 'apollo-federation-include-trace': 'ftv1' }],
];

const bearer = (key: string, more: Readonly<Record<string, string>>): GetOptions => ({
  headers: { authorization: `Bearer ${key}`, ...more },
});

describe("a mutation's payload", () => {
  // One server for all tests. Its tables are emptied after each.
  const beds = useBeds({
    config: {
      auth: { mode: 'apiKey', apiKeys },
      channels: [kirimChannel('http://127.0.0.1:9/v1', { id: 'theirs', tenant: 'globex' })],
    },
  });
  let bed: TestBed;
  let source: RawServer;

  beforeAll(async () => {
    source = await RawServer.start((_request, response) => response.end(samples.photo.bytes));
  });
  afterAll(() => source.close());
  beforeEach(async () => {
    bed = await beds.shared();
  });

  function upload(
    selection: string,
    more: string,
    messageId: string,
    options: GetOptions,
  ): Promise<GraphQLAnswer<Record<string, { media: Record<string, unknown> }>>> {
    const query = `mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { media { ${selection} } } } ${more}`;
    return bed.query(query, { input: { channelId: 'wa', url: `${source.url}/a.jpg`, messageId } }, options);
  }

  function expectForbidden(errors: readonly GraphQLFault[], text: string, secret: string): void {
    expect(errors.length).toBeGreaterThan(0);
    for (const { path, extensions } of errors) {
      expect(extensions.code).toBe('FORBIDDEN');
      expect(path?.length).toBeGreaterThanOrEqual(4);
    }
    expect(text).not.toContain(secret);
  }

  /** A message with one media. Its link and its id must not reach a caller without media:read. */
  async function otherMedia(): Promise<{ messageId: string; link: string }> {
    const messageId = receive(bed, 'kirim');
    const { data } = await bed.query(
      'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url } } }',
      { ids: [messageId] },
      bearer(KEYS.both, {}),
    );
    const { url } = sole(sole(data?.messagesWithMedia)?.media);
    return { messageId, link: new URL(url).pathname.split('/')[2] ?? '' };
  }

  describe.each(EXECUTORS)('%s', (_executor, headers) => {
    it('is the mutated media with all its fields', async () => {
      const { messageId } = await otherMedia();
      const { data, errors } = await upload(PAYLOAD, '', messageId, bearer(KEYS.writer, headers));
      expect(errors).toEqual([]);
      expect(data?.uploadMediaFromUrl?.media).toMatchObject({
        status: 'READY',
        url: expect.any(String),
        channel: { id: 'wa' },
        message: { id: messageId },
      });
    });

    it.each(EDGES)('leads to no other media without media:read: %s', async (_edge, selection, more) => {
      const { messageId, link } = await otherMedia();
      const { errors, text } = await upload(selection, more, messageId, bearer(KEYS.writer, headers));
      expectForbidden(errors, text, link);
      const allowed = await upload(selection, more, messageId, bearer(KEYS.both, headers));
      expect([allowed.errors, allowed.text.includes(link)]).toEqual([[], true]);
    });

    it.each(EDGES)('of a deletion leads to no other media either: %s', async (_edge, selection, more) => {
      const { messageId, link } = await otherMedia();
      const uploaded = await upload('id', '', messageId, bearer(KEYS.writer, {}));
      const id = uploaded.data?.uploadMediaFromUrl?.media.id;
      const query = `mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope media { status ${selection} } } } ${more}`;
      const { data, errors, text } = await bed.query<Record<string, { media: Record<string, unknown> }>>(
        query,
        { id },
        bearer(KEYS.eraser, headers),
      );
      expect(data?.deleteMedia?.media.status).toBe('DELETED');
      expectForbidden(errors, text, link);
    });
  });

  it('leads to no other media over a socket', async () => {
    const { messageId, link } = await otherMedia();
    const query = `mutation { uploadMediaFromUrl(input: { channelId: "wa", url: "${source.url}/a.jpg", messageId: "${messageId}" }) { media { message { media { url } } } } }`;
    const subscriber = Subscriber.open({
      transport: 'websocket',
      url: bed.app.url,
      query,
      authorization: `Bearer ${KEYS.writer}`,
    });
    await subscriber.ended();
    subscriber.close();
    const { errors = [], ...result } = sole(subscriber.results);
    expectForbidden(errors, JSON.stringify(result), link);
  });
});
