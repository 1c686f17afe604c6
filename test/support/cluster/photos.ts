import { createHash } from 'node:crypto';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';

const { photo } = loadMediaSamples();
const LARGE_EVERY = 20;
const LARGE_BYTES = 300_000;

/** Photo number `index`, the same in every process. No two photos are equal, and every twentieth is large. */
export function photoBytes(index: number): Buffer {
  const name = Buffer.from(`photo ${index} `);
  return Buffer.concat([photo.bytes, index % LARGE_EVERY === 0 ? Buffer.alloc(LARGE_BYTES, name) : name]);
}

export const PHOTO_TYPE = photo.mimeType;

/** Lower-case hexadecimal. */
export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
