import type { MeasuredSource } from './measure-window.js';
import { type Found, tracksOf } from './measures.js';

/** Its caches, so that few bytes of a media are in memory at a time. */
const CACHE_BYTES = 8 * 2 ** 20;

/**
 * The length of MP4 and Matroska whose headers do not tell it, as recorders write them that cannot go back (fragments
 * without `mehd`, clusters without `Duration`): from the first to the last of their frames.
 */
export async function measureTracks({ sizeBytes, read }: MeasuredSource): Promise<Found> {
  // It is large, and seldom needed.
  const { CustomSource, Input, MATROSKA, MP4, QTFF, WEBM } = await import('mediabunny');
  const input = new Input({
    formats: [MP4, QTFF, MATROSKA, WEBM],
    source: new CustomSource({
      getSize: () => sizeBytes,
      read: async (start, end) => new Uint8Array(await read(start, end - 1)),
      maxCacheSize: CACHE_BYTES,
    }),
  });
  try {
    const tracks = await input.getTracks();
    const [start, end] = [await input.getFirstTimestamp(), await input.computeDuration()];
    const hasVideo = tracks.some((track) => track.isVideoTrack());
    const hasSound = tracks.some((track) => track.isAudioTrack());
    // What lies before zero is not shown: a codec's delay.
    return { tracks: tracksOf({ hasVideo, hasSound }), durationSeconds: end - Math.max(start, 0) };
  } finally {
    input.dispose();
  }
}
