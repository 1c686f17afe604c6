/** Changes of media under what only a server knows: several sessions, open transactions, lost connections. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { describeServer } from '../support/databases.js';
import { olderTransactionsEnd } from '../support/embedded-database.js';
import { insertMedia, changesOf as openChanges, recordChanges, setStatus } from '../support/recorded-changes.js';
import { TcpProxy } from '../support/tcp-proxy.js';

/** After this time every change has been reported that does not need a poll. */
const QUIET_MS = 300;
const closings: Array<() => unknown> = [];
const changesOf = (database: Database) => openChanges(database, closings);

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

describeServer('changes of media on a server', ({ url, query }) => {
  let database: Database;
  beforeAll(async () => {
    database = await openDatabase({ url: url() });
    await migrate(database);
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await database.kysely.deleteFrom('media').execute();
  });

  /** A session of its own, for transactions that stay open. */
  async function session(of = url()): Promise<(statement: string) => Promise<unknown>> {
    const client = new pg.Client({ connectionString: of });
    await client.connect();
    closings.push(() => client.end());
    return (statement) => client.query(statement);
  }

  const set = (id: string, status: string) => `update media set status = '${status}' where id = '${id}'`;

  it('are reported when they are committed, beside other open transactions, and once', async () => {
    await insertMedia(database.kysely, ['held', 'later', 'other']);
    const open = await session();
    await open('begin');
    await open(set('held', 'READY'));
    const early = await recordChanges(changesOf(database));
    await setStatus(database.kysely, 'later', 'READY');
    await early.has(1);
    const late = await recordChanges(changesOf(database));
    await setStatus(database.kysely, 'later', 'FAILED');
    await setStatus(database.kysely, 'other', 'READY');
    await early.has(3);
    await sleep(QUIET_MS);
    expect([early.all, late.all]).toEqual([
      ['later READY', 'later FAILED', 'other READY'],
      ['later FAILED', 'other READY'],
    ]);
    await open('commit');
    await setStatus(database.kysely, 'held', 'DELETED');
    await early.has(5);
    await late.has(4);
    await sleep(QUIET_MS);
    expect(early.all.slice(3)).toEqual(['held READY', 'held DELETED']);
    expect(late.all.slice(2)).toEqual(['held READY', 'held DELETED']);
  });

  it('of a transaction that is rolled back are never reported', async () => {
    await insertMedia(database.kysely, ['held', 'other']);
    const open = await session();
    await open('begin');
    await open(set('held', 'READY'));
    const recorded = await recordChanges(changesOf(database));
    await open('rollback');
    await setStatus(database.kysely, 'other', 'READY');
    await recorded.has(1);
    await sleep(QUIET_MS);
    expect(recorded.all).toEqual(['other READY']);
  });

  it.each(['one read', 'several reads'])(
    'of one media by transactions with crossed ids keep their order in %s',
    async (reads) => {
      await insertMedia(database.kysely, ['m1', 'm2']);
      const log = new ChangeLog(database);
      const [oldest, lower, higher] = await Promise.all([session(), session(), session()]);
      for (const one of [oldest, lower, higher]) {
        await one('begin');
        await one('select pg_current_xact_id()');
      }
      let { snapshot } = await log.read(null);
      const reported: string[] = [];
      const read = async () => {
        const { changes, ...next } = await log.read(snapshot);
        snapshot = next.snapshot;
        reported.push(...changes.map(({ id, status }) => `${id} ${status}`));
      };
      await higher(set('m1', 'READY'));
      const waiting = lower(set('m1', 'FAILED'));
      await higher(set('m2', 'READY'));
      await higher('commit');
      await waiting;
      if (reads === 'several reads') await read();
      await lower('commit');
      if (reads === 'several reads') await read();
      await oldest(set('m1', 'DELETED'));
      await oldest('commit');
      await read();
      await read();
      expect(reported.filter((one) => one.startsWith('m1'))).toEqual(['m1 READY', 'm1 FAILED', 'm1 DELETED']);
      expect(reported.filter((one) => one.startsWith('m2'))).toEqual(['m2 READY']);
    },
  );

  it('wait for no transaction of another database of the server', async () => {
    const name = `${new URL(url()).pathname.slice(1)}_other`;
    await query(`create database ${name}`);
    const other = new URL(url());
    other.pathname = `/${name}`;
    const open = await session(other.href);
    await open('begin');
    await open('create table of_another (id integer)');
    const recorded = await recordChanges(changesOf(database));
    await insertMedia(database.kysely, ['m1']);
    await recorded.has(1, 900);
    expect(recorded.all).toEqual(['m1 PENDING']);
    await open('rollback');
  });

  it('of a transaction that was open longer than the log keeps changes are not lost', async () => {
    await insertMedia(database.kysely, ['m1', 'm2']);
    const log = new ChangeLog(database);
    const open = await session();
    await open('begin');
    await open(set('m1', 'READY'));
    await setStatus(database.kysely, 'm2', 'READY');
    const first = await log.read(null);
    const tomorrow = new Date(Date.now() + 24 * 60 * 60 * 1000);
    await log.prune(tomorrow);
    expect(await log.read(first.snapshot)).toMatchObject({ changes: [], isGap: false });
    await open('commit');
    expect(await log.read(first.snapshot)).toMatchObject({ changes: [{ id: 'm1' }], isGap: false });
    await olderTransactionsEnd(database);
    await log.prune(tomorrow);
    expect(await log.read(first.snapshot)).toMatchObject({ isGap: true });
  });

  it('are reported within seconds when their process was killed before it notified', async () => {
    const recorded = await recordChanges(changesOf(database));
    await insertMedia(database.kysely, ['m1']);
    await recorded.has(1);
    await query(set('m1', 'READY'));
    await recorded.has(2, 3_000);
    expect(recorded.all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are reported from sessions with another search path', async () => {
    const recorded = await recordChanges(changesOf(database));
    await insertMedia(database.kysely, ['m1']);
    const open = await session();
    await open('set search_path to pg_catalog');
    await open(`update public.media set status = 'READY' where id = 'm1'`);
    await recorded.has(2);
    expect(recorded.all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are reported without a gap when only the listening connection was lost', async () => {
    const [listening, writing] = [changesOf(database), await openDatabase({ url: url() })];
    closings.push(() => writing.close());
    changesOf(writing);
    const recorded = await recordChanges(listening);
    await query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'mediagraph notifications'`);
    await insertMedia(writing.kysely, ['m1']);
    await recorded.has(1, 3_000);
    await setStatus(writing.kysely, 'm1', 'READY');
    await recorded.has(2, 3_000);
    expect(recorded.all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are reported once, followed by a gap, after the database was away', async () => {
    const proxy = await TcpProxy.start(url());
    closings.push(() => proxy.close());
    const cutOff = await openDatabase({ url: proxy.url });
    closings.push(() => cutOff.close());
    const recorded = await recordChanges(changesOf(cutOff));
    await insertMedia(database.kysely, ['m1', 'm2']);
    await recorded.has(2);
    await proxy.cut();
    await setStatus(database.kysely, 'm1', 'READY');
    await sleep(QUIET_MS);
    await setStatus(database.kysely, 'm1', 'DELETED');
    await proxy.restore();
    await recorded.has(5);
    await setStatus(database.kysely, 'm2', 'READY');
    await recorded.has(6);
    expect(recorded.all.slice(2)).toEqual(['m1 READY', 'm1 DELETED', 'gap', 'm2 READY']);
  });
});
