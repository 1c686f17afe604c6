/** The statements of docs/scaling.md, on a database that has rows. */
import { sql } from 'kysely';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import { type Database, openDatabase } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrations/migrate.js';
import { describeServer } from '../support/databases.js';
import { claimJobs } from '../support/jobs.js';
import { fencesOf } from './fences.js';

const NOW = new Date('2026-11-30T10:00:00.000Z');
const LATER = new Date('2026-12-30T10:00:00.000Z');

describeServer('an inbox in partitions', (server) => {
  let database: Database;
  beforeAll(async () => {
    database = await openDatabase({ url: server.url() });
    await migrate(database);
  });
  afterAll(() => database.close());

  const receive = (dedupeKey: string) =>
    new SqlWebhookInbox(database).receive({
      ...{ tenant: 'default', channelId: 'support', contentType: 'text/plain', now: NOW },
      ...{ dedupeKey, rawBody: Buffer.from(dedupeKey) },
    });

  it('keeps its events, recognises repetitions and forgets as before', async () => {
    const inbox = new SqlWebhookInbox(database);
    expect(await Promise.all([receive('before'), receive('other')])).toEqual(['recorded', 'recorded']);
    const statements = (await fencesOf('docs/scaling.md')).filter(({ language }) => language === 'sql');
    expect(statements).toHaveLength(1);
    for (const { text } of statements) await server.query(text);
    expect([await receive('before'), await receive('after'), await receive('after')]).toEqual([
      'repeated',
      'recorded',
      'repeated',
    ]);
    const jobs = await claimJobs(database, 'webhook', { owner: 'a', now: LATER });
    const events = await inbox.findEvents(jobs);
    expect([...events.values()].map(({ rawBody }) => rawBody.toString()).sort()).toEqual(['after', 'before', 'other']);
    for (const [job, { rawBody }] of events) {
      if (rawBody.toString() === 'other') await inbox.bury(job, 'no');
      else await inbox.done(job);
    }
    expect(await inbox.counts()).toMatchObject({ due: 0, dead: 1 });
    expect([await inbox.forget(LATER), await inbox.forgetDead(LATER)]).toEqual([2, 1]);
    const { rows } = await sql<{ parts: number }>`
      select count(*)::integer as parts from pg_inherits where inhparent = 'webhook_events'::regclass`.execute(
      database.kysely,
    );
    expect(rows[0]?.parts).toBe(8);
  });
});
