import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';
import { directoryAt, oriented } from './exif.js';

/**
 * TIFF 6.0. image-size would need the whole file, since the directory may be at its end, and ignores the orientation.
 */
export async function measureTiff(window: ByteWindow): Promise<Partial<Measures>> {
  const tags = await directoryAt(window, 0);
  return oriented({ width: tags.get(256), height: tags.get(257) }, tags.get(274) ?? null);
}
