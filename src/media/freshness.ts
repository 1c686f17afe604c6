import type { MessageRecord } from '../catalogue/media-catalogue.js';

const EMPTY_LISTING_MS = 30_000;
const LISTING_MS = 24 * 60 * 60 * 1000;
/** A message of this age still gets the media that its provider is fetching. */
const YOUNG_MESSAGE_MS = 60 * 60 * 1000;

/**
 * Whether the catalogue is complete for a message whose provider can be asked: a webhook announced its media, or its
 * listing is fresh. An empty listing of a young message, and media that is still on its way to the provider, may change
 * any moment.
 */
export function mayAnswerAlone(record: MessageRecord | null, now: Date): boolean {
  if (!record) return false;
  const { announced, listedAt, firstSeenAt } = record;
  const media = record.media.filter(({ uploaded }) => !uploaded);
  const unsettled = media.length === 0 || media.some(({ status, mirrored }) => status === 'PENDING' && !mirrored);
  const listedMsAgo = listedAt === null ? Number.POSITIVE_INFINITY : now.getTime() - listedAt.getTime();
  if (!unsettled) return announced || listedMsAgo < LISTING_MS;
  const young = now.getTime() - firstSeenAt.getTime() < YOUNG_MESSAGE_MS;
  return listedMsAgo < (young ? EMPTY_LISTING_MS : LISTING_MS);
}
