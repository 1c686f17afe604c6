import { SOURCE_FILE } from './job-folder.js';

/**
 * What every call of ffmpeg begins with: it opens this one file, by this one demuxer, in one thread, and asks nothing.
 * What a file says about other files and addresses is not followed.
 * @param streams the kinds that are not looked at: `-vn` and its like
 */
export function ffmpegInput(demuxer: string, maxPixels: number, streams: readonly string[]): string[] {
  const maxAllocation = 64 * 2 ** 20 + maxPixels * 8;
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-max_alloc', String(maxAllocation)],
    ...['-threads', '1', '-max_pixels', String(maxPixels), ...streams],
    ...['-protocol_whitelist', 'file', '-f', demuxer, '-i', `file:${SOURCE_FILE}`],
  ];
}
