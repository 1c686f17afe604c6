import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';
import { orientationAt, oriented } from './exif.js';
import { measureFirstBytes } from './first-bytes.js';

/** PNG, third edition: an `eXIf` chunk (section 11.3.4.5) may turn the picture. */
export async function measurePng(window: ByteWindow): Promise<Partial<Measures>> {
  const size = await measureFirstBytes(window);
  for (let at = 8; at + 12 <= window.sizeBytes; ) {
    const header = await window.exactly(at, 8);
    const type = header.toString('latin1', 4, 8);
    if (type === 'eXIf') return oriented(size, await orientationAt(window, at + 8));
    if (type === 'IDAT') break;
    at += 12 + header.readUInt32BE(0);
  }
  return size;
}
