import type { MeasuredSource } from '../byte-window.js';
import { type RawMeasures, trackKindOf } from '../measures.js';

/** Bounds the library's caches, so that few bytes of a media are in memory at a time. */
const CACHE_BYTES = 8 * 2 ** 20;

/**
 * The length of an MP4 from its first to its last frame. Recorders that cannot seek back write fragments without
 * `mehd`, so that no header tells it.
 */
export async function measureMovieFrames({ sizeBytes, read }: MeasuredSource): Promise<RawMeasures> {
  // The library is large and seldom needed, so it is loaded on demand.
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
    // Frames before zero are a codec's delay and are not shown.
    return { trackKind: trackKindOf({ hasVideo, hasSound }), durationSeconds: end - Math.max(start, 0) };
  } finally {
    input.dispose();
  }
}
