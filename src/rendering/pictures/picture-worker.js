// @ts-check
/*
 * The process in which sharp runs, so that a picture that breaks the decoder, or keeps it busy for ever, harms nothing
 * else. Plain JavaScript, so that it is the same file in the sources, the tests and the build. It has no environment.
 *
 * Out: `{ ready: true }` once. In: tasks, any number at once. Out for each: what was made, or why it cannot be.
 * The types are in `picture-process.ts`.
 */
import sharp from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';

/**
 * @typedef {import('./picture-process.js').PictureTask} PictureTask
 * @typedef {import('./picture-process.js').PictureAnswer} PictureAnswer
 * @typedef {import('../renderer.js').StillSpec} StillSpec
 * @typedef {{ readonly width: number, readonly height: number }} Size
 */

/** More than any animation that people send; each costs a look at its header. */
const MAX_FRAMES = 5_000;
const THUMB_HASH_SIDE = 100;

/** Quick rather than small: the reader waits. AVIF's default takes ten times as long for a tenth fewer bytes. */
const ENCODINGS = /** @type {const} */ ({
  jpeg: { quality: 80 },
  png: {},
  webp: { quality: 80 },
  avif: { quality: 50, effort: 2 },
});

// Each file is read once.
sharp.cache(false);
// Tasks run side by side instead.
sharp.concurrency(1);
// Nothing but what is asked for is ever decoded: no SVG, which opens files, whatever the bytes are.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff'].map((loader) => `VipsForeignLoad${loader}File`),
});

/** @type {(task: PictureTask) => Promise<PictureAnswer>} */
async function answer(task) {
  try {
    return await make(task);
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    if (detail.includes('exceeds pixel limit')) return { refused: 'pixels', detail };
    return { refused: detail.includes('unsupported image format') ? 'type' : 'corrupt', detail };
  }
}

/** @type {(task: PictureTask) => Promise<PictureAnswer>} */
async function make(task) {
  const { path, format, maxPixels } = task;
  // Browsers leave the orientation in a WebP's EXIF alone.
  const upright = task.upright || format === 'webp';
  // What could be decoded is shown, as browsers do with what is cut short.
  const image = sharp(path, { autoOrient: !upright, failOn: 'none', limitInputPixels: maxPixels });
  const header = await image.metadata();
  if (header.format !== format) return { refused: 'type', detail: `got ${header.format}` };
  if ((header.pages ?? 1) > MAX_FRAMES) return { refused: 'frames', detail: `got ${header.pages}` };
  if (task.make === 'check') return { first: header.pagePrimary ?? 0, hasAlpha: header.hasAlpha };
  image.toColourspace('srgb');
  const { width, height } = upright ? header : header.autoOrient;
  if (task.make === 'thumbHash') return { thumbHash: await thumbHash(image), width, height };
  if (task.make === 'base') return { still: await base(image, { width, height }, task) };
  fitInto(image, { width, height }, task);
  const { format: made } = task.spec;
  if (made === 'jpeg') image.flatten({ background: '#ffffff' });
  return { still: await image.toFormat(made, ENCODINGS[made]).toBuffer() };
}

/** @type {(image: import('sharp').Sharp, size: Size, task: { readonly spec: StillSpec, readonly maxSide: number }) => void} */
function fitInto(image, size, { spec: { width, height, fit }, maxSide }) {
  if (height === null || fit === 'contain') {
    image.resize(width, height ?? maxSide, { fit: 'inside', withoutEnlargement: true });
    return;
  }
  // A picture that is too small for it gives the largest piece of that shape.
  const scale = Math.min(1, size.width / width, size.height / height);
  const side = (/** @type {number} */ length) => Math.max(1, Math.round(length * scale));
  image.resize(side(width), side(height), { fit: 'cover' });
}

/**
 * Large enough for every still, so that none has to decode the original again; WebP, since it may be transparent.
 * @type {(image: import('sharp').Sharp, size: Size, task: { readonly side: number, readonly maxSide: number }) => Promise<Buffer>}
 */
async function base(image, { width, height }, { side, maxSide }) {
  const scale = Math.min(1, side / Math.min(width, height), maxSide / Math.max(width, height));
  const scaled = (/** @type {number} */ length) => Math.max(1, Math.round(length * scale));
  image.resize(scaled(width), scaled(height), { fit: 'fill' });
  return await image.webp({ quality: 92, effort: 0 }).toBuffer();
}

/** @type {(image: import('sharp').Sharp) => Promise<string>} */
async function thumbHash(image) {
  const { data, info } = await image
    .resize(THUMB_HASH_SIDE, THUMB_HASH_SIDE, { fit: 'inside', withoutEnlargement: true })
    .ensureAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return Buffer.from(rgbaToThumbHash(info.width, info.height, data)).toString('base64');
}

/** @type {(message: import('./picture-process.js').FromPictureProcess) => void} */
function tell(message) {
  if (process.connected) process.send?.(message);
}

process.on('message', (/** @type {{ id: number, task: PictureTask }} */ { id, task }) => {
  void answer(task).then((made) => tell({ id, answer: made }));
});
// Nobody is left to tell.
process.on('disconnect', () => process.exit());
tell({ ready: true });
