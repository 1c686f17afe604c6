/**
 * SQL of what a recording makes of a column. `told` is the reported media, `recording` what its call says of all of them;
 * `media` is the row that is there, `excluded` the one that would be inserted.
 */

/** The position of a media that a webhook announced alone: later webhooks may announce others of its message. */
export const UNKNOWN_POSITION = -1;

/** The media is to be copied and waits for it. */
export const WAITS = `(recording.mirror and told.status <> 'FAILED')`;

export const NEWER = (column: string) => `coalesce(excluded.${column}, media.${column})`;
export const EARLIER = (column: string) => `coalesce(media.${column}, excluded.${column})`;
/** A claim about the bytes counts until they are measured. */
export const MEASURED = (column: string) =>
  `case when media.stored_at is null then ${NEWER(column)} else ${EARLIER(column)} end`;

/** A media is announced or listed as FAILED. Stored bytes, an open copy, or a known provider id count for more. */
const FAILS = `(excluded.status = 'FAILED' and media.stored_at is null and media.mirror_state is distinct from 'open'
  and (excluded.provider_media_id is not null or media.provider_media_id is null or not excluded.announced))`;
/** A FAILED media is announced or listed again as one that can be fetched. A listing revives only what a listing failed. */
const REVIVES = `(media.status = 'FAILED' and excluded.status <> 'FAILED' and media.stored_at is null
  and (excluded.announced or media.mirror_state is null))`;

export const FAILS_WITH = (column: string) =>
  `case when ${FAILS} then excluded.${column} when ${REVIVES} then null else media.${column} end`;

/** The rules of single columns. */
export const RULES = {
  // A message that was announced whole keeps the order in which it was sent; lists may have the newest first (Twilio).
  position: `case when excluded.position = ${UNKNOWN_POSITION} then media.position
    when media.announced and media.position <> ${UNKNOWN_POSITION} and not excluded.announced then media.position
    else excluded.position end`,
  status: `case when ${FAILS} then 'FAILED'
    when ${REVIVES} then excluded.status
    when media.status = 'PENDING' and excluded.status = 'READY' and (media.mirror_state is null or not excluded.announced) then 'READY'
    else media.status end`,
  failedAt: `case when ${FAILS} then case when media.status = 'FAILED' then media.failed_at else excluded.failed_at end
    when ${REVIVES} then null else media.failed_at end`,
  mirrorState: `case when excluded.mirror_state = 'open' and media.stored_at is null then 'open' else media.mirror_state end`,
} as const;
