import { imageSize } from 'image-size';
import type { Measures } from './measures.js';
import type { ByteWindow } from './window.js';

/** All that GIF, WebP, BMP and PNG need, and so little that no search in it can take long. */
const HEADER_BYTES = 64;

const STRAY_BYTES = 16 * 1024;

/** WebP as Chromium shows it: it leaves the orientation in a WebP's EXIF alone. */
export async function measureByHeader(window: ByteWindow): Promise<Partial<Measures>> {
  const header = await window.upTo(0, HEADER_BYTES);
  // BITMAPCOREHEADER (Windows GDI, "Bitmap Header Types"): sides of 16 bits, where image-size reads 32.
  if (header.toString('latin1', 0, 2) === 'BM' && header.readUInt32LE(14) === 12) {
    return { width: header.readUInt16LE(18), height: header.readUInt16LE(20) };
  }
  const { width, height } = imageSize(header);
  return { width, height };
}

/** PNG, third edition: a chunk `eXIf` (section 11.3.4.5) may turn the picture. */
export async function measurePng(window: ByteWindow): Promise<Partial<Measures>> {
  const size = await measureByHeader(window);
  for (let at = 8; at + 12 <= window.sizeBytes; ) {
    const header = await window.exactly(at, 8);
    const type = header.toString('latin1', 4, 8);
    if (type === 'eXIf') return turned(size, await orientationAt(window, at + 8));
    if (type === 'IDAT') break;
    at += 12 + header.readUInt32BE(0);
  }
  return size;
}

/**
 * JPEG (ITU-T T.81, annex B): only the headers of its segments, so that the hundreds of kilobytes that cameras put before
 * the frame header are neither read nor searched, as image-size must.
 */
export async function measureJpeg(window: ByteWindow): Promise<Partial<Measures>> {
  if ((await window.exactly(0, 2)).readUInt16BE(0) !== 0xffd8) return {};
  let orientation: number | null | undefined;
  for (let at = 2; ; ) {
    const header = await window.upTo(at, 10);
    const marker = header.readUInt8(1);
    // Stray bytes between segments, which decoders pass over: libjpeg, "next_marker".
    if (header.readUInt8(0) !== 0xff || marker === 0) {
      at = await nextMarker(window, at + 1);
      continue;
    }
    if (isEntropyCoded(marker)) return {};
    if (marker === 0xff) at += 1;
    else if (isAlone(marker)) at += 2;
    else if (isFrameHeader(marker)) {
      return turned({ height: header.readUInt16BE(5), width: header.readUInt16BE(7) }, orientation ?? null);
    } else {
      // CIPA DC-008 (EXIF), section 4.7.2; the first counts.
      if (orientation === undefined && marker === 0xe1 && header.toString('latin1', 4, 10) === 'Exif\0\0') {
        orientation = await orientationAt(window, at + 10);
      }
      // A length counts its own two bytes; less would lead back.
      at += 2 + Math.max(header.readUInt16BE(2), 2);
    }
  }
}

/** Where the next 0xff stands. @throws Error: there is none in what may be read */
async function nextMarker(window: ByteWindow, from: number): Promise<number> {
  for (let at = from; ; ) {
    const bytes = await window.upTo(at, STRAY_BYTES);
    if (bytes.length === 0) throw new Error('expected a marker');
    const found = bytes.indexOf(0xff);
    if (found >= 0) return at + found;
    at += bytes.length;
  }
}

/** TIFF 6.0: image-size would need the whole file, as its directory may be at the end, and knows no orientation. */
export async function measureTiff(window: ByteWindow): Promise<Partial<Measures>> {
  const tags = await directoryAt(window, 0);
  return turned({ width: tags.get(256), height: tags.get(257) }, tags.get(274) ?? null);
}

/** SOF0 to SOF15; DHT, JPG and DAC have numbers among them. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** TEM and RSTn: no length follows. */
function isAlone(marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7);
}

/** SOS, or EOI: no frame header came before, and none comes after. */
function isEntropyCoded(marker: number): boolean {
  return marker === 0xda || marker === 0xd9;
}

/** EXIF orientations 5 to 8 lie on their sides (CIPA DC-008, section 4.6.5.1, tag 274). */
function turned(size: Partial<Measures>, orientation: number | null): Partial<Measures> {
  const isOnItsSide = orientation !== null && orientation >= 5 && orientation <= 8;
  return isOnItsSide ? { width: size.height, height: size.width } : size;
}

/** A picture with broken EXIF is shown all the same, unturned. */
async function orientationAt(window: ByteWindow, start: number): Promise<number | null> {
  try {
    return (await directoryAt(window, start)).get(274) ?? null;
  } catch (thrown) {
    if (window.failure !== null) throw thrown;
    return null;
  }
}

/** Directories are sorted by tag; what is looked for is far in front. */
const MAX_ENTRIES = 512;

/** The first directory of a TIFF, section 2: the values of entries that are one SHORT or LONG. */
async function directoryAt(window: ByteWindow, start: number): Promise<Map<number, number>> {
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
