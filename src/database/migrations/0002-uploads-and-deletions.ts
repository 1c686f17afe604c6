import { type Kysely, type Migration, sql } from 'kysely';

/** Uploads with their jobs and idempotency keys, deletions under way, tombstones, and what providers allow few of. */
export const uploadsAndDeletions: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  // An upload may belong to no message.
  `alter table media alter column provider_message_id drop not null`,
  `alter table media
    add column uploaded boolean not null default false,
    add column failure_code text,
    -- a deletion that was begun: by whom, and until when nobody else goes on with it
    add column deletion_owner text,
    add column deletion_until timestamptz,
    add column deletion_scope text check (deletion_scope in ('PROVIDER', 'LOCAL')),
    -- deleted so long ago that only its provider's listing has to be kept from showing it again
    add column buried boolean not null default false`,
  // claimInterrupted, abandonLeases
  `create index media_being_deleted on media (deletion_until) where deletion_owner is not null`,
  // findBytesLeft
  `create index media_with_bytes_left on media (updated_at) where status = 'DELETED' and stored_at is not null`,
  // bury
  `create index media_tombstones on media (updated_at) where status = 'DELETED' and not buried`,

  `create table uploads (
    tenant text not null,
    media_id text not null,
    -- as the caller wrote it
    source_url text not null,
    -- as the caller named them
    filename text,
    mime_type text,
    created_at timestamptz not null,
    attempts integer not null,
    lease_owner text,
    lease_until timestamptz,
    primary key (tenant, media_id)
  )`,
  // claim
  `create index uploads_by_age on uploads (created_at)`,
  // release, abandonLeases
  `create index uploads_leased on uploads (lease_owner) where lease_owner is not null`,

  `create table upload_keys (
    tenant text not null,
    key text not null,
    input_sha256 text not null,
    media_id text not null,
    created_at timestamptz not null,
    primary key (tenant, key)
  )`,
  // fail
  `create index upload_keys_by_media on upload_keys (tenant, media_id)`,
  // forgetKeys
  `create index upload_keys_by_age on upload_keys (created_at)`,

  `create table quotas (
    name text primary key,
    -- within the window, the oldest first
    taken timestamptz[] not null
  )`,
];
