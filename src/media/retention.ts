import { addMilliseconds } from '../model/clock.js';
import type { Media } from '../model/media.js';

/** The end of the retention of media that becomes known now; null if it has no end. */
export function endOfRetention(retentionMs: number | null, now: Date): Date | null {
  return retentionMs === null ? null : addMilliseconds(now, retentionMs);
}

/** EXPIRED if the retention has ended since the last change of the row, because the sweep runs only at intervals. */
export function asOf<Known extends Media>(media: Known, now: Date): Known {
  const { status, expiresAt } = media;
  return status === 'READY' && expiresAt !== null && expiresAt <= now ? { ...media, status: 'EXPIRED' } : media;
}
