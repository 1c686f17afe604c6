/** What is too old is deleted in batches: a statement has a time limit, and a long pause leaves any number of rows. */
import { sql } from 'kysely';
import { SqlDeletions } from '../../src/catalogue/deletions.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import { SqlWebhookInbox } from '../../src/catalogue/webhook-inbox.js';
import type { Database } from '../../src/database/database.js';
import { describeEngines } from '../support/databases.js';

const ROWS = 12_000;
/** What one statement may change. */
const MOST = 6_000;
const OLD = new Date('2026-10-01T00:00:00.000Z');
const BEFORE = new Date('2026-10-02T00:00:00.000Z');
const TABLES = ['webhook_events', 'jobs', 'upload_keys', 'failed_uploads', 'media'];

describeEngines('rows that are too old', ({ shared }) => {
  const numbers = sql`generate_series(1, ${ROWS}::integer) as n`;

  /** Each statement that changes more rows than it may fails. */
  async function limitStatements({ kysely }: Database): Promise<void> {
    await sql`
      create or replace function expect_few() returns trigger language plpgsql as $$ begin
        if (select count(*) from gone) > ${sql.lit(MOST)} then raise exception 'expected a batch, got %', (select count(*) from gone); end if;
        return null;
      end $$`.execute(kysely);
    for (const table of TABLES)
      for (const change of ['delete', 'update'])
        await sql`
          create or replace trigger ${sql.ref(`few_${change}`)} after ${sql.raw(change)} on ${sql.table(table)}
          referencing old table as gone for each statement execute function expect_few()`.execute(kysely);
  }

  async function unlimitStatements({ kysely }: Database): Promise<void> {
    for (const table of TABLES)
      for (const change of ['delete', 'update'])
        await sql`drop trigger if exists ${sql.ref(`few_${change}`)} on ${sql.table(table)}`.execute(kysely);
  }

  beforeEach(() => limitStatements(shared()));
  afterEach(() => unlimitStatements(shared()));

  const left = async (table: string) => {
    const { rows } = await sql<{ count: number }>`select count(*)::integer as count from ${sql.table(table)}`.execute(
      shared().kysely,
    );
    return rows[0]?.count;
  };

  it.each([
    ['done', 'forget'],
    ['dead', 'forgetDead'],
  ] as const)('events that are %s are deleted in batches', async (state, method) => {
    const { kysely } = shared();
    await sql`
      insert into webhook_events (tenant, channel_id, dedupe_key, content_type, raw_body, received_at, state)
      select 'default', 'support', 'key-' || n, '', '', ${OLD}, ${state} from ${numbers}`.execute(kysely);
    await sql`
      insert into jobs (kind, tenant, key, channel_id, state, due_at, waits, since)
      select 'webhook', 'default', n::text, 'support', 'dead', ${OLD}, false, ${OLD} from ${numbers}
      where ${state} = 'dead'`.execute(kysely);
    expect(await new SqlWebhookInbox(shared())[method](BEFORE)).toBe(ROWS);
    expect([await left('webhook_events'), await left('jobs')]).toEqual([0, 0]);
  });

  it('keys and sources of uploads are deleted in batches', async () => {
    const { kysely } = shared();
    await sql`
      insert into upload_keys (tenant, key, input_sha256, media_id, created_at)
      select 'default', 'key-' || n, 'aa', 'media-' || n, ${OLD} from ${numbers}`.execute(kysely);
    await sql`
      insert into failed_uploads (tenant, media_id, source_url, failed_at)
      select 'default', 'media-' || n, '', ${OLD} from ${numbers}`.execute(kysely);
    const uploads = new SqlUploads(shared());
    expect([await uploads.forgetKeys(BEFORE), await uploads.forgetFailed(BEFORE)]).toEqual([ROWS, ROWS]);
    expect([await left('upload_keys'), await left('failed_uploads')]).toEqual([0, 0]);
  });

  it('tombstones are buried in batches', async () => {
    await sql`
      insert into media (tenant, id, channel_id, provider, provider_message_id, position, status, recorded_at, updated_at,
        announced, deletion_scope)
      select 'default', 'media-' || n, 'support', 'kirim', 'message-' || n, 0, 'DELETED', ${OLD}, ${OLD}, true,
        case when n % 6 > 0 then 'PROVIDER' else 'LOCAL' end from ${numbers}`.execute(shared().kysely);
    expect(await new SqlDeletions(shared()).bury(BEFORE)).toBe(ROWS);
    expect(await left('media')).toBe(ROWS / 6);
  });
});
