import { type Kysely, type Migration, sql } from 'kysely';

/**
 * The log has every change of a row that belongs to a message, so that processes may keep rows in memory and read only
 * what has changed. `is_status` marks the changes that subscriptions are about. A change of a listing has no media id.
 */
export const allChanges: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  'alter table media_changes add column is_status boolean not null default true',
  // The schema is written into the functions, because a session may change media while its search_path is another one.
  `do $create$ begin
    execute format($function$
      create function log_other_media_change() returns trigger language plpgsql as $$
      begin
        insert into %I.media_changes (tenant, media_id, channel_id, provider_message_id, status, is_status)
          values (old.tenant, old.id, old.channel_id, old.provider_message_id, old.status, false);
        return null;
      end $$
    $function$, current_schema());
    execute format($function$
      create function log_listing_change() returns trigger language plpgsql as $$
      begin
        insert into %I.media_changes (tenant, media_id, channel_id, provider_message_id, status, is_status)
          values (new.tenant, '', new.channel_id, new.provider_message_id, '', false);
        return null;
      end $$
    $function$, current_schema());
    execute format($function$
      create function log_all_changed() returns trigger language plpgsql as $$
      begin
        -- Every reader finds a gap.
        update %I.media_changes_pruned set xid = pg_current_xact_id();
        return null;
      end $$
    $function$, current_schema());
  end $create$`,
  `create trigger media_updated after update on media
    for each row when (old.provider_message_id is not null and old.status = new.status and old.* is distinct from new.*)
    execute function log_other_media_change()`,
  `create trigger media_removed after delete on media
    for each row when (old.provider_message_id is not null)
    execute function log_other_media_change()`,
  `create trigger listing_recorded after insert or update on message_listings
    for each row execute function log_listing_change()`,
  'create trigger media_truncated after truncate on media for each statement execute function log_all_changed()',
];
