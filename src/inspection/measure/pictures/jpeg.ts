import type { ByteWindow } from '../byte-window.js';
import type { Measures } from '../measures.js';
import { orientationAt, oriented } from './exif.js';

const STRAY_BYTES = 16 * 1024;

/**
 * JPEG (ITU-T T.81, annex B). It reads only the headers of the segments. image-size would have to read and search the
 * hundreds of kilobytes that cameras write before the frame header.
 */
export async function measureJpeg(window: ByteWindow): Promise<Partial<Measures>> {
  if ((await window.exactly(0, 2)).readUInt16BE(0) !== 0xffd8) return {};
  let orientation: number | null | undefined;
  for (let at = 2; ; ) {
    const header = await window.upTo(at, 10);
    const marker = header.readUInt8(1);
    // Decoders skip stray bytes between segments (libjpeg, "next_marker").
    if (header.readUInt8(0) !== 0xff || marker === 0) {
      at = await nextMarker(window, at + 1);
      continue;
    }
    if (isEntropyCoded(marker)) return {};
    if (marker === 0xff) at += 1;
    else if (isStandalone(marker)) at += 2;
    else if (isFrameHeader(marker)) {
      return oriented({ height: header.readUInt16BE(5), width: header.readUInt16BE(7) }, orientation ?? null);
    } else {
      // CIPA DC-008 (EXIF), section 4.7.2. The first EXIF segment counts.
      if (orientation === undefined && marker === 0xe1 && header.toString('latin1', 4, 10) === 'Exif\0\0') {
        orientation = await orientationAt(window, at + 10);
      }
      // A segment's length includes its own two bytes. A smaller value would lead backwards.
      at += 2 + Math.max(header.readUInt16BE(2), 2);
    }
  }
}

/** The offset of the next 0xff. @throws Error when there is none within the window's limits */
async function nextMarker(window: ByteWindow, from: number): Promise<number> {
  for (let at = from; ; ) {
    const bytes = await window.upTo(at, STRAY_BYTES);
    if (bytes.length === 0) throw new Error('expected a marker, got the end of the media');
    const marker = bytes.indexOf(0xff);
    if (marker >= 0) return at + marker;
    at += bytes.length;
  }
}

/** SOF0 to SOF15. The numbers between them that belong to DHT, JPG and DAC are excluded. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** TEM and RSTn, which have no length. */
function isStandalone(marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7);
}

/** SOS or EOI. No frame header follows them. */
function isEntropyCoded(marker: number): boolean {
  return marker === 0xda || marker === 0xd9;
}
