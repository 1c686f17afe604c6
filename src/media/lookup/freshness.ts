import type { Listing, MessageRecord } from '../../catalogue/media/media-catalogue.js';
import type { MessageMedia } from '../../model/media.js';

/** The longest time for which a listing is valid. */
export const LISTING_MS = 24 * 60 * 60 * 1000;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** The first pauses, one minute in total. */
const FIRST_PAUSES_MS = [1, 2, 4, 8, 15, 30].map((seconds) => seconds * SECOND_MS);
/** After the first hour with a request per minute, the pauses grow with the time that has passed. */
const GROWTH = 1 / 8;

/**
 * Whether the media of a message whose provider has a listing is known without another request: a webhook announced it,
 * or its listing is recent. An empty listing and PENDING media may change at any moment, so the provider is asked again
 * after increasing pauses.
 */
export function isKnown(record: MessageRecord | null, remembered: Listing | null, now: Date): boolean {
  const listedAt = Math.max(timeOf(record?.listedAt), timeOf(remembered?.listedAt));
  const listedMsAgo = now.getTime() - listedAt;
  if (isSettled(record, remembered)) return (record?.announced ?? false) || listedMsAgo < LISTING_MS;
  const firstSeenAt = Math.min(...[record, remembered].flatMap((known) => known?.firstSeenAt.getTime() ?? []));
  return listedMsAgo < pendingPauseMs(listedAt - firstSeenAt);
}

/** Whether the message has media, and none of it is still on its way to the provider. */
function isSettled(record: MessageRecord | null, remembered: Listing | null): boolean {
  const rows = record?.media.filter(({ uploaded }) => !uploaded) ?? [];
  const ids = new Set(rows.map(({ id }) => id));
  const listed = remembered?.media.filter(({ id }) => !ids.has(id)) ?? [];
  if (rows.length + listed.length === 0) return false;
  return !rows.some(({ status, mirrored }) => status === 'PENDING' && !mirrored) && !listed.some(isPending);
}

function isPending({ status }: MessageMedia): boolean {
  return status === 'PENDING';
}

function timeOf(date: Date | null | undefined): number {
  return date?.getTime() ?? Number.NEGATIVE_INFINITY;
}

/**
 * The pause before the next request for media that the provider does not have yet: 1, 2, 4, 8, 15, 30 seconds, every
 * minute for an hour, then increasing pauses up to a day.
 * @param pendingMs the time between the first observation and the last request
 */
export function pendingPauseMs(pendingMs: number): number {
  let sumMs = 0;
  for (const pauseMs of FIRST_PAUSES_MS) {
    sumMs += pauseMs;
    if (pendingMs < sumMs) return pauseMs;
  }
  if (pendingMs < HOUR_MS) return MINUTE_MS;
  return Math.min(Math.max(MINUTE_MS, pendingMs * GROWTH), LISTING_MS);
}
