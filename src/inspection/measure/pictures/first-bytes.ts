import { imageSize } from 'image-size';
import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';

/** Enough for GIF, WebP, BMP and PNG, and so little that no search within it takes long. */
const HEADER_BYTES = 64;

/** GIF, WebP and BMP by their first bytes. A WebP's EXIF orientation is ignored, as Chromium ignores it. */
export async function measureFirstBytes(window: ByteWindow): Promise<Partial<Measures>> {
  const header = await window.upTo(0, HEADER_BYTES);
  // BITMAPCOREHEADER (Windows GDI, "Bitmap Header Types") has sides of 16 bits; image-size reads 32.
  if (header.toString('latin1', 0, 2) === 'BM' && header.readUInt32LE(14) === 12) {
    return { width: header.readUInt16LE(18), height: header.readUInt16LE(20) };
  }
  // A copy with a memory of its own: of a short header, image-size reads on in the memory that a Buffer shares with
  // others.
  const { width, height } = imageSize(new Uint8Array(header));
  return { width, height };
}
