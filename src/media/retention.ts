import { earliest, type Media } from '../model/media.js';

/** When media that becomes known now is to be forgotten; null = when it is deleted. */
export function endOfRetention(retentionMs: number | null, now: Date): Date | null {
  return retentionMs === null ? null : new Date(now.getTime() + retentionMs);
}

/**
 * When the media of a listed message are to be forgotten: retention counts from the provider's time of the message, and
 * from now where the provider gives none.
 */
export function endOfListedRetention(
  retentionMs: number | null,
  media: ReadonlyArray<{ readonly createdAt: Date | null }>,
  now: Date,
): Date | null {
  return endOfRetention(retentionMs, earliest(now, ...media.map(({ createdAt }) => createdAt)) ?? now);
}

/** EXPIRED where its end has come since its row was last touched: the sweep is not there at every moment. */
export function asOf<Known extends Media>(media: Known, now: Date): Known {
  const { status, expiresAt } = media;
  return status === 'READY' && expiresAt !== null && expiresAt <= now ? { ...media, status: 'EXPIRED' } : media;
}
