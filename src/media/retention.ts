import { addMilliseconds } from '../model/clock.js';
import type { Media } from '../model/media.js';

/** When media that becomes known now is to be forgotten; null = when it is deleted. */
export function endOfRetention(retentionMs: number | null, now: Date): Date | null {
  return retentionMs === null ? null : addMilliseconds(now, retentionMs);
}

/** EXPIRED where its end has come since its row was last touched: the sweep is not there at every moment. */
export function asOf<Known extends Media>(media: Known, now: Date): Known {
  const { status, expiresAt } = media;
  return status === 'READY' && expiresAt !== null && expiresAt <= now ? { ...media, status: 'EXPIRED' } : media;
}
