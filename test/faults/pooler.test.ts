/** Replicas behind a connection pooler in transaction mode, where no session belongs to a client. */
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { describeWith } from '../support/daemon.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { isInstalled } from '../support/installed-tools.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { Mutations } from '../support/mutations.js';
import { useOwnServers } from '../support/own-server.js';
import { PgBouncer } from '../support/pgbouncer.js';
import { Subscriber } from '../support/subscribers.js';

const PHOTOS = 40;
/** Fewer than two replicas would open by themselves. */
const CONNECTIONS = 4;
const TEST_MS = 120_000;

describeWith('pgbouncer', await isInstalled('pgbouncer', '--version'), 'a pooler in transaction mode', () => {
  describeServer('two replicas behind PgBouncer', (server) => {
    const startServer = useOwnServers();
    let meta: WhatsAppEmulator;
    let pooler: PgBouncer;
    beforeAll(async () => {
      meta = await metaEmulator().start();
      pooler = await PgBouncer.start(server.url(), CONNECTIONS);
    });
    afterAll(() => Promise.all([meta.close(), pooler.close()]));

    it(
      'copy, subscribe and delete as without it, over fewer connections',
      async () => {
        const config = { channels: [metaChannel(meta)], database: { url: pooler.url } };
        const one = await startServer({ config });
        const other = await startServer({ config: { ...config, storage: { root: one.blobs } } });
        const photos = Array.from({ length: PHOTOS }, (_, index) => receivePhoto(meta, index + 1));
        const ids = photos.map(({ id }) => id);
        const subscriber = Subscriber.open({
          transport: 'sse',
          url: other.client.url,
          query: 'subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { status } }',
          variables: { ids: ids.slice(0, 1) },
        });
        const answers = await Promise.all(photos.map(({ delivery }) => one.client.deliver(META, delivery)));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        await subscriber.has(1);
        await until('all to be stored', async () => {
          const media = (await other.client.media(ids)).flat();
          return media.length === PHOTOS && media.every(({ status }) => status === 'READY');
        });
        const [first] = (await other.client.media(ids)).flat();
        if (!first) throw new Error('expected a media');
        await new Mutations(one.client).deleted(first.id);
        const { pathname, search } = new URL(first.url);
        await until('the deletion to be known', async () => (await other.client.get(pathname + search)).status === 410);
        const rows = await server.query(
          `select count(*)::integer as count from pg_stat_activity where datname = current_database()
            and application_name like 'mediagraph%'`,
        );
        expect(Number(rows[0]?.count)).toBeLessThanOrEqual(CONNECTIONS);
        await subscriber.close();
      },
      TEST_MS,
    );
  });
});
