/** Changes of media, as the subscribers of one process see what every process commits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type KyselyPlugin, sql } from 'kysely';
import { ChangeLog } from '../../src/catalogue/changes/change-log.js';
import type { Database } from '../../src/database/database.js';
import { describeEngines } from '../support/databases.js';
import { olderTransactionsEnd } from '../support/embedded-database.js';
import { until } from '../support/eventually.js';
import {
  type ChangesDatabase,
  insertMedia,
  changesOf as openChanges,
  RecordedChanges,
  recordChanges,
  setStatus,
} from '../support/recorded-changes.js';

/** After this time every change has been reported that does not need a poll. */
const QUIET_MS = 300;
const closings: Array<() => unknown> = [];

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

const changesOf = (database: ChangesDatabase) => openChanges(database, closings);

/** A database whose statements are counted by their texts. */
function counted(database: Database): {
  statements: string[];
  database: ChangesDatabase;
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
  const [reads, background] = [database.reads.withPlugin(counting), database.background.withPlugin(counting)];
  const [listen, onWrite] = [database.listen.bind(database), database.onWrite.bind(database)];
  return { statements, database: { engine, reads, background, listen, onWrite } };
}

describeEngines('changes of media', (bed) => {
  const kysely = () => bed.shared().kysely;

  it('are reported with what changed, and nothing else is', async () => {
    await insertMedia(kysely(), ['before']);
    const reported: unknown[] = [];
    const changes = changesOf(bed.shared());
    await changes.subscribe({ onChange: (change) => reported.push(change), onGap: () => reported.push('gap') });
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
    await until('two changes', () => reported.length === 2);
    await sleep(QUIET_MS);
    const m1 = { tenant: 'default', id: 'm1', channelId: 'support', providerMessageId: 'm1' };
    expect(reported).toEqual([
      { ...m1, status: 'PENDING' },
      { ...m1, status: 'READY' },
    ]);
  });

  it('reach each subscriber of another process once, within a fraction of a second', async () => {
    const [here, there] = [changesOf(bed.shared()), changesOf(bed.replica())];
    const recorded = await Promise.all([recordChanges(here), recordChanges(here), recordChanges(there)]);
    await insertMedia(bed.replica().kysely, ['m1']);
    await Promise.all(recorded.map((one) => one.has(1, 700)));
    await setStatus(kysely(), 'm1', 'READY');
    await Promise.all(recorded.map((one) => one.has(2, 700)));
    await sleep(QUIET_MS);
    for (const { all } of recorded) expect(all).toEqual(['m1 PENDING', 'm1 READY']);
  });

  it('are reported once each when 500 statements run in parallel, in the order of each media', async () => {
    const changes = changesOf(bed.shared());
    const media = Array.from({ length: 100 }, (_, index) => `m${index}`);
    const recorded = await Promise.all([
      recordChanges(changes),
      recordChanges(changesOf(bed.replica())),
      recordChanges(changes),
    ]);
    await insertMedia(kysely(), media);
    const history = ['PENDING', 'READY', 'FAILED', 'READY', 'EXPIRED', 'DELETED'] as const;
    await Promise.all(
      media.map(async (id, index) => {
        const database = index % 2 === 0 ? bed.shared() : bed.replica();
        for (const status of history.slice(1)) await setStatus(database.kysely, id, status);
      }),
    );
    await Promise.all(recorded.map((one) => one.has(600)));
    await sleep(QUIET_MS);
    for (const one of recorded) {
      expect(one.all).toHaveLength(600);
      for (const id of media) expect([id, ...one.of(id)]).toEqual([id, ...history]);
    }
  });

  it('are reported from the start of a subscription, while others continue and end', async () => {
    const changes = changesOf(bed.shared());
    const ids = Array.from({ length: 60 }, (_, index) => `m${index}`);
    await insertMedia(kysely(), ids);
    const joined: Array<{ recorded: RecordedChanges; from: number; to: number }> = [];
    for (const [index, id] of ids.entries()) {
      const recorded = new RecordedChanges();
      const ending = await changes.subscribe(recorded);
      await setStatus(kysely(), id, 'READY');
      joined.push({ recorded, from: index, to: index + 5 });
      if (index % 7 === 6) await recorded.has(1);
      setTimeout(ending, 100);
    }
    // Each subscriber gets at least its own change, unless it ended before, and no earlier ones.
    await sleep(QUIET_MS);
    for (const { recorded, from } of joined) {
      expect(recorded.all[0]).toBe(`m${from} READY`);
      expect(new Set(recorded.all).size).toBe(recorded.all.length);
    }
  });

  it('without subscribers cost only few notifications for other processes', async () => {
    const { statements, database } = counted(bed.shared());
    const changes = changesOf(database);
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: 300 }, (_, index) => insertMedia(kysely(), [`m${index}`])));
    const most = bed.engine === 'embedded' ? 0 : (performance.now() - startedAt) / 20 + 2;
    await sleep(100);
    expect(statements.filter((statement) => !statement.includes('pg_notify'))).toEqual([]);
    expect(statements.length).toBeLessThanOrEqual(most);
    const recorded = await recordChanges(changes);
    recorded.end();
    const before = statements.length;
    await sleep(1_200);
    expect(statements.length).toBe(before);
  });

  it('become a gap for a subscriber with too many at once, and continue after it', async () => {
    const recorded = await recordChanges(changesOf(bed.shared()));
    await insertMedia(
      kysely(),
      Array.from({ length: 10_001 }, (_, index) => `m${index}`),
    );
    await recorded.has(1);
    await setStatus(kysely(), 'm1', 'READY');
    await recorded.has(2);
    expect(recorded.all).toEqual(['gap', 'm1 READY']);
  }, 60_000);

  it('are deleted after a while, and a slow subscriber gets a gap', async () => {
    const log = new ChangeLog(bed.shared());
    const { snapshot: start } = await log.read(null);
    await insertMedia(kysely(), ['m1']);
    await log.prune(new Date(Date.now() - 60_000));
    await olderTransactionsEnd(bed.shared());
    const between = await log.read(start);
    expect(between).toMatchObject({ changes: [{ id: 'm1' }], isGap: false });
    await log.prune(new Date(Date.now() + 60_000));
    expect(await kysely().selectFrom('media_changes').selectAll().execute()).toEqual([]);
    expect(await log.read(start)).toMatchObject({ changes: [], isGap: true });
    expect(await log.read(between.snapshot)).toMatchObject({ changes: [], isGap: false });
    await setStatus(kysely(), 'm1', 'READY');
    expect(await log.read(between.snapshot)).toMatchObject({ changes: [{ status: 'READY' }], isGap: false });
  });

  it('that a dump brought from another server are not reported, and deleted', async () => {
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

  it('are deleted at most once a minute', async () => {
    const { statements, database } = counted(bed.shared());
    const changes = changesOf(database);
    for (let time = 0; time < 3; time++) await changes.prune(new Date());
    expect(statements.filter((statement) => statement.includes('delete'))).toHaveLength(1);
  });
});
