import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';

/** Directories are sorted by tag, and the tags that are read here come early. */
const MAX_ENTRIES = 512;

/** The size as shown: EXIF orientations 5 to 8 turn it on its side (CIPA DC-008, section 4.6.5.1, tag 274). */
export function oriented(size: Partial<Measures>, orientation: number | null): Partial<Measures> {
  const isOnItsSide = orientation !== null && orientation >= 5 && orientation <= 8;
  return isOnItsSide ? { width: size.height, height: size.width } : size;
}

/** The EXIF orientation. Null where EXIF is malformed: browsers then show the picture unturned. */
export async function orientationAt(window: ByteWindow, start: number): Promise<number | null> {
  try {
    return (await directoryAt(window, start)).get(274) ?? null;
  } catch (thrown) {
    if (window.failure !== null) throw thrown;
    return null;
  }
}

/** The first directory of a TIFF, which EXIF is too (TIFF 6.0, section 2): the entries that hold one SHORT or LONG. */
export async function directoryAt(window: ByteWindow, start: number): Promise<Map<number, number>> {
  const header = await window.exactly(start, 8);
  const order = header.toString('latin1', 0, 2);
  if (order !== 'II' && order !== 'MM') return new Map();
  const short = (bytes: Buffer, at: number) => (order === 'II' ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const long = (bytes: Buffer, at: number) => (order === 'II' ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  if (short(header, 2) !== 42) return new Map();
  const directory = start + long(header, 4);
  const count = Math.min(short(await window.exactly(directory, 2), 0), MAX_ENTRIES);
  const entries = await window.upTo(directory + 2, count * 12);
  const values = new Map<number, number>();
  for (let at = 0; at + 12 <= entries.length; at += 12) {
    const [tag, type] = [short(entries, at), short(entries, at + 2)];
    if (long(entries, at + 4) !== 1) continue;
    if (type === 3) values.set(tag, short(entries, at + 8));
    else if (type === 4) values.set(tag, long(entries, at + 8));
  }
  return values;
}
