/** Changes of media, as subscribers of one process hear of what every process commits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type KyselyPlugin, sql } from 'kysely';
import pg from 'pg';
import { ChangeLog } from '../../src/catalogue/change-log.js';
import { SqlMediaChanges } from '../../src/catalogue/media-changes.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { ChangesHeard, insertMedia, setStatus } from '../support/changes-heard.js';
import { describeEngines, describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const LOGGER = createLogger({ level: 'silent' });
/** Longer than anything takes that nobody waits for, but for a poll. */
const QUIET_MS = 300;
const closings: Array<() => unknown> = [];

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

function changesOf(database: ConstructorParameters<typeof SqlMediaChanges>[0]): SqlMediaChanges {
  const changes = new SqlMediaChanges(database, LOGGER);
  closings.push(() => changes.close());
  return changes;
}

async function heardBy(changes: SqlMediaChanges): Promise<ChangesHeard & { readonly end: () => void }> {
  const heard = new ChangesHeard();
  const end = await changes.subscribe(heard);
  return Object.assign(heard, { end });
}

/** A database whose statements are counted by their texts. */
function counted(database: Database): {
  statements: string[];
  database: ConstructorParameters<typeof SqlMediaChanges>[0];
} {
  const statements: string[] = [];
  const counting: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements.push(JSON.stringify(node));
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  const { engine } = database;
  const [kysely, background] = [database.kysely.withPlugin(counting), database.background.withPlugin(counting)];
  const [listen, onWrite] = [database.listen.bind(database), database.onWrite.bind(database)];
  return { statements, database: { engine, kysely, background, listen, onWrite } };
}

describeEngines('changes of media', (bed) => {
  const kysely = () => bed.shared().kysely;

  it('are told with what they changed, and nothing else is', async () => {
    await insertMedia(kysely(), ['before']);
    const told: unknown[] = [];
    const changes = changesOf(bed.shared());
    await changes.subscribe({ onChange: (change) => told.push(change), onGap: () => told.push('gap') });
    await insertMedia(kysely(), ['m1']);
    await setStatus(kysely(), 'm1', 'PENDING');
    await kysely().updateTable('media').set({ caption: 'new' }).execute();
    await sql`insert into media (tenant, id, channel_id, provider, position, status, recorded_at, updated_at, announced, uploaded)
      values ('default', 'of-no-message', 'support', 'kirim', 0, 'READY', now(), now(), true, true)`.execute(kysely());
    await kysely()
      .transaction()
      .execute(async (transaction) => {
        await setStatus(transaction, 'm1', 'FAILED');
        throw new Error('rolled back');
      })
      .catch(() => {});
    await setStatus(kysely(), 'm1', 'READY');
    await until('two changes', () => told.length === 2);
    await sleep(QUIET_MS);
    const m1 = { tenant: 'default', id: 'm1', channelId: 'support', providerMessageId: 'm1' };
    expect(told).toEqual([
      { ...m1, status: 'PENDING' },
      { ...m1, status: 'READY' },
    ]);
  });

  it('are told within a fraction of a second by another process, to each subscriber once', async () => {
    const [here, there] = [changesOf(bed.shared()), changesOf(bed.replica())];
    const heard = await Promise.all([heardBy(here), heardBy(here), heardBy(there)]);
    await insertMedia(bed.replica().kysely, ['m1']);
    await Promise.all(heard.map((one) => one.has(1, 700)));
    await setStatus(kysely(), 'm1', 'READY');
    await Promise.all(heard.map((one) => one.has(2, 700)));
    await sleep(QUIET_MS);
    for (const { all } of heard) expect(all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are told once each where 500 statements change them in parallel, in the order of each media', async () => {
    const changes = changesOf(bed.shared());
    const media = Array.from({ length: 100 }, (_, index) => `m${index}`);
    const heard = await Promise.all([heardBy(changes), heardBy(changesOf(bed.replica())), heardBy(changes)]);
    await insertMedia(kysely(), media);
    const history = ['PENDING', 'READY', 'FAILED', 'READY', 'EXPIRED', 'DELETED'] as const;
    await Promise.all(
      media.map(async (id, index) => {
        const database = index % 2 === 0 ? bed.shared() : bed.replica();
        for (const status of history.slice(1)) await setStatus(database.kysely, id, status);
      }),
    );
    await Promise.all(heard.map((one) => one.has(600)));
    await sleep(QUIET_MS);
    for (const one of heard) {
      expect(one.all).toHaveLength(600);
      for (const id of media) expect([id, ...one.of(id)]).toEqual([id, ...history]);
    }
  });

  it('are told from when a subscription has begun, while others go on and end', async () => {
    const changes = changesOf(bed.shared());
    const ids = Array.from({ length: 60 }, (_, index) => `m${index}`);
    await insertMedia(kysely(), ids);
    const joined: Array<{ heard: ChangesHeard; from: number; to: number }> = [];
    for (const [index, id] of ids.entries()) {
      const heard = new ChangesHeard();
      const ending = await changes.subscribe(heard);
      await setStatus(kysely(), id, 'READY');
      joined.push({ heard, from: index, to: index + 5 });
      if (index % 7 === 6) await heard.has(1);
      setTimeout(ending, 100);
    }
    // Each of them hears at least its own change, unless it ended before, and none of those before it.
    await sleep(QUIET_MS);
    for (const { heard, from } of joined) {
      expect(heard.all[0]).toBe(`m${from} READY`);
      expect(new Set(heard.all).size).toBe(heard.all.length);
    }
  });

  it('cost nothing while nobody subscribes but a notification for others, and few of those', async () => {
    const { statements, database } = counted(bed.shared());
    const changes = changesOf(database);
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: 300 }, (_, index) => insertMedia(kysely(), [`m${index}`])));
    const most = bed.engine === 'embedded' ? 0 : (performance.now() - startedAt) / 20 + 2;
    await sleep(100);
    expect(statements.filter((statement) => !statement.includes('pg_notify'))).toEqual([]);
    expect(statements.length).toBeLessThanOrEqual(most);
    const heard = await heardBy(changes);
    heard.end();
    const before = statements.length;
    await sleep(1_200);
    expect(statements.length).toBe(before);
  });

  it('are a gap for those who are told of too many at once, and go on behind it', async () => {
    const heard = await heardBy(changesOf(bed.shared()));
    await insertMedia(
      kysely(),
      Array.from({ length: 10_001 }, (_, index) => `m${index}`),
    );
    await heard.has(1);
    await setStatus(kysely(), 'm1', 'READY');
    await heard.has(2);
    expect(heard.all).toEqual(['gap', 'm1 READY']);
  }, 60_000);

  it('are forgotten after a while, which those who have not read them are told', async () => {
    const log = new ChangeLog(bed.shared());
    const { snapshot: start } = await log.read(null);
    await insertMedia(kysely(), ['m1']);
    const between = await log.read(start);
    expect(between).toMatchObject({ changes: [{ id: 'm1' }], isGap: false });
    await log.prune(new Date(Date.now() - 60_000));
    expect(await log.read(start)).toMatchObject({ changes: [{ id: 'm1' }], isGap: false });
    await log.prune(new Date(Date.now() + 60_000));
    expect(await kysely().selectFrom('media_changes').selectAll().execute()).toEqual([]);
    expect(await log.read(start)).toMatchObject({ changes: [], isGap: true });
    expect(await log.read(between.snapshot)).toMatchObject({ changes: [], isGap: false });
    await setStatus(kysely(), 'm1', 'READY');
    expect(await log.read(between.snapshot)).toMatchObject({ changes: [{ status: 'READY' }], isGap: false });
  });

  it('of another server, which a dump brought here, are told to nobody and forgotten', async () => {
    const log = new ChangeLog(bed.shared());
    const { snapshot } = await log.read(null);
    await sql`insert into media_changes (xid, tenant, media_id, channel_id, provider_message_id, status, at)
      values ('9000000000000', 'default', 'strange', 'support', 'strange', 'READY', now() - interval '1 day')`.execute(
      kysely(),
    );
    await sql`update media_changes_pruned set xid = '9000000000000'`.execute(kysely());
    await insertMedia(kysely(), ['m1']);
    const read = await log.read(snapshot);
    expect(read).toMatchObject({ changes: [{ id: 'm1' }], isGap: false });
    await log.prune(new Date(Date.now() - 60_000));
    expect(await kysely().selectFrom('media_changes').select('media_id').execute()).toEqual([{ media_id: 'm1' }]);
    await log.prune(new Date(Date.now() + 60_000));
    expect(await log.read(snapshot)).toMatchObject({ isGap: true });
    expect(await log.read(read.snapshot)).toMatchObject({ isGap: false });
  });

  it('are forgotten at most once a minute', async () => {
    const { statements, database } = counted(bed.shared());
    const changes = changesOf(database);
    for (let time = 0; time < 3; time++) await changes.prune(new Date());
    expect(statements.filter((statement) => statement.includes('delete'))).toHaveLength(1);
  });
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

  it('are told when they are committed, whatever transaction is still open, and once', async () => {
    await insertMedia(database.kysely, ['held', 'later', 'other']);
    const open = await session();
    await open('begin');
    await open(set('held', 'READY'));
    const early = await heardBy(changesOf(database));
    await setStatus(database.kysely, 'later', 'READY');
    await early.has(1);
    const late = await heardBy(changesOf(database));
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

  it('of a transaction that was rolled back at last are never told', async () => {
    await insertMedia(database.kysely, ['held', 'other']);
    const open = await session();
    await open('begin');
    await open(set('held', 'READY'));
    const heard = await heardBy(changesOf(database));
    await open('rollback');
    await setStatus(database.kysely, 'other', 'READY');
    await heard.has(1);
    await sleep(QUIET_MS);
    expect(heard.all).toEqual(['other READY']);
  });

  it.each(['one read', 'several reads'])(
    'of one media by transactions with crossed ids keep its order in %s',
    async (reads) => {
      await insertMedia(database.kysely, ['m1', 'm2']);
      const log = new ChangeLog(database);
      const [oldest, lower, higher] = await Promise.all([session(), session(), session()]);
      for (const one of [oldest, lower, higher]) {
        await one('begin');
        await one('select pg_current_xact_id()');
      }
      let { snapshot } = await log.read(null);
      const told: string[] = [];
      const read = async () => {
        const { changes, ...next } = await log.read(snapshot);
        snapshot = next.snapshot;
        told.push(...changes.map(({ id, status }) => `${id} ${status}`));
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
      expect(told.filter((one) => one.startsWith('m1'))).toEqual(['m1 READY', 'm1 FAILED', 'm1 DELETED']);
      expect(told.filter((one) => one.startsWith('m2'))).toEqual(['m2 READY']);
    },
  );

  it('wait for no transaction of another database of the server', async () => {
    const name = `${new URL(url()).pathname.slice(1)}_other`;
    await query(`create database ${name}`);
    closings.push(() => query(`drop database ${name}`));
    const other = new URL(url());
    other.pathname = `/${name}`;
    const open = await session(other.href);
    await open('begin');
    await open('create table of_another (id integer)');
    const heard = await heardBy(changesOf(database));
    await insertMedia(database.kysely, ['m1']);
    await heard.has(1, 900);
    expect(heard.all).toEqual(['m1 PENDING']);
    await open('rollback');
  });

  it('of a transaction that was open longer than changes are kept are not forgotten unread', async () => {
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
    await log.prune(tomorrow);
    expect(await log.read(first.snapshot)).toMatchObject({ isGap: true });
  });

  it('are told within seconds where the process that made them was killed before it notified', async () => {
    const heard = await heardBy(changesOf(database));
    await insertMedia(database.kysely, ['m1']);
    await heard.has(1);
    await query(set('m1', 'READY'));
    await heard.has(2, 3_000);
    expect(heard.all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are told by sessions with another search path, too', async () => {
    const heard = await heardBy(changesOf(database));
    await insertMedia(database.kysely, ['m1']);
    const open = await session();
    await open('set search_path to pg_catalog');
    await open(`update public.media set status = 'READY' where id = 'm1'`);
    await heard.has(2);
    expect(heard.all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are told without a gap where only the connection that listens was lost', async () => {
    const [listening, writing] = [changesOf(database), await openDatabase({ url: url() })];
    closings.push(() => writing.close());
    changesOf(writing);
    const heard = await heardBy(listening);
    await query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query ilike 'listen %'`);
    await insertMedia(writing.kysely, ['m1']);
    await heard.has(1, 3_000);
    await setStatus(writing.kysely, 'm1', 'READY');
    await heard.has(2, 3_000);
    expect(heard.all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are told once, and a gap after them, when the database was away', async () => {
    const proxy = await TcpProxy.start(url());
    closings.push(() => proxy.close());
    const cutOff = await openDatabase({ url: proxy.url });
    closings.push(() => cutOff.close());
    const heard = await heardBy(changesOf(cutOff));
    await insertMedia(database.kysely, ['m1', 'm2']);
    await heard.has(2);
    await proxy.cut();
    await setStatus(database.kysely, 'm1', 'READY');
    await sleep(QUIET_MS);
    await setStatus(database.kysely, 'm1', 'DELETED');
    await proxy.restore();
    await heard.has(5);
    await setStatus(database.kysely, 'm2', 'READY');
    await heard.has(6);
    expect(heard.all.slice(2)).toEqual(['m1 READY', 'm1 DELETED', 'gap', 'm2 READY']);
  });
});
