import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Database, openDatabase } from '../../src/database/database.js';
import { JobNews } from '../../src/jobs/job-news.js';
import { JOB_KINDS, type JobKind } from '../../src/model/job-kind.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { describeEngines, describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';

/** Announcements are coalesced for 50 ms; after so long, a notification that was sent has arrived. */
const ARRIVED_MS = 1_000;

/** The announcements of one process, and the kinds that it was woken for. */
class Listener {
  readonly woken: Array<readonly JobKind[]> = [];
  readonly lines: string[] = [];
  readonly news: JobNews;

  constructor(database: Database) {
    this.news = new JobNews({
      database,
      onNews: (kinds) => void this.woken.push(kinds),
      logger: createLogger({ level: 'trace', destination: { write: (line) => void this.lines.push(line) } }),
    });
  }
}

describeEngines('announcements of jobs', (bed) => {
  test('wake the announcing process at once, and once', async () => {
    const { news, woken } = new Listener(bed.shared());
    news.announce('copy');
    expect(woken).toEqual([['copy']]);
    await news.start();
    news.announce('upload');
    expect(woken).toEqual([['copy'], ['upload']]);
    await sleep(ARRIVED_MS);
    expect(woken).toHaveLength(2);
    news.stop();
    news.announce('webhook');
    expect(woken).toEqual([['copy'], ['upload'], ['webhook']]);
  });
});

describeServer('announcements of jobs between processes', (server) => {
  const databases: Database[] = [];
  const listeners: Listener[] = [];
  const open = async (): Promise<Database> => {
    const database = await openDatabase({ url: server.url() });
    databases.push(database);
    return database;
  };
  const listening = async (): Promise<Listener> => {
    const listener = new Listener(await open());
    await listener.news.start();
    listeners.push(listener);
    return listener;
  };
  afterEach(async () => {
    for (const { news } of listeners.splice(0)) news.stop();
    await Promise.all(databases.splice(0).map((database) => database.close()));
  });

  test('an announcement in one wakes all others', async () => {
    const [one, second, third] = [await listening(), await listening(), await listening()];
    one.news.announce('copy');
    await until('the others are woken', () => second.woken.length > 0 && third.woken.length > 0);
    second.news.announce('upload');
    await until('the others are woken', () => one.woken.length > 1 && third.woken.length > 1);
    expect(one.woken).toEqual([['copy'], ['upload']]);
    expect(second.woken).toEqual([['copy'], ['upload']]);
    expect(third.woken).toEqual([['copy'], ['upload']]);
  });

  test('a thousand announcements at once wake another once, for each kind', async () => {
    const [one, other] = [await listening(), await listening()];
    for (let round = 0; round < 1_000; round++) one.news.announce(round % 2 === 0 ? 'copy' : 'webhook');
    expect(one.woken).toHaveLength(1_000);
    await until('the other is woken', () => other.woken.length > 0);
    await sleep(ARRIVED_MS);
    expect(other.woken).toEqual([['webhook', 'copy']]);
    one.news.announce('sweep');
    await until('the other is woken again', () => other.woken.length > 1);
    expect(other.woken.at(-1)).toEqual(['sweep']);
  });

  test('a notification that names no kind wakes no process', async () => {
    const listener = await listening();
    const [row] = await server.query(`select 'mediagraph_jobs_' || md5(current_schema()) as channel`);
    const texts = ['', ',', 'a', 'a,b,__proto__', 'copy', 'x'.repeat(7_900), `${'x'.repeat(2_000)},copy`, 'a,upload,b'];
    for (const text of texts) await server.query('select pg_notify($1, $2)', [row?.channel, text]);
    await until('the last is received', () => listener.woken.length === texts.length);
    expect(listener.woken.flat()).toEqual(['upload']);
  });

  test('a new connection wakes every kind, since announcements may have been missed', async () => {
    const [one, other] = [await listening(), await listening()];
    await server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'mediagraph notifications'`,
    );
    await until('both have their connections again', () => one.woken.length > 1 && other.woken.length > 1);
    expect([one.woken, other.woken]).toEqual([
      [JOB_KINDS, JOB_KINDS],
      [JOB_KINDS, JOB_KINDS],
    ]);
    one.news.announce('copy');
    await until('the other is woken', () => other.woken.length > 2);
    expect(other.woken.at(-1)).toEqual(['copy']);
  });

  test('a process that stops notifies no others', async () => {
    const [one, other] = [await listening(), await listening()];
    one.news.announce('copy');
    one.news.stop();
    one.news.announce('upload');
    await sleep(ARRIVED_MS);
    expect(other.woken).toEqual([]);
  });

  test('schemas of one database have channels of their own', async () => {
    await server.query('create schema another');
    const elsewhere = new URL(server.url());
    elsewhere.searchParams.set('options', '-c search_path=another');
    const database = await openDatabase({ url: elsewhere.href });
    databases.push(database);
    const another = new Listener(database);
    await another.news.start();
    listeners.push(another);
    const one = await listening();
    one.news.announce('copy');
    another.news.announce('upload');
    await sleep(ARRIVED_MS);
    expect([one.woken, another.woken]).toEqual([[['copy']], [['upload']]]);
  });

  test('announcements that cannot be sent are logged, and still wake this process', async () => {
    const database = await open();
    const { news, woken, lines } = new Listener(database);
    await news.start();
    await sql`select 1`.execute(database.jobs);
    await database.close();
    news.announce('copy');
    expect(woken).toEqual([['copy']]);
    await until('the fault is logged', () => lines.some((line) => line.includes('could not be notified of new jobs')));
    news.stop();
  });
});
