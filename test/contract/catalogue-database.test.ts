import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { sql } from 'kysely';
import { ensureSigningKey } from '../../src/catalogue/signing-keys.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate, schemaState } from '../../src/database/migrations/migrate.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { compiledProject } from '../support/command.js';
import { describeEngines, describeServer, OPEN_TIMEOUT_MS } from '../support/databases.js';
import { until } from '../support/eventually.js';

const MIGRATIONS = [
  '0001-catalogue',
  '0002-uploads-and-deletions',
  '0003-delivery',
  '0004-media-changes',
  '0005-fenced-work',
  '0006-channel-facts',
  '0007-jobs',
  '0008-change-log',
  '0009-all-changes',
  '0010-request-counts',
  '0011-recovery',
];

const NOW = new Date('2026-11-21T10:00:00.123Z');

describeEngines('a database', (bed) => {
  test('reports its engine, and answers a ping', async () => {
    expect(bed.shared().engine).toBe(bed.engine);
    await expect(bed.shared().ping()).resolves.toBeUndefined();
  });

  test('answers the same JavaScript values on every engine', async () => {
    const { rows } = await sql`
      select ${NOW}::timestamptz as time, 9007199254740991::int8 as safe, 9007199254740992::int8 as beyond,
        ${Buffer.from([0, 255, 10])}::bytea as bytes, null::text as nothing, true as yes, ${['a', null, 'ü"{,}']}::text[]
        as texts, count(*) as count, ${[NOW, null]}::timestamptz[] as times, 7::int4 as int`.execute(
      bed.shared().kysely,
    );
    expect(rows).toEqual([
      {
        time: NOW,
        safe: Number.MAX_SAFE_INTEGER,
        beyond: 9007199254740992n,
        bytes: Buffer.from([0, 255, 10]),
        nothing: null,
        yes: true,
        texts: ['a', null, 'ü"{,}'],
        count: 1,
        times: [NOW, null],
        int: 7,
      },
    ]);
    expect(Buffer.isBuffer((rows[0] as { bytes: unknown }).bytes)).toBe(true);
  });

  test('a faulty statement fails alone, with its SQLSTATE', async () => {
    const { kysely } = bed.shared();
    const faulty = sql`select * from nowhere`.execute(kysely);
    const sound = sql`select 1 as one`.execute(kysely);
    await expect(faulty).rejects.toMatchObject({ code: '42P01' });
    await expect(sound).resolves.toMatchObject({ rows: [{ one: 1 }] });
  });

  test('a parameter that cannot be bound fails its statement alone', async () => {
    const { kysely } = bed.shared();
    await expect(sql`select ${'no number'}::integer`.execute(kysely)).rejects.toMatchObject({ code: '22P02' });
    await expect(bed.shared().ping()).resolves.toBeUndefined();
  });

  test('a transaction contains no statements of other callers, not even when it is rolled back', async () => {
    const { kysely } = bed.shared();
    const key = (id: string) =>
      kysely.insertInto('signing_keys').values({ id, secret: 's', created_at: NOW }).execute();
    const transactions = Array.from({ length: 20 }, (_, index) =>
      kysely
        .transaction()
        .execute(async (transaction) => {
          await transaction
            .insertInto('signing_keys')
            .values({ id: `in-${index}`, secret: 's', created_at: NOW })
            .execute();
          await turn();
          if (index % 2 === 0) throw new Error('rolled back');
          await transaction.updateTable('signing_keys').set({ secret: 't' }).where('id', '=', `in-${index}`).execute();
        })
        .catch((thrown: Error) => thrown.message),
    );
    await Promise.all([...transactions, ...Array.from({ length: 20 }, (_, index) => key(`out-${index}`))]);
    const rows = await kysely.selectFrom('signing_keys').select(['id', 'secret']).execute();
    expect(rows.filter(({ id }) => id.startsWith('out-'))).toHaveLength(20);
    expect(rows.filter(({ id }) => id.startsWith('in-')).map(({ secret }) => secret)).toEqual(Array(10).fill('t'));
  });

  test('jobs wait for all other callers where there is one session', async () => {
    const { kysely, background, engine } = bed.shared();
    const order: string[] = [];
    const ask = async (name: string, of: Database['kysely']) => {
      await sql`select 1`.execute(of);
      order.push(name);
    };
    await Promise.all([ask('0', kysely), ask('job', background), ask('1', kysely), ask('2', kysely)]);
    if (engine === 'embedded') expect(order).toEqual(['0', '1', '2', 'job']);
    expect(order).toHaveLength(4);
  });

  test('migrating again does nothing', async () => {
    await expect(migrate(bed.shared())).resolves.toEqual([]);
  });

  describe('the schema of a newer version', () => {
    const name = '9999-from-the-future';
    const since = (migration: string) => sql`update mediagraph_compatibility set since = ${migration}`;
    beforeEach(async () => {
      const { kysely } = bed.shared();
      await sql`insert into mediagraph_migrations (name, timestamp) values (${name}, ${NOW.toISOString()})`.execute(
        kysely,
      );
    });
    afterEach(async () => {
      const { kysely } = bed.shared();
      await sql`delete from mediagraph_migrations where name = ${name}`.execute(kysely);
      await since('0011-recovery').execute(kysely);
    });

    test('is used as it is, if that version says so', async () => {
      await expect(migrate(bed.shared())).resolves.toEqual([]);
      const { unknown, isUsable, pending } = await schemaState(bed.shared().reads);
      expect({ unknown, isUsable, pending }).toEqual({ unknown: [name], isUsable: true, pending: [] });
    });

    test('is refused otherwise, with the name of its last migration', async () => {
      await since(name).execute(bed.shared().kysely);
      await expect(migrate(bed.shared())).rejects.toThrow(`newer version of Mediagraph: it has ${name}`);
      expect(await schemaState(bed.shared().reads)).toMatchObject({ unknown: [name], isUsable: false });
    });
  });

  test('replicas that make the signing key at once agree on it, and it stays', async () => {
    const databases = [bed.shared(), bed.replica()];
    const keys = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ensureSigningKey(databases[index % 2] ?? bed.shared(), NOW)),
    );
    expect(new Set(keys.map(({ secret }) => secret)).size).toBe(1);
    expect(Buffer.from(keys[0]?.secret ?? '', 'base64url')).toHaveLength(32);
    expect(keys[0]?.id).toMatch(/^[A-Za-z0-9_-]{1,32}$/);
    await expect(ensureSigningKey(bed.replica(), new Date(NOW.getTime() + 1))).resolves.toEqual(keys[0]);
  });

  test('the migrations leave other applications of the same library alone', async () => {
    const { kysely } = bed.shared();
    await sql`create schema another`.execute(kysely);
    await sql`create table another.mediagraph_migrations (unrelated integer)`.execute(kysely);
    await expect(migrate(bed.shared())).resolves.toEqual([]);
    await sql`drop schema another cascade`.execute(kysely);
  });
});

test.each(['', 'mysql://host/db', 'pglite:', './data'])('%p is refused as a database URL', async (url) => {
  await expect(openDatabase({ url })).rejects.toThrow('expected a database URL');
});

describe('an embedded database in a folder', () => {
  let folder = '';
  const opened: Database[] = [];
  const children: ChildProcess[] = [];
  const open = async (): Promise<Database> => {
    const database = await openDatabase({ url: `pglite:${folder}` });
    opened.push(database);
    return database;
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mediagraph-database-'));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()));
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  afterAll(() => rm(folder, { recursive: true }));

  test(
    'keeps its rows when it is closed and opened again',
    async () => {
      const first = await open();
      expect(await migrate(first)).toEqual(MIGRATIONS);
      const key = await ensureSigningKey(first, NOW);
      // Asked before the end, answered before the end.
      const pings = Promise.all(Array.from({ length: 10 }, () => first.ping()));
      await first.close();
      await first.close();
      await pings;
      await expect(first.ping()).rejects.toThrow('closed');
      const second = await open();
      expect(await migrate(second)).toEqual([]);
      await expect(ensureSigningKey(second, NOW)).resolves.toEqual(key);
    },
    OPEN_TIMEOUT_MS,
  );

  test(
    'can be open only once, also within a process, and is free after it is closed',
    async () => {
      const first = await open();
      await expect(open()).rejects.toThrow(`is open in process ${process.pid}`);
      await first.close();
      await expect(open()).resolves.toMatchObject({ engine: 'embedded' });
    },
    OPEN_TIMEOUT_MS,
  );

  test(
    'is refused while another process has it open, and opens with its rows after that process was killed',
    async () => {
      const child = spawn(process.execPath, ['--input-type=module'], {
        cwd: compiledProject(),
        env: { PATH: process.env.PATH },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      children.push(child);
      child.stdin.end(`
      import { openDatabase } from './src/database/database.js';
      const database = await openDatabase({ url: ${JSON.stringify(`pglite:${folder}`)} });
      const row = { id: 'of-the-child', secret: 's', created_at: new Date() };
      await database.kysely.insertInto('signing_keys').values(row).execute();
      console.log('open');
    `);
      await once(child.stdout, 'data');
      await expect(open()).rejects.toThrow(`is open in process ${child.pid}`);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { kysely } = await open();
      const row = await kysely
        .selectFrom('signing_keys')
        .select('id')
        .where('id', '=', 'of-the-child')
        .executeTakeFirst();
      expect(row).toEqual({ id: 'of-the-child' });
    },
    OPEN_TIMEOUT_MS,
  );

  test(
    'the lock of a dead process is removed although another process has its pid',
    async () => {
      const lock = join(folder, 'mediagraph.lock');
      const first = await open();
      const owner: { pid: number; birth: string | null } = JSON.parse(await readFile(lock, 'utf8'));
      await first.close();
      // Only Linux tells when a process was born.
      if (owner.birth !== null) {
        await writeFile(lock, JSON.stringify({ ...owner, birth: '1' }));
        await expect(open()).resolves.toMatchObject({ engine: 'embedded' });
      }
    },
    OPEN_TIMEOUT_MS,
  );

  test('the lock of another host, and an unreadable one, are kept for the operator to remove', async () => {
    const lock = join(folder, 'mediagraph.lock');
    await writeFile(lock, JSON.stringify({ pid: 1, host: 'another-host.invalid', birth: null }));
    await expect(open()).rejects.toThrow('process 1 on another-host.invalid');
    await writeFile(lock, '');
    await expect(open()).rejects.toThrow('delete mediagraph.lock');
    await rm(lock);
  });

  test(
    'a folder whose data cannot be opened is refused, and left unlocked',
    async () => {
      const broken = await mkdtemp(join(tmpdir(), 'mediagraph-database-'));
      await writeFile(join(broken, 'pgdata'), 'no folder');
      await expect(openDatabase({ url: `pglite:${broken}` })).rejects.toThrow('could not be opened');
      expect(await readdir(broken)).toEqual(['pgdata']);
      await rm(broken, { recursive: true });
    },
    OPEN_TIMEOUT_MS,
  );

  test(
    'its dead rows are removed by maintenance, since there is no autovacuum',
    async () => {
      const database = await open();
      await sql`insert into signing_keys select 'n' || n, 's', now() from generate_series(1, 500) as n`.execute(
        database.kysely,
      );
      await database.kysely.deleteFrom('signing_keys').where('id', 'like', 'n%').execute();
      const pages = async () => {
        const { rows } = await sql<{ bytes: number }>`select pg_relation_size('signing_keys') as bytes`.execute(
          database.kysely,
        );
        return rows[0]?.bytes ?? 0;
      };
      const before = await pages();
      await database.maintain();
      expect(await pages()).toBeLessThan(before);
    },
    OPEN_TIMEOUT_MS,
  );
});

describeServer('a database server', (server) => {
  const opened: Database[] = [];
  const open = async (options: { logger?: ReturnType<typeof createLogger> } = {}): Promise<Database> => {
    const database = await openDatabase({ url: server.url(), maxConnections: 1, ...options });
    opened.push(database);
    return database;
  };
  afterEach(() => Promise.all(opened.splice(0).map((database) => database.close())));
  const pidOf = async ({ kysely }: Pick<Database, 'kysely'>): Promise<number> => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(kysely);
    return rows[0]?.pid ?? 0;
  };

  test('is migrated once by ten replicas that start at once', async () => {
    const replicas = await Promise.all(Array.from({ length: 10 }, () => open()));
    const ran = await Promise.all(replicas.map((replica) => migrate(replica)));
    expect(ran.flat()).toEqual(MIGRATIONS);
  });

  test('a statement that gets no answer is given up after 10 s, unless it may take its time', async () => {
    const database = await open();
    const sleep = sql`select pg_sleep(11)`;
    const unhurried = database.unhurried((kysely) => sleep.execute(kysely));
    await expect(sleep.execute(database.kysely)).rejects.toThrow('Connection terminated');
    await expect(database.ping()).resolves.toBeUndefined();
    await expect(unhurried).resolves.toBeDefined();
  }, 30_000);

  test('a statement that the server ends to resolve a deadlock is repeated, but not within a transaction', async () => {
    await server.query('create table pairs (id integer primary key, count integer)');
    await server.query('insert into pairs values (1, 0), (2, 0)');
    // The server ends the statement that looks for a deadlock first and finds one.
    await server.query(`alter database ${new URL(server.url()).pathname.slice(1)} set deadlock_timeout = '3s'`);
    const database = await open();
    const other = await open();
    const add = (id: number) => sql`update pairs set count = count + 1 where id = ${id}`;
    const addToBoth = sql`with one as (update pairs set count = count + 1 where id = 1 returning id)
      update pairs set count = pairs.count + 1 from one where pairs.id = 2`;
    for (const unit of ['statement', 'transaction']) {
      let work: Promise<unknown> = Promise.resolve();
      await other.kysely.transaction().execute(async (transaction) => {
        await sql`set local deadlock_timeout = '1min'`.execute(transaction);
        await add(2).execute(transaction);
        work =
          unit === 'statement'
            ? addToBoth.execute(database.kysely)
            : database.kysely.transaction().execute((inner) => addToBoth.execute(inner));
        work.catch(() => {});
        await until('the statement to wait', async () => {
          const [row] = await server.query(
            "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
          );
          return row?.waiting === 1;
        });
        await add(1).execute(transaction);
      });
      if (unit === 'statement') await work;
      else await expect(work).rejects.toMatchObject({ code: '40P01' });
    }
    expect(await server.query('select id, count from pairs order by id')).toEqual([
      { id: 1, count: 3 },
      { id: 2, count: 3 },
    ]);
  });

  test('an idle connection that is lost is replaced by the next query', async () => {
    let noted: (line: string) => void = () => {};
    const warned = new Promise<string>((resolve) => {
      noted = resolve;
    });
    const destination = new Writable({
      write(chunk, _encoding, done) {
        noted(String(chunk));
        done();
      },
    });
    const database = await open({ logger: createLogger({ level: 'warn', destination }) });
    const first = await pidOf(database);
    await server.query('select pg_terminate_backend($1)', [first]);
    await expect(warned).resolves.toContain('a database connection was lost');
    const second = await pidOf(database);
    expect(second).toBeGreaterThan(0);
    expect(second).not.toBe(first);
  });

  test('a connection that is lost within a transaction fails that transaction, and nothing else', async () => {
    const database = await open();
    let first = 0;
    const transaction = database.kysely.transaction().execute(async (kysely) => {
      first = await pidOf({ kysely });
      await server.query('select pg_terminate_backend($1)', [first]);
      // Until the process is gone, so that the loss comes while no statement of the transaction runs.
      for (let alive = 1; alive > 0; ) {
        alive = (await server.query('select from pg_stat_activity where pid = $1', [first])).length;
      }
      await turn();
      await sql`select 1`.execute(kysely);
    });
    await expect(transaction).rejects.toThrow();
    await expect(pidOf(database)).resolves.not.toBe(first);
  });

  test('an unreachable server is an error of the query', async () => {
    const url = new URL(server.url());
    url.port = '1';
    const database = await openDatabase({ url: url.href });
    await expect(database.ping()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await database.close();
  });
});
