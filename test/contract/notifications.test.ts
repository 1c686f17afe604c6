/** One connection listens to all channels of a process, and is opened again when it was lost. */
import { type Database, openDatabase } from '../../src/database/database.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { OwnServer } from '../support/own-server.js';
import { Subscriber } from '../support/subscribers.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const closings: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

describeServer('notifications', (server) => {
  const LISTENING = `from pg_stat_activity where datname = current_database() and application_name = 'mediagraph notifications'`;
  const listening = async () =>
    Number((await server.query(`select count(*)::integer as count ${LISTENING}`))[0]?.count);
  const notify = (channel: string, payload: string) => server.query('select pg_notify($1, $2)', [channel, payload]);

  async function open(url = server.url()): Promise<Database> {
    const database = await openDatabase({ url });
    closings.push(() => database.close());
    return database;
  }

  /** What a channel's listener was called with. */
  async function payloadsOf(database: Database, channel: string): Promise<Array<string | null>> {
    const payloads: Array<string | null> = [];
    await database.listen(channel, (payload) => void payloads.push(payload));
    return payloads;
  }

  it('take one connection of a server that has a subscription', async () => {
    const meta = await metaEmulator().start();
    closings.push(() => meta.close());
    const config = { channels: [metaChannel(meta)], database: { url: server.url() } };
    const own = await OwnServer.start({ config });
    closings.push(() => own.close());
    const photo = receivePhoto(meta, 1);
    const subscriber = Subscriber.open({
      transport: 'sse',
      url: own.client.url,
      query: 'subscription($ids: [ID!]!) { mediaUpdated(messageIds: $ids) { status } }',
      variables: { ids: [photo.id] },
    });
    closings.push(() => subscriber.close());
    expect((await own.client.deliver(META, photo.delivery)).status).toBe(200);
    await subscriber.has(1);
    expect(await listening()).toBe(1);
  });

  it('of each channel reach its own listeners, also of names that need quotes', async () => {
    const database = await open();
    const names = ['plain', 'With "quotes"; drop table jobs', 'plain'];
    const payloads = await Promise.all(names.map((name) => payloadsOf(database, name)));
    expect(await listening()).toBe(1);
    await notify('plain', 'one');
    await notify(names[1] ?? '', 'two');
    await notify('another', 'three');
    await notify('plain', '');
    await until('all to arrive', () => payloads[0]?.length === 2 && payloads[1]?.length === 1);
    expect(payloads).toEqual([['one', ''], ['two'], ['one', '']]);
  });

  it('reach all channels again after the connection was lost, which each of them learns', async () => {
    const database = await open();
    const [first, second] = [await payloadsOf(database, 'first'), await payloadsOf(database, 'second')];
    await server.query(`select pg_terminate_backend(pid) ${LISTENING}`);
    await until('the connection to be there again', () => first.length === 2 && second.length === 2);
    expect(await listening()).toBe(1);
    await notify('first', 'one');
    await notify('second', 'two');
    await until('both to arrive', () => first.length === 3 && second.length === 3);
    expect([first, second]).toEqual([
      [null, null, 'one'],
      [null, null, 'two'],
    ]);
  });

  it('are refused while the server cannot be reached, and can be listened to when it is back', async () => {
    const proxy = await TcpProxy.start(server.url());
    closings.push(() => proxy.close());
    const database = await open(proxy.url);
    await proxy.cut();
    await expect(payloadsOf(database, 'never')).rejects.toThrow();
    await proxy.restore();
    const first = await payloadsOf(database, 'first');
    await proxy.cut();
    await until('the loss to be known', () => first.length === 1);
    await expect(payloadsOf(database, 'second')).rejects.toThrow();
    await proxy.restore();
    // Without the pause before the next attempt to connect.
    const third = await payloadsOf(database, 'third');
    await notify('third', 'now');
    await until('all to arrive', () => third.includes('now') && first.length === 2);
    expect([first, third.filter((payload) => payload !== null)]).toEqual([[null, null], ['now']]);
  });

  it('cannot be listened to when the database is closed', async () => {
    const database = await open();
    await payloadsOf(database, 'first');
    await database.close();
    await expect(payloadsOf(database, 'second')).rejects.toThrow('closed');
    await until('the connection to end', async () => (await listening()) === 0);
  });
});
