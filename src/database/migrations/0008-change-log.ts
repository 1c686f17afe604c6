import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Changes of media become rows of a log, which every process reads. `pg_notify` in a trigger, as 0004 has it, makes the
 * commits of all writers wait for one another: PostgreSQL holds one lock of the whole server from a transaction's
 * notification to its commit. See `catalogue/change-log.ts`.
 *
 * During a rolling upgrade the triggers also log what replicas of the previous version change; replicas of this version
 * read it within a second. Subscriptions at replicas of the previous version hear nothing from this migration on, until
 * those replicas are replaced: notifications carry no changes any more, and go to another channel.
 */
export const changeLog: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  `create table media_changes (
    -- the transaction that made the change
    xid xid8 not null default pg_current_xact_id(),
    -- In the order of the changes for each media: it is given out while the media's row is locked.
    id bigint generated always as identity,
    tenant text not null,
    media_id text not null,
    channel_id text not null,
    provider_message_id text not null,
    status text not null,
    at timestamptz not null default now(),
    -- read
    primary key (xid, id)
  )`,
  // prune
  'create index media_changes_by_age on media_changes (at)',
  `create table media_changes_pruned (
    -- There is one row.
    one boolean primary key default true check (one),
    -- the highest transaction whose changes were pruned
    xid xid8 not null
  )`,
  `insert into media_changes_pruned (xid) values ('0')`,
  'drop trigger media_recorded on media',
  'drop trigger media_changed on media',
  'drop function notify_media_changed()',
  // The schema is written into the function, because a session may change media while its search_path is another one.
  `do $create$ begin
    execute format($function$
      create function log_media_change() returns trigger language plpgsql as $$
      begin
        insert into %I.media_changes (tenant, media_id, channel_id, provider_message_id, status)
          values (new.tenant, new.id, new.channel_id, new.provider_message_id, new.status);
        return null;
      end $$
    $function$, current_schema());
  end $create$`,
  // No subscription can ask for changes of an upload that belongs to no message.
  `create trigger media_recorded after insert on media
    for each row when (new.provider_message_id is not null)
    execute function log_media_change()`,
  `create trigger media_changed after update of status on media
    for each row when (new.provider_message_id is not null and old.status <> new.status)
    execute function log_media_change()`,
];
