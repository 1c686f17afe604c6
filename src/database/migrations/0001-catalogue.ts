import { type Kysely, type Migration, sql } from 'kysely';

/**
 * The catalogue, the webhook inbox and the signing key. PostgreSQL 15. Each index names the query it is for; an index on
 * rows that wait for work holds those rows only.
 */
export const catalogue: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  `create table media (
    tenant text not null,
    id text not null,
    channel_id text not null,
    provider text not null,
    provider_message_id text not null,
    -- among the media of its message, from 0
    position integer not null,
    provider_media_id text,
    download_url text,
    -- whether the provider was asked for what a listing does not tell
    described boolean not null default false,
    status text not null check (status in ('PENDING', 'READY', 'FAILED', 'DELETED', 'EXPIRED')),
    kind text,
    mime_type text,
    size_bytes bigint,
    sha256 text,
    filename text,
    caption text,
    -- as the provider says
    created_at timestamptz,
    -- until when the provider keeps the bytes
    available_until timestamptz,
    recorded_at timestamptz not null,
    updated_at timestamptz not null,
    -- by a webhook
    announced boolean not null,
    failure_reason text,
    -- the bytes that are here, as they were measured
    stored_at timestamptz,
    stored_size_bytes bigint,
    stored_sha256 text,
    stored_mime_type text,
    -- the copying of the bytes; null: nobody is to copy them
    mirror_state text check (mirror_state in ('due', 'done', 'failed')),
    mirror_due_at timestamptz,
    mirror_attempts integer not null default 0,
    lease_owner text,
    lease_until timestamptz,
    -- when this media is to be forgotten here
    expires_at timestamptz,
    primary key (tenant, id)
  )`,
  // findByMessages; findKeysByProviderMessageIds
  `create index media_by_message on media (tenant, provider_message_id, channel_id, position)`,
  // claimMirrors
  `create index media_to_mirror on media (available_until asc nulls last, recorded_at) where mirror_state = 'due'`,
  // releaseMirrors, abandonLeases
  `create index media_leased on media (lease_owner) where lease_owner is not null`,
  // expireDevice: the operator class lets LIKE use it whatever the database's collation
  `create index media_by_provider_media on media (tenant, channel_id, provider_media_id text_pattern_ops)
    where provider_media_id is not null`,
  // expireDue
  `create index media_by_expiry on media (expires_at)
    where expires_at is not null and status in ('PENDING', 'READY', 'FAILED')`,
  `create index media_by_availability on media (available_until)
    where available_until is not null and stored_at is null and status in ('PENDING', 'READY')`,
  // counts
  `create index media_by_status on media (status)`,

  `create table message_listings (
    tenant text not null,
    channel_id text not null,
    provider_message_id text not null,
    listed_at timestamptz not null,
    media_count integer not null,
    first_seen_at timestamptz not null,
    primary key (tenant, provider_message_id, channel_id)
  )`,

  `create table webhook_events (
    id bigint generated always as identity primary key,
    tenant text not null,
    channel_id text not null,
    dedupe_key text not null,
    content_type text not null,
    -- empty once the event is done
    raw_body bytea not null,
    received_at timestamptz not null,
    state text not null default 'due' check (state in ('due', 'done', 'dead')),
    attempts integer not null default 0,
    run_after timestamptz not null,
    lease_owner text,
    lease_until timestamptz,
    last_error text,
    -- receive
    unique (tenant, channel_id, dedupe_key)
  )`,
  // claim, counts
  `create index webhook_events_due on webhook_events (id) where state = 'due'`,
  // release, abandonLeases
  `create index webhook_events_leased on webhook_events (lease_owner) where lease_owner is not null`,
  // forget
  `create index webhook_events_done on webhook_events (received_at) where state = 'done'`,
  // counts
  `create index webhook_events_dead on webhook_events (id) where state = 'dead'`,

  `create table signing_keys (
    id text primary key,
    secret text not null,
    created_at timestamptz not null
  )`,
];
