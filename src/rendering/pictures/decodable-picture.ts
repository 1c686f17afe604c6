import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { DOCUMENT, HEIF_PICTURES, PICTURES, type PictureFormat, SEQUENCES, VIDEOS } from '../media-formats.js';
import { Unrenderable } from '../renderer.js';
import { ffmpegInput } from '../tools/ffmpeg-input.js';
import { SOURCE_FILE } from '../tools/job-folder.js';
import { type Job, runForJob, type Workshop } from '../tools/workshop.js';

/** A file that sharp decodes. `upright`: nothing that the file says about its orientation is left to be done. */
export interface DecodablePicture {
  readonly path: string;
  readonly format: PictureFormat;
  readonly upright: boolean;
}

/** Of a page, whose size is in centimetres. */
const MAX_PAGE_SIDE = 4_096;

/**
 * The original itself, or its first frame or page as a PNG beside it.
 * @param side of the square that the result is to fill
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

/** A sequence whose file has no picture beside it is told by its header, which sharp makes nothing of. */
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
  // Where neither makes anything of it, the verdict is that on the picture.
  return await frameOf(demuxer, tools.ffmpeg, job, workshop).catch((thrown: unknown) => {
    if (thrown instanceof Unrenderable) return picture;
    throw thrown;
  });
}

/** The first frame, turned as the file says, with square pixels: where they are not, the longer side gives way. */
async function frameOf(demuxer: string, ffmpeg: string, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  const square = "scale='max(1,trunc(iw*min(1,sar)))':'max(1,trunc(ih/max(1,sar)))'";
  const args = [
    ...ffmpegInput(demuxer, workshop.maxPixels, ['-an', '-sn', '-dn']),
    // V: no picture that is only attached.
    ...['-map', '0:V:0', '-frames:v', '1', '-filter_threads', '1', '-vf', square],
    ...['-c:v', 'png', '-pix_fmt', 'rgb24', '-compression_level', '1', '-f', 'image2', '-update', '1', 'frame.png'],
  ];
  await runForJob(ffmpeg, args, job, workshop);
  return await firstThatIs(['frame.png'], 'png', job);
}

/** Scaled to a square of pixels, so that the size of the paper is of no account. */
async function pageOf(side: number, pdftoppm: string, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  // Twice, so that a page that is no square fills one with its shorter side too.
  const scale = Math.min(2 * side, MAX_PAGE_SIDE, Math.floor(Math.sqrt(workshop.maxPixels)));
  const args = ['-f', '1', '-l', '1', '-singlefile', '-png', '-scale-to', String(scale), SOURCE_FILE, 'page'];
  // Its memory is that of the page, however much may be asked for of pictures.
  await runForJob(pdftoppm, args, job, { ...workshop, maxPixels: Math.min(workshop.maxPixels, MAX_PAGE_SIDE ** 2) });
  return await firstThatIs(['page.png'], 'png', job);
}

/** Of what is only decoded to be scaled down. */
const JPEG_QUALITY = '95';

/**
 * The header is judged before anything is decoded. What the decoder writes is upright, though it may still carry an EXIF
 * orientation: HEIF has its own, and EXIF's is of no account (ISO/IEC 23008-12 section A.2.2). JPEG takes a fifth of the
 * time, and unlike PNG is written whatever the colour profile is (libpng refuses one of another length than it says, as
 * Samsung's phones write); PNG is for what is transparent.
 */
async function fromHeif(heifConvert: string, job: Job, workshop: Workshop): Promise<DecodablePicture> {
  const { maxPixels, pictures } = workshop;
  const path = join(job.folder, SOURCE_FILE);
  const { first, hasAlpha } = await pictures.check({ path, format: 'heif', upright: true, maxPixels });
  // A file of several pictures gives as many, counted from 1.
  const names = (extension: string) => [`still.${extension}`, `still-${first + 1}.${extension}`];
  if (hasAlpha) {
    try {
      await runForJob(heifConvert, [SOURCE_FILE, 'still.png'], job, workshop);
      return await firstThatIs(names('png'), 'png', job);
    } catch (thrown) {
      if (!(thrown instanceof Unrenderable)) throw thrown;
    }
  }
  await runForJob(heifConvert, ['-q', JPEG_QUALITY, SOURCE_FILE, 'still.jpg'], job, workshop);
  return await firstThatIs(names('jpg'), 'jpeg', job);
}

async function firstThatIs(
  names: readonly string[],
  format: PictureFormat,
  { folder, essence }: Job,
): Promise<DecodablePicture> {
  for (const path of names.map((name) => join(folder, name)))
    if (await isThere(path)) return { path, format, upright: true };
  throw new Unrenderable(`expected a picture in a file of the type ${essence}, got none`);
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
