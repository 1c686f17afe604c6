// @ts-check
/*
 * The process in which sharp runs. A picture that crashes the decoder, or on which it hangs, harms nothing else. It is
 * plain JavaScript, so that it is the same file in the sources, the tests and the build. It has no environment
 * variables.
 *
 * It sends `{ ready: true }` once, and then receives any number of tasks at once. It answers each with its result or
 * with the reason why there is none. The types are in `picture-process.ts`.
 */
import sharp from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';

/**
 * @typedef {import('./picture-process.js').PictureTask} PictureTask
 * @typedef {import('./picture-process.js').PictureAnswer} PictureAnswer
 * @typedef {import('../renderer.js').StillSpec} StillSpec
 * @typedef {{ readonly width: number, readonly height: number }} Size
 */

/** Above any animation that people send. Each frame costs the parsing of its header. */
const MAX_FRAMES = 5_000;
const THUMB_HASH_SIDE = 100;

/**
 * Fast rather than small, since a reader waits. AVIF's default effort takes ten times as long and saves a tenth of the
 * bytes.
 */
const ENCODINGS = /** @type {const} */ ({
  jpeg: { quality: 80 },
  png: {},
  webp: { quality: 80 },
  avif: { quality: 50, effort: 2 },
});

// Each file is read once, so a cache would not help.
sharp.cache(false);
// One thread per task, since tasks run side by side.
sharp.concurrency(1);
// Only the loaders in use are allowed. Others, such as SVG, open further files that the bytes name.
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
  // Browsers ignore the orientation in a WebP's EXIF.
  const upright = task.upright || format === 'webp';
  // A picture that is cut short is rendered as far as it decodes, as browsers do.
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
  const { format: target } = task.spec;
  if (target === 'jpeg') image.flatten({ background: '#ffffff' });
  return { still: await image.toFormat(target, ENCODINGS[target]).toBuffer() };
}

/**
 * @type {(image: import('sharp').Sharp, size: Size, task: { readonly spec: StillSpec, readonly maxSide: number }) =>
 *   void}
 */
function fitInto(image, size, { spec: { width, height, fit }, maxSide }) {
  if (height === null || fit === 'contain') {
    image.resize(width, height ?? maxSide, { fit: 'inside', withoutEnlargement: true });
    return;
  }
  // A picture that is too small gives its largest part of the requested shape.
  const scale = Math.min(1, size.width / width, size.height / height);
  const side = (/** @type {number} */ length) => Math.max(1, Math.round(length * scale));
  image.resize(side(width), side(height), { fit: 'cover' });
}

/**
 * The base: large enough for every still, so that the original is decoded once. It is WebP, since it may be
 * transparent.
 * @type {(image: import('sharp').Sharp, size: Size, task: { readonly side: number, readonly maxSide: number }) =>
 *   Promise<Buffer>}
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
function send(message) {
  if (process.connected) process.send?.(message);
}

process.on('message', (/** @type {{ id: number, task: PictureTask }} */ { id, task }) => {
  void answer(task).then((result) => send({ id, answer: result }));
});
// The parent process is gone.
process.on('disconnect', () => process.exit());
send({ ready: true });
