import type { MessageRecord } from '../../catalogue/media/media-catalogue.js';

const LISTING_MS = 24 * 60 * 60 * 1000;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** The first pauses, one minute in total. */
const FIRST_PAUSES_MS = [1, 2, 4, 8, 15, 30].map((seconds) => seconds * SECOND_MS);
/** After the first hour with a request per minute, the pauses grow with the time that has passed. */
const GROWTH = 1 / 8;

/**
 * Whether the catalogue is complete for a message whose provider has a listing: a webhook announced its media, or its
 * listing is recent. An empty listing and PENDING media may change at any moment, so the provider is asked again after
 * increasing pauses.
 */
export function mayAnswerAlone(record: MessageRecord | null, now: Date): boolean {
  if (!record) return false;
  const { announced, listedAt, firstSeenAt } = record;
  const media = record.media.filter(({ uploaded }) => !uploaded);
  const unsettled = media.length === 0 || media.some(({ status, mirrored }) => status === 'PENDING' && !mirrored);
  const listedMsAgo = listedAt === null ? Number.POSITIVE_INFINITY : now.getTime() - listedAt.getTime();
  if (!unsettled) return announced || listedMsAgo < LISTING_MS;
  return listedAt !== null && listedMsAgo < pendingPauseMs(listedAt.getTime() - firstSeenAt.getTime());
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
