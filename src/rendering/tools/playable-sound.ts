import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SOUNDS } from '../media-formats.js';
import { ffmpegInput } from './ffmpeg-input.js';
import { type Job, runForJob, type Workshop } from './workshop.js';

const RESULT_FILE = 'playable.m4a';

/**
 * The first audio stream as AAC-LC in MP4, at a sample rate that every player supports.
 * @returns the open file, which outlives the job's folder
 * @throws Unrenderable
 */
export async function playableSound(job: Job, workshop: Workshop): Promise<FileHandle> {
  const { ffmpeg } = workshop.tools;
  const demuxer = SOUNDS.get(job.essence);
  if (demuxer === undefined || ffmpeg === null)
    throw new RangeError(`expected a type of which playable sound is made here, got ${job.essence}`);
  const input = [...ffmpegInput(demuxer, workshop.maxPixels, ['-vn', '-sn', '-dn']), '-map', '0:a:0'];
  const channels = (await isMono(ffmpeg, input, job, workshop))
    ? ['-ac', '1', '-b:a', '64k']
    : ['-ac', '2', '-b:a', '96k'];
  const metadata = ['-map_metadata', '-1', '-map_chapters', '-1', '-fflags', '+bitexact', '-flags:a', '+bitexact'];
  const output = ['-c:a', 'aac', '-profile:a', 'aac_low', '-ar', '48000', ...channels, ...metadata];
  // `ipod` is MP4 with the brand of files that hold only sound.
  await runForJob(ffmpeg, [...input, ...output, '-movflags', '+faststart', '-f', 'ipod', RESULT_FILE], job, workshop);
  return await open(join(job.folder, RESULT_FILE));
}

/** Reads the header of ffmpeg's "framehash" output, whose format is stable for programs (ffmpeg-formats). */
async function isMono(ffmpeg: string, input: readonly string[], job: Job, workshop: Workshop): Promise<boolean> {
  const list = ['-c', 'copy', '-frames:a', '1', '-f', 'framehash', '-hash', 'crc32', '-'];
  const printed = await runForJob(ffmpeg, [...input, ...list], job, workshop);
  return /^#channel_layout_name 0: (mono|1 channels)$/m.test(printed);
}
