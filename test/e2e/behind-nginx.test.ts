/** Two replicas on PostgreSQL behind nginx, with the configurations of `deploy/compose.yaml` and its shared folder. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { Client } from '../support/client.js';
import { describeWith, freePort } from '../support/daemon.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { isInstalled } from '../support/installed-tools.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { Nginx } from '../support/nginx.js';
import { ServerFolder, type ServerProcess } from '../support/server-folder.js';
import { Subscriber, TRANSPORTS } from '../support/subscribers.js';
import { errorOf, type Got, headerOf, WITHOUT_PLACEHOLDERS } from '../support/test-bed.js';

const TEST_MS = 120_000;
const KEY = 'router-key-0123456789';
const AUTHORIZATION = `Bearer ${KEY}`;
/** What `deploy/.env` has. */
const ENV = {
  MEDIAGRAPH_PUBLIC_URL: 'https://media.example.com',
  MEDIAGRAPH_SIGNING_KEY: 'signing-key-0123456789-abcdefghij',
  MEDIAGRAPH_API_KEY_SHA256: createHash('sha256').update(KEY).digest('hex'),
  MEDIAGRAPH_STORAGE: 'fs',
  POSTGRES_PASSWORD: 'unused',
  S3_ACCESS_KEY_ID: 'unused',
  S3_SECRET_ACCESS_KEY: 'unused',
};
const UPDATED = 'subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { id status } }';
const CHANNELS = encodeURIComponent('{ mediaChannels { id } }');
const hasNginx = await isInstalled('nginx', '-v');

describeServer('two replicas behind nginx', (server) => {
  describeWith('nginx', hasNginx, 'as deployed,', () => {
    let meta: WhatsAppEmulator;
    let folder: ServerFolder;
    let ports: number[];
    let replicas: ServerProcess[];
    let nginx: Nginx;
    let client: Client;
    let photos = 0;

    beforeAll(async () => {
      meta = await metaEmulator().start();
      folder = await ServerFolder.make({ config: { channels: [] }, databaseUrl: server.url() });
      ports = [await freePort(), await freePort()];
      replicas = [await startReplica(0), await startReplica(1)];
      nginx = await Nginx.replicas(
        ports.map((port) => `127.0.0.1:${port}`),
        folder.blobs,
      );
      client = new Client(nginx.url, AUTHORIZATION);
    }, TEST_MS);
    afterAll(async () => {
      await Promise.all([nginx?.close(), folder?.close(), client?.close()]);
      await meta?.close();
    });

    /** A process with the deployed configuration, but for its addresses and the channel. */
    async function startReplica(index: number): Promise<ServerProcess> {
      const text = await readFile(new URL('../../deploy/mediagraph.yaml', import.meta.url), 'utf8');
      const deployed = parse(text);
      await folder.configure({
        ...deployed,
        ...WITHOUT_PLACEHOLDERS,
        log: { level: 'info' },
        server: { ...deployed.server, host: '127.0.0.1', port: ports[index] },
        metrics: { port: 0 },
        database: { url: folder.databaseUrl },
        storage: { ...deployed.storage, root: folder.blobs },
        channels: [metaChannel(meta)],
      });
      return folder.serve({ env: ENV });
    }

    /** Of both replicas, by the port for metrics that no client of nginx reaches. */
    async function openSubscriptions(): Promise<number> {
      const counts = replicas.map(async ({ command }) => {
        const [, url = ''] = await command.printed(/"url":"([^"]+)","msg":"metrics listening"/);
        const { bytes } = await client.get(`${url}/metrics`);
        return Number(/^mediagraph_subscriptions (\d+)$/m.exec(bytes.toString())?.[1]);
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    }

    function nextPhoto() {
      photos += 1;
      return receivePhoto(meta, photos);
    }

    async function stored(): Promise<{ path: string; bytes: Buffer }> {
      const { id, bytes, delivery } = nextPhoto();
      expect((await client.deliver(META, delivery)).status).toBe(200);
      const { url } = await client.becomes('READY', id);
      const { origin, pathname, search } = new URL(url);
      expect(origin).toBe(ENV.MEDIAGRAPH_PUBLIC_URL);
      return { path: pathname + search, bytes };
    }

    it('a webhook, a query and a link work, and a range of it', async () => {
      const { path, bytes } = await stored();
      const whole = await client.get(path);
      expect([whole.status, whole.bytes.equals(bytes)]).toEqual([200, true]);
      const part = await client.get(path, { headers: { range: 'bytes=2-5' } });
      expect([part.status, part.bytes]).toEqual([206, bytes.subarray(2, 6)]);
      expect(headerOf(part, 'content-range')).toBe(`bytes 2-5/${bytes.length}`);
      expect(whole.headers['x-accel-redirect']).toBeUndefined();
      const etag = headerOf(whole, 'etag');
      expect((await client.get(path, { headers: { 'if-none-match': etag } })).status).toBe(304);
      const forged = await client.get(path.replace(/sig=./, 'sig=_'));
      expect([forged.status, errorOf(forged).code]).toEqual([403, 'SIGNATURE_INVALID']);
    });

    it('nothing else is public, and files only by links', async () => {
      const targets = ['/metrics', '/media/../metrics', '/', '/blobs/', '/demo'];
      const statuses = await Promise.all(targets.map(async (target) => [target, (await client.get(target)).status]));
      expect(statuses).toEqual(targets.map((target) => [target, 404]));
      expect((await client.get('/livez')).status).toBe(200);
      expect((await client.get('/readyz')).status).toBe(200);
      expect((await client.get('/nginx-health')).status).toBe(204);
      const unauthenticated = await client.get(`/graphql?query=${CHANNELS}`, {
        headers: { 'apollo-require-preflight': '1' },
      });
      expect(unauthenticated.status).toBe(401);
    });

    it('bodies that are too large are refused by Mediagraph, with its own error', async () => {
      const headers = { 'content-type': 'application/json' };
      const webhook = await client.get(`/webhooks/${META}`, { method: 'POST', headers, body: 'x'.repeat(3_100_000) });
      expect([webhook.status, errorOf(webhook).code]).toEqual([413, 'BAD_USER_INPUT']);
    });

    it.each(TRANSPORTS)('a subscription over %s gets the changes that another replica makes', async (transport) => {
      const { id, delivery } = nextPhoto();
      const subscriber = Subscriber.open({
        transport,
        url: nginx.url,
        query: UPDATED,
        variables: { ids: [id] },
        authorization: AUTHORIZATION,
      });
      try {
        await until('the subscription to be open', async () => (await openSubscriptions()) === 1);
        expect((await client.deliver(META, delivery)).status).toBe(200);
        await subscriber.has(1);
        expect(subscriber.results[0]).toMatchObject({ data: { mediaUpdated: { id: expect.any(String) } } });
      } finally {
        subscriber.close();
      }
      await until('the subscription to be closed', async () => (await openSubscriptions()) === 0);
    });

    /**
     * Sends requests one after the other, ends a replica when nginx has its connections, and sends some more.
     * @returns how the replica ended, and the statuses
     */
    async function endUnder(
      requests: ReadonlyArray<() => Promise<{ readonly status: number }>>,
      { command }: ServerProcess,
      signal: NodeJS.Signals,
    ): Promise<[end: number | string, statuses: number[]]> {
      let [begun, hasEnded] = [0, false];
      const running = requests.map(async (send) => {
        const statuses: number[] = [];
        for (let left = 10; left > 0; left -= hasEnded ? 1 : 0) {
          statuses.push((await send()).status);
          if (statuses.length === 10) begun += 1;
        }
        return statuses;
      });
      await until('the load to be under way', () => begun === requests.length);
      command.kill(signal);
      const end = await command.ended;
      hasEnded = true;
      return [end, [...new Set((await Promise.all(running)).flat())]];
    }

    /** Until nginx forwards requests to a replica. */
    async function isUsed(index: number): Promise<void> {
      const answers = async () =>
        (await nginx.logged()).split(`"replica":"127.0.0.1:${ports[index]}","replicaStatus":"200"`).length;
      const before = await answers();
      await until('a replica to be used again', async () => {
        await client.get('/livez');
        return (await answers()) > before;
      });
    }

    async function idempotentRequests(): Promise<Array<() => Promise<Got>>> {
      const { path } = await stored();
      const headers = { authorization: AUTHORIZATION, 'apollo-require-preflight': '1', accept: 'application/json' };
      return [
        () => client.get(path),
        () => client.get(path, { headers: { 'if-match': '*' } }),
        () => client.get(`/graphql?query=${CHANNELS}`, { headers }),
        () => client.get('/livez'),
        () => client.deliver(META, nextPhoto().delivery),
      ];
    }

    it(
      'no request fails while a replica drains',
      async () => {
        const query = () => client.query('{ mediaChannels { id } }', {});
        const requests = [...(await idempotentRequests()), query, query, query, query];
        expect(await endUnder(requests, replicas[0] as ServerProcess, 'SIGTERM')).toEqual([0, [200]]);
        replicas[0] = await startReplica(0);
      },
      TEST_MS,
    );

    it(
      'no GET and no webhook fails while a replica is killed',
      async () => {
        await isUsed(0);
        const requests = await idempotentRequests();
        const end = await endUnder(requests, replicas[1] as ServerProcess, 'SIGKILL');
        expect(end).toEqual(['SIGKILL', [200]]);
      },
      TEST_MS,
    );

    it('the log has neither signatures nor other parts of a query', async () => {
      const log = await nginx.logged();
      expect(log).toContain('"path":"/media/');
      expect(log).toMatch(/"replica":"127\.0\.0\.1:\d+","replicaStatus":"200"/);
      expect(log).not.toMatch(/sig=|exp=|query=/);
    });
  });
});
