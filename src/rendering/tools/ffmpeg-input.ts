import { SOURCE_FILE } from './job-folder.js';

/**
 * The input arguments of every call of ffmpeg: one file, by a named demuxer, in one thread, without prompts. References
 * to other files and addresses are not followed.
 * @param streams the options that exclude kinds of streams, such as `-vn`
 */
export function ffmpegInput(demuxer: string, maxPixels: number, streams: readonly string[]): string[] {
  const maxAllocation = 64 * 2 ** 20 + maxPixels * 8;
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', 'error', '-max_alloc', String(maxAllocation)],
    ...['-threads', '1', '-max_pixels', String(maxPixels), ...streams],
    ...['-protocol_whitelist', 'file', '-f', demuxer, '-i', `file:${SOURCE_FILE}`],
  ];
}
