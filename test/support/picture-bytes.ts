import { crc32 } from 'node:zlib';

/** Headers of pictures, by the formats' own specifications; what follows them is left out or empty. */

/** TIFF 6.0, section 2: a directory with a size and an optional orientation; `before` bytes stand in front of it. */
export function tiff(
  order: 'II' | 'MM',
  {
    width,
    height,
    orientation,
    before = 0,
  }: { width?: number; height?: number; orientation?: number; before?: number },
): Buffer {
  const tags: Array<readonly [tag: number, value: number | undefined]> = [
    [256, width],
    [257, height],
    [274, orientation],
  ];
  const entries = tags.flatMap(([tag, value]) => (value === undefined ? [] : [[tag, value] as const]));
  const bytes = Buffer.alloc(8 + before + 2 + entries.length * 12 + 4);
  const short = (value: number, at: number) =>
    order === 'II' ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  const long = (value: number, at: number) =>
    order === 'II' ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  bytes.write(order);
  short(42, 2);
  long(8 + before, 4);
  short(entries.length, 8 + before);
  for (const [index, [tag, value]] of entries.entries()) {
    const at = 10 + before + index * 12;
    short(tag, at);
    // Sides as LONG, the orientation as SHORT.
    short(tag === 274 ? 3 : 4, at + 2);
    long(1, at + 4);
    if (tag === 274) short(value, at + 8);
    else long(value, at + 8);
  }
  return bytes;
}

/** PNG, third edition, section 5: `exif` becomes a chunk `eXIf`. */
export function png(width: number, height: number, exif?: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const chunks = [
    pngChunk('IHDR', header),
    ...(exif ? [pngChunk('eXIf', exif)] : []),
    pngChunk('IDAT'),
    pngChunk('IEND'),
  ];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]);
}

function pngChunk(type: string, content: Buffer = Buffer.alloc(0)): Buffer {
  const chunk = Buffer.alloc(12 + content.length);
  chunk.writeUInt32BE(content.length, 0);
  chunk.write(type, 4);
  content.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + content.length)), 8 + content.length);
  return chunk;
}

/** ITU-T T.81, annex B, up to the frame header: `segments` come before it. */
export function jpeg(width: number, height: number, segments: readonly Buffer[] = [], frameMarker = 0xc0): Buffer {
  const frame = Buffer.alloc(15);
  frame.writeUInt8(8, 0);
  frame.writeUInt16BE(height, 1);
  frame.writeUInt16BE(width, 3);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), ...segments, jpegSegment(frameMarker, frame)]);
}

export function jpegSegment(marker: number, content: Buffer): Buffer {
  const header = Buffer.from([0xff, marker, 0, 0]);
  header.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([header, content]);
}

/** CIPA DC-008, section 4.7.2. */
export function exifSegment(content: Buffer): Buffer {
  return jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), content]));
}

/** GIF89a specification, section 18. */
export function gif(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(14);
  bytes.write('GIF89a');
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(height, 8);
  bytes.writeUInt8(0x3b, 13);
  return bytes;
}

/** RFC 9649, sections 2.5 to 2.7: lossy, lossless, and with a header of its own. */
export function webp(form: 'VP8 ' | 'VP8L' | 'VP8X', width: number, height: number): Buffer {
  const content = Buffer.alloc(10);
  if (form === 'VP8 ') {
    content.set([0x10, 0, 0, 0x9d, 0x01, 0x2a]);
    content.writeUInt16LE(width, 6);
    content.writeUInt16LE(height, 8);
  } else if (form === 'VP8L') {
    content.writeUInt8(0x2f, 0);
    content.writeUInt32LE(((height - 1) << 14) | (width - 1), 1);
  } else {
    content.writeUIntLE(width - 1, 4, 3);
    content.writeUIntLE(height - 1, 7, 3);
  }
  const bytes = Buffer.concat([Buffer.from(`RIFF\0\0\0\0WEBP${form}\0\0\0\0`, 'latin1'), content]);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.writeUInt32LE(content.length, 16);
  return bytes;
}

/** BITMAPINFOHEADER; a negative height stands for rows from the top. */
export function bmp(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(54);
  bytes.write('BM');
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(width, 18);
  bytes.writeInt32LE(height, 22);
  return bytes;
}

/** BITMAPCOREHEADER. */
export function coreBmp(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(40, 0xee);
  bytes.write('BM');
  bytes.writeUInt32LE(12, 14);
  bytes.writeUInt16LE(width, 18);
  bytes.writeUInt16LE(height, 20);
  return bytes;
}
