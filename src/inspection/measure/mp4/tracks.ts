import { type Found, tracksOf } from '../measures.js';
import type { MeasuredSource } from '../window.js';

/** Its caches, so that few bytes of a media are in memory at a time. */
const CACHE_BYTES = 8 * 2 ** 20;

/**
 * The length of an MP4 whose headers do not tell it, as recorders write it that cannot go back (fragments without
 * `mehd`): from the first to the last of its frames.
 */
export async function measureTracks({ sizeBytes, read }: MeasuredSource): Promise<Found> {
  // It is large, and seldom needed.
  const { CustomSource, Input, MP4, QTFF } = await import('mediabunny');
  const input = new Input({
    formats: [MP4, QTFF],
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
