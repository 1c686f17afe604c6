/** A process whose event loop is really late, or whose heap is really full. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { until } from '../support/eventually.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { parseMetrics, valuesBy } from '../support/metrics-text.js';
import { ServerFolder, type ServerProcess } from '../support/server-folder.js';
import { type GraphQLAnswer, headerOf, sole } from '../support/test-bed.js';

const TEST_MS = 180_000;
const STRESS = new URL('../support/stress.js', import.meta.url).href;
const BODY = JSON.stringify({ query: '{ mediaChannels { id } }' });
const PLENTY_MS = 60_000;

interface Links {
  readonly url: string;
  readonly thumbnailUrl: string;
}

const pathOf = (link: string) => new URL(link).pathname + new URL(link).search;

describe('an overloaded process', () => {
  const meta = metaEmulator();
  let folder: ServerFolder;
  beforeAll(async () => {
    await meta.start();
  });
  afterAll(() => meta.close());
  beforeEach(async () => {
    folder = await ServerFolder.make({ config: { channels: [metaChannel(meta)] } });
  });
  afterEach(() => folder.close());

  const serve = (env: Readonly<Record<string, string>>, options = '') =>
    folder.serve({ env: { ...env, NODE_OPTIONS: `${options} --import ${STRESS}` } });
  const ask = ({ client }: ServerProcess, headers: Readonly<Record<string, string>> = {}) =>
    client.get('/graphql', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: BODY });
  const statusOf = async (server: ServerProcess) => (await ask(server)).status;
  const refusalsOf = async ({ client }: ServerProcess) =>
    valuesBy(
      parseMetrics((await client.get('/metrics')).bytes.toString()),
      'mediagraph_refused_requests_total',
      'work',
      {
        reason: 'overload',
      },
    );
  /** The status of a handshake; 101: it was accepted. */
  const handshake = ({ client }: ServerProcess) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(`${client.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
      socket.on('error', () => {});
      socket.on('open', () => {
        socket.terminate();
        resolve(101);
      });
      socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
    });
  /** One stress, from its beginning on. */
  async function stress({ command }: ServerProcess): Promise<void> {
    const before = command.stdout.split('stress begins').length;
    command.kill('SIGUSR2');
    await until('the stress to begin', () => command.stdout.split('stress begins').length > before, PLENTY_MS);
  }

  it(
    'refuses GraphQL requests while its event loop is late, and serves webhooks, health and links',
    async () => {
      const server = await serve({ TEST_STRESS: 'loop' });
      const photo = receivePhoto(meta, 1);
      expect((await server.client.deliver(META, photo.delivery)).status).toBe(200);
      const media = await server.client.becomes('READY', photo.id);
      expect(await statusOf(server)).toBe(200);
      await stress(server);
      const [refused, socket, webhook, livez, delivered] = await Promise.all([
        ask(server),
        handshake(server),
        server.client.deliver(META, receivePhoto(meta, 2).delivery),
        server.client.get('/livez'),
        server.client.get(pathOf(media.url)),
      ]);
      expect(refused.status).toBe(503);
      expect(Number(headerOf(refused, 'retry-after'))).toBeGreaterThanOrEqual(1);
      expect(headerOf(refused, 'cache-control')).toBe('no-store');
      const { errors }: GraphQLAnswer<unknown> = JSON.parse(refused.bytes.toString());
      expect(sole(errors).extensions).toMatchObject({ code: 'INTERNAL_SERVER_ERROR', retryable: true });
      expect([socket, webhook.status, livez.status, delivered.status]).toEqual([503, 200, 200, 200]);
      await until('GraphQL to be served again', async () => (await statusOf(server)) === 200);
      expect(await handshake(server)).toBe(101);
      expect(Number((await refusalsOf(server)).graphql)).toBeGreaterThanOrEqual(2);
    },
    TEST_MS,
  );

  it.each([
    ['renditions', 2_500, 200],
    ['renditions and links', 6_000, 503],
  ])(
    'refuses %s as well when its event loop is %d ms late',
    async (_what, blockedMs, statusOfLink) => {
      const server = await serve({
        TEST_STRESS: 'loop',
        TEST_STRESS_MS: String(blockedMs),
        PATH: process.env.PATH ?? '',
      });
      const photo = receivePhoto(meta, blockedMs);
      await server.client.deliver(META, photo.delivery);
      await server.client.becomes('READY', photo.id);
      const { data } = await server.client.query<{ messagesWithMedia: Array<{ media: Links[] }> }>(
        'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { url thumbnailUrl } } }',
        { ids: [photo.id] },
      );
      const { url, thumbnailUrl } = sole(sole(data?.messagesWithMedia).media);
      await stress(server);
      const [delivered, still, livez, webhook] = await Promise.all([
        server.client.get(pathOf(url)),
        server.client.get(pathOf(thumbnailUrl)),
        server.client.get('/livez'),
        server.client.deliver(META, receivePhoto(meta, blockedMs + 1).delivery),
      ]);
      expect([delivered.status, still.status, livez.status, webhook.status]).toEqual([statusOfLink, 503, 200, 200]);
      expect(Number(headerOf(still, 'retry-after'))).toBeGreaterThanOrEqual(1);
      for (const link of [url, thumbnailUrl])
        await until('links to be served again', async () => (await server.client.get(pathOf(link))).status === 200);
    },
    TEST_MS,
  );

  it(
    'refuses GraphQL requests while its heap is nearly full, until there is room again',
    async () => {
      const server = await serve(
        { TEST_STRESS: 'heap', TEST_STRESS_BYTES: String(425 * 2 ** 20) },
        '--max-old-space-size=512',
      );
      expect(await statusOf(server)).toBe(200);
      await stress(server);
      await until('the heap to be full', async () => (await statusOf(server)) === 503, PLENTY_MS);
      const refused = await ask(server);
      expect(refused.status).toBe(503);
      expect(Number(headerOf(refused, 'retry-after'))).toBeGreaterThanOrEqual(1);
      const photo = receivePhoto(meta, 5);
      expect((await server.client.deliver(META, photo.delivery)).status).toBe(200);
      expect((await server.client.get('/livez')).status).toBe(200);
      await stress(server);
      await until('GraphQL to be served again', async () => (await statusOf(server)) === 200, PLENTY_MS);
    },
    TEST_MS,
  );

  it(
    'serves GraphQL requests after it was suspended, which is no overload',
    async () => {
      const server = await serve({});
      expect(await statusOf(server)).toBe(200);
      server.command.kill('SIGSTOP');
      const answer = statusOf(server);
      await sleep(2_500);
      server.command.kill('SIGCONT');
      expect(await answer).toBe(200);
    },
    TEST_MS,
  );
});
