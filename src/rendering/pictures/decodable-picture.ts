import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { DOCUMENT, HEIF_PICTURES, PICTURES, type PictureFormat, SEQUENCES, VIDEOS } from '../media-formats.js';
import { Unrenderable } from '../renderer.js';
import { ffmpegInput } from '../tools/ffmpeg-input.js';
import { SOURCE_FILE } from '../tools/job-folder.js';
import { type Job, runForJob, type Workshop } from '../tools/workshop.js';

/** A file that sharp decodes. */
export interface DecodablePicture {
  readonly path: string;
  readonly format: PictureFormat;
  /** True: the orientation in the file's metadata has been applied already. */
  readonly upright: boolean;
}

/** The limit in pixels for a page, whose own size is in centimetres. */
const MAX_PAGE_SIDE = 4_096;

/**
 * The original itself, or its first frame or page as a picture beside it in the job's folder.
 * @param side the side of the square that a page has to fill
 * @throws Unrenderable
 */
export async function decodablePicture(job: Job, side: number, workshop: Workshop): Promise<DecodablePicture> {
  const { essence } = job;
  const { ffmpeg, pdftoppm, heifConvert } = workshop.tools;
  const format = PICTURES.get(essence);
  if (format !== undefined) return await pictureOrSequence(format, job, workshop);
  const demuxer = VIDEOS.get(essence);
  if (demuxer !== undefined && ffmpeg !== null) return await frameOf(demuxer, ffmpeg, job, workshop);
  if (essence === DOCUMENT && pdftoppm !== null) return await pageOf(side, pdftoppm, job, workshop);
  if (HEIF_PICTURES.has(essence) && heifConvert !== null) return await fromHeif(heifConvert, job, workshop);
  throw new RangeError(`expected a type of which stills are made here, got ${essence}`);
}

/** The original as a picture, or the first frame of a sequence without a picture, whose header sharp cannot read. */
async function pictureOrSequence(format: PictureFormat, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  const picture: DecodablePicture = { path: join(job.folder, SOURCE_FILE), format, upright: false };
  const demuxer = SEQUENCES.get(job.essence);
  const { maxPixels, pictures, tools } = workshop;
  if (demuxer === undefined || tools.ffmpeg === null) return picture;
  const isPicture = await pictures.check({ ...picture, maxPixels }).then(
    () => true,
    (thrown: unknown) => {
      if (thrown instanceof Unrenderable) return false;
      throw thrown;
    },
  );
  if (isPicture) return picture;
  // Where ffmpeg cannot decode it either, sharp's error on the picture is the better one.
  return await frameOf(demuxer, tools.ffmpeg, job, workshop).catch((thrown: unknown) => {
    if (thrown instanceof Unrenderable) return picture;
    throw thrown;
  });
}

/** The first frame, turned as the file says. Pixels that are not square are made so by shrinking the longer side. */
async function frameOf(demuxer: string, ffmpeg: string, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  const square = "scale='max(1,trunc(iw*min(1,sar)))':'max(1,trunc(ih/max(1,sar)))'";
  const args = [
    ...ffmpegInput(demuxer, workshop.maxPixels, ['-an', '-sn', '-dn']),
    // `V` excludes attached pictures.
    ...['-map', '0:V:0', '-frames:v', '1', '-filter_threads', '1', '-vf', square],
    ...['-c:v', 'png', '-pix_fmt', 'rgb24', '-compression_level', '1', '-f', 'image2', '-update', '1', 'frame.png'],
  ];
  await runForJob(ffmpeg, args, job, workshop);
  return await firstExisting(['frame.png'], 'png', job);
}

/** The first page, scaled to pixels whatever its paper size is. */
async function pageOf(side: number, pdftoppm: string, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  // Twice the side, so that the shorter side of a page that is not square fills the square too.
  const scale = Math.min(2 * side, MAX_PAGE_SIDE, Math.floor(Math.sqrt(workshop.maxPixels)));
  const args = ['-f', '1', '-l', '1', '-singlefile', '-png', '-scale-to', String(scale), SOURCE_FILE, 'page'];
  // The memory limit follows the page's pixels, which may be far fewer than the limit for pictures.
  await runForJob(pdftoppm, args, job, { ...workshop, maxPixels: Math.min(workshop.maxPixels, MAX_PAGE_SIDE ** 2) });
  return await firstExisting(['page.png'], 'png', job);
}

/** The quality of an intermediate picture, which is only scaled down afterwards. */
const JPEG_QUALITY = '95';

/**
 * A decoded HEIF. The header is checked before anything is decoded. The result is upright even if it still carries an
 * EXIF orientation, which HEIF ignores in favour of its own (ISO/IEC 23008-12 section A.2.2). Only transparent pictures
 * become PNG: JPEG takes a fifth of the time, and is written with any colour profile, while libpng refuses profiles
 * with a wrong length, as Samsung's phones write them.
 */
async function fromHeif(heifConvert: string, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  const { maxPixels, pictures } = workshop;
  const path = join(job.folder, SOURCE_FILE);
  const { first, hasAlpha } = await pictures.check({ path, format: 'heif', upright: true, maxPixels });
  // heif-convert writes a file with several pictures as several files, numbered from 1.
  const names = (extension: string) => [`still.${extension}`, `still-${first + 1}.${extension}`];
  if (hasAlpha) {
    try {
      await runForJob(heifConvert, [SOURCE_FILE, 'still.png'], job, workshop);
      return await firstExisting(names('png'), 'png', job);
    } catch (thrown) {
      if (!(thrown instanceof Unrenderable)) throw thrown;
    }
  }
  await runForJob(heifConvert, ['-q', JPEG_QUALITY, SOURCE_FILE, 'still.jpg'], job, workshop);
  return await firstExisting(names('jpg'), 'jpeg', job);
}

async function firstExisting(
  names: readonly string[],
  format: PictureFormat,
  { folder, essence }: Job,
): Promise<DecodablePicture> {
  for (const path of names.map((name) => join(folder, name)))
    if (await exists(path)) return { path, format, upright: true };
  throw new Unrenderable(`expected a picture in a file of the type ${essence}, got none`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
