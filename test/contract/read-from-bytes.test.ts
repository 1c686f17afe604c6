import { type Kysely, sql } from 'kysely';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlUploads } from '../../src/catalogue/uploads.js';
import type { Tables } from '../../src/database/tables.js';
import { describeEngines, reportedMedia, storedBytes } from '../support/databases.js';
import { begunUpload, deletionBed } from '../support/deletions.js';
import { uploadedBytes } from '../support/uploads.js';

const TENANT = 'default';
const NOW = new Date('2026-11-21T10:00:00.000Z');
const plus = (ms: number) => new Date(NOW.getTime() + ms);

/**
 * The columns of a media that tell nothing that was read from its bytes: what it is called, what its provider, sender and
 * uploader said of it, what became of it, and when. A column that is not named here has to be empty once the bytes are gone.
 */
const TOLD: ReadonlySet<string> = new Set(
  `tenant id channel_id provider provider_message_id position provider_media_id download_url described status kind mime_type
  filename caption created_at available_until recorded_at updated_at announced failure_reason mirror_state mirror_due_at
  mirror_attempts mirror_since lease_owner lease_until lease_alone expires_at uploaded failure_code deletion_owner
  deletion_until deletion_scope buried purge_due voice contact direction revoked_at was_ready failure_retryable failed_at
  suspect interruptions deaths inspection_due`.split(/\s+/),
);

interface Column {
  readonly name: string;
  readonly type: string;
}

/** A value for each type of column; a new type is a new line here. */
const VALUES: Readonly<Record<string, unknown>> = {
  text: 'of the bytes',
  integer: 7,
  bigint: 7,
  'double precision': 7.5,
  real: 7.5,
  numeric: 7.5,
  boolean: true,
  'timestamp with time zone': NOW,
  bytea: Buffer.from('of the bytes'),
  jsonb: '{"of":"the bytes"}',
  ARRAY: [],
};

async function columnsOfBytes(kysely: Kysely<Tables>): Promise<Column[]> {
  const { rows } = await sql<Column>`
    select column_name as name, data_type as type from information_schema.columns
    where table_schema = current_schema() and table_name = 'media'`.execute(kysely);
  return rows.filter(({ name }) => !TOLD.has(name));
}

describeEngines('a media whose bytes are gone', (bed) => {
  const catalogue = () => new SqlMediaCatalogue(bed.shared());

  /** Everything that can be read from bytes is in the row. */
  async function fill(id: string): Promise<void> {
    const columns = await columnsOfBytes(bed.shared().kysely);
    expect(columns.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['blob_key', 'stored_sha256', 'sha256', 'size_bytes', 'thumb_hash', 'page_count']),
    );
    for (const { name, type } of columns) {
      expect(Object.keys(VALUES)).toContain(type);
      // The key belongs to the bytes: a row that names others is another case.
      if (name === 'blob_key') continue;
      await sql`update media set ${sql.ref(name)} = ${VALUES[type]}, blob_key = ${storedBytes().key}
        where id = ${id}`.execute(bed.shared().kysely);
    }
  }

  /** The columns of bytes that hold something still. */
  async function left(id: string): Promise<string[]> {
    const columns = await columnsOfBytes(bed.shared().kysely);
    const { rows } = await sql<Record<string, unknown>>`select * from media where id = ${id}`.execute(
      bed.shared().kysely,
    );
    const [row] = rows;
    if (!row) throw new Error('expected the row to be there');
    return columns.map(({ name }) => name).filter((name) => row[name] !== null && row[name] !== false);
  }

  async function stored(expiresAt: Date | null = null): Promise<string> {
    const media = reportedMedia({ availableUntil: plus(1_000) });
    await catalogue().recordAnnouncement(TENANT, [media], { mirror: true, now: NOW, retainedUntil: expiresAt });
    await catalogue().markStored(TENANT, media.id, { stored: storedBytes(), details: {}, replacing: null }, NOW);
    await fill(media.id);
    expect((await left(media.id)).length).toBeGreaterThan(10);
    return media.id;
  }

  test('keeps nothing read from them once it is deleted', async () => {
    const id = await stored();
    expect(await deletionBed(bed.shared(), NOW).remove(id)).toMatchObject({ media: { stored: null, sha256: null } });
    expect(await left(id)).toEqual([]);
  });

  test('keeps nothing read from them once it has expired', async () => {
    const id = await stored(NOW);
    expect(await catalogue().expireDue(NOW, 10)).toMatchObject([{ id, status: 'EXPIRED', stored: null, sha256: null }]);
    expect(await left(id)).toEqual([]);
  });

  test('keeps nothing read from them when its upload has failed', async () => {
    const uploads = new SqlUploads(bed.shared());
    const { job, media } = await begunUpload(bed.shared(), { now: NOW });
    await uploads.markStored(job, uploadedBytes(), NOW);
    await fill(media.id);
    const failure = { code: 'PROVIDER_REJECTED', message: 'no', retryable: true, at: NOW } as const;
    expect(await uploads.fail(job, failure)).toMatchObject({ media: { status: 'FAILED' } });
    expect(await left(media.id)).toEqual([]);
  });
});
