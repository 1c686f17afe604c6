import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Blobs named by the attempt that wrote them, work that ends its process, why media failed, and what adapters tell of a
 * message besides its bytes.
 */
export const fencedWork: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

/** For each table whose rows are work; see `work-queue.ts`. */
const QUEUE_COLUMNS = `
  -- how often its lease ran out: its process died, or was cut off
  add column interruptions integer not null default 0,
  -- how often its process died while it ran alone
  add column deaths integer not null default 0,
  -- was under way when a process died, and runs alone from then on
  add column suspect boolean not null default false,
  -- its owner does nothing else at the moment
  add column lease_alone boolean not null default false`;

const STATEMENTS = [
  `alter table media ${QUEUE_COLUMNS},
    -- of the stored bytes: it names the attempt that wrote them
    add column blob_key text,
    add column page_count integer,
    -- whether a still can be made of the stored bytes; null: not tried
    add column has_still boolean,
    -- stored, and still to be measured
    add column inspection_due boolean not null default false,
    -- as the provider says; null: not told
    add column voice boolean,
    add column contact text,
    add column direction text check (direction in ('INBOUND', 'OUTBOUND')),
    add column revoked_at timestamptz,
    -- it was READY at some time, so that links of it may be about
    add column was_ready boolean not null default false,
    -- of a FAILED media, with failure_code and failure_reason
    add column failure_retryable boolean,
    add column failed_at timestamptz,
    -- when its copying was begun anew: five attempts and the provider's lifetime count from here
    add column mirror_since timestamptz`,
  `alter table webhook_events ${QUEUE_COLUMNS}`,
  `alter table uploads ${QUEUE_COLUMNS}`,
  // prune
  `create index webhook_events_dead_by_age on webhook_events (received_at) where state = 'dead'`,
  // findUninspected
  `create index media_to_inspect on media (stored_at) where inspection_due`,
  // The copies that wait count from when they became known.
  `update media set mirror_since = recorded_at where mirror_state = 'due'`,
  `update media set was_ready = true where status = 'READY'`,

  // What an upload that failed was to fetch, for those who try it again.
  `create table failed_uploads (
    tenant text not null,
    media_id text not null,
    source_url text not null,
    filename text,
    mime_type text,
    failed_at timestamptz not null,
    primary key (tenant, media_id)
  )`,
  // forgetFailed
  `create index failed_uploads_by_age on failed_uploads (failed_at)`,

  // As `blob-store.ts` names the bytes of rows that have no key of an attempt.
  `create function media_key_without_attempt(tenant text, id text) returns text language sql immutable as $$
    select 'media/' || left(encode(sha256(convert_to(tenant || e'\\n' || id, 'UTF8')), 'hex'), 2)
      || '/t-' || regexp_replace(
        rtrim(translate(encode(convert_to(tenant, 'UTF8'), 'base64'), e'+/\\n', '-_'), '='), '(.{200})(?=.)', '\\1/t-', 'g')
      || '/i-' || regexp_replace(id, '(.{200})(?=.)', '\\1/i-', 'g')
      || '.original'
  $$`,
  `update media set blob_key = media_key_without_attempt(tenant, id) where stored_at is not null`,
  // The previous version may still run beside this one: what it stores, it stores under that key, and of bytes that it
  // gives up it forgets too little.
  `create function name_blob_of_previous_version() returns trigger language plpgsql as $$
  begin
    new.blob_key := case when new.stored_at is not null then media_key_without_attempt(new.tenant, new.id) end;
    if new.stored_at is null then
      new.size_bytes := null; new.sha256 := null; new.width := null; new.height := null; new.duration_seconds := null;
      new.page_count := null; new.thumb_hash := null; new.has_still := null; new.inspection_due := false;
    end if;
    return new;
  end $$`,
  `create trigger media_stored_by_previous_version before update of stored_at on media
    for each row when (new.stored_at is distinct from old.stored_at and new.blob_key is not distinct from old.blob_key)
    execute function name_blob_of_previous_version()`,

  // What was read from bytes that are gone stayed in their rows.
  `update media set size_bytes = null, sha256 = null, width = null, height = null, duration_seconds = null, thumb_hash = null
    where (status in ('DELETED', 'EXPIRED') or (status = 'FAILED' and uploaded)) and stored_at is null
      and (size_bytes, sha256, width, height, duration_seconds, thumb_hash) is distinct from (null, null, null, null, null, null)`,
];
