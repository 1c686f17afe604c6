import { type Kysely, type Migration, sql } from 'kysely';

/** Every change of a media's status notifies the sessions that listen (PostgreSQL docs, "NOTIFY"); see `media-changes.ts`. */
export const mediaChanges: Migration = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};

const STATEMENTS = [
  // Channels belong to a database, and schemas of one may hold a catalogue each.
  `create function notify_media_changed() returns trigger language plpgsql as $$
  begin
    perform pg_notify('mediagraph_' || md5(tg_table_schema),
      json_build_array(new.tenant, new.id, new.channel_id, new.provider_message_id, new.status)::text);
    return null;
  end $$`,
  // Subscriptions name messages, so that an upload without a message has no subscribers.
  `create trigger media_recorded after insert on media
    for each row when (new.provider_message_id is not null)
    execute function notify_media_changed()`,
  `create trigger media_changed after update of status on media
    for each row when (new.provider_message_id is not null and old.status <> new.status)
    execute function notify_media_changed()`,
];
