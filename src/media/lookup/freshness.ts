import type { MessageRecord } from '../../catalogue/media/media-catalogue.js';

const LISTING_MS = 24 * 60 * 60 * 1000;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** Together a minute. */
const FIRST_PAUSES_MS = [1, 2, 4, 8, 15, 30].map((seconds) => seconds * SECOND_MS);
/** After the hour in which every minute counts, the pauses grow with what has passed. */
const GROWTH = 1 / 8;

/**
 * Whether the catalogue is complete for a message whose provider can be asked: a webhook announced its media, or its
 * listing is fresh. An empty listing, and media that is still on its way to the provider, may change any moment: they are
 * asked for again after ever longer pauses.
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
 * How long to wait before media that its provider does not have yet is asked for again: 1, 2, 4, 8, 15, 30 seconds, every
 * minute for an hour, then growing pauses up to a day.
 * @param pendingMs since it was first seen, at the last question
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
