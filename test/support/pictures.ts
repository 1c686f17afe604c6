import { Readable } from 'node:stream';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import type { RenderSource } from '../../src/rendering/renderer.js';

/** Pictures and documents for the renderer, the smallest that show what they are for. */

export const WIDTH = 60;
export const HEIGHT = 40;

const COLOURS = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255], white: [255, 255, 255] } as const;

type Colour = keyof typeof COLOURS;

/** Top left, top right, bottom left, bottom right. */
export type Quarters = readonly [Colour, Colour, Colour, Colour];

export const UPRIGHT: Quarters = ['red', 'green', 'blue', 'white'];

/** 60 by 40 pixels, a colour in each quarter. */
export function quarters(colours: Quarters = UPRIGHT): Sharp {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++) {
      const colour = colours[(y < HEIGHT / 2 ? 0 : 2) + (x < WIDTH / 2 ? 0 : 1)] ?? 'white';
      pixels.set(COLOURS[colour], (y * WIDTH + x) * 3);
    }
  return sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
}

/** What a picture shows, as far as these colours go, and how large. */
export async function seen(bytes: Buffer): Promise<{ width: number; height: number; quarters: Colour[] }> {
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const at = (x: number, y: number): Colour => {
    const start = (Math.floor(y * height) * width + Math.floor(x * width)) * channels;
    return nearest(data.subarray(start, start + 3));
  };
  return { width, height, quarters: [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)] };
}

function nearest(pixel: Buffer): Colour {
  const distances = Object.entries(COLOURS).map(([name, colour]) => ({
    name,
    distance: [0, 1, 2].reduce((sum, index) => sum + Math.abs((colour[index] ?? 0) - (pixel[index] ?? 0)), 0),
  }));
  const found = distances.sort((one, other) => one.distance - other.distance)[0];
  if (!found || !isColour(found.name)) throw new Error('expected a colour');
  return found.name;
}

function isColour(name: string): name is Colour {
  return name in COLOURS;
}

/** Texts that stand in a picture's metadata and may stand nowhere else. */
export const CANARIES = ['canary-exif', 'canary-xmp', 'canary-iptc', 'canary-comment'];

/** A photo with all that cameras and programs write beside it: place, author, captions, a profile of wide colours. */
export async function photoWithMetadata(): Promise<Buffer> {
  const jpeg = await quarters()
    .withIccProfile('p3')
    .withExif({
      IFD0: { ImageDescription: 'canary-exif' },
      IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '52/1 30/1 0/1', GPSLongitudeRef: 'E', GPSLongitude: '13/1 24/1 0/1' },
    })
    .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>canary-xmp</a></x:xmpmeta>')
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toBuffer();
  // Behind the start of the image (ITU-T T.81 section B.1.1.3): APP13 with a caption, and a comment.
  const caption = Buffer.concat([Buffer.from([0x1c, 0x02, 0x78, 0, 11]), Buffer.from('canary-iptc\0')]);
  const iptc = Buffer.concat([
    Buffer.from('Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0', 'latin1'),
    Buffer.from([caption.length - 1]),
    caption,
  ]);
  return Buffer.concat([
    jpeg.subarray(0, 2),
    jpegSegment(0xed, iptc),
    jpegSegment(0xfe, Buffer.from('canary-comment')),
    jpeg.subarray(2),
  ]);
}

function jpegSegment(marker: number, payload: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(payload.length + 2, 2);
  return Buffer.concat([head, payload]);
}

/** A PNG of these chunks (RFC 2083 section 3.2), valid or not. */
export function pngOf(...chunks: ReadonlyArray<readonly [type: string, data: Buffer]>): Buffer {
  const parts = chunks.map(([type, data]) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  });
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

/** Eight bits of grey a pixel (RFC 2083 section 4.1.1). */
export function pngHeader(width: number, height: number): [type: string, data: Buffer] {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.writeUInt8(8, 8);
  return ['IHDR', header];
}

/** A few kilobytes that become so many zeros. */
export function inflating(bytes: number): Buffer {
  return deflateSync(Buffer.alloc(bytes), { level: 1 });
}

/** One pixel, so many frames (GIF89a sections 18 to 23). */
export function gifOfFrames(count: number): Buffer {
  const screen = Buffer.from([1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
  const control = Buffer.from([0x21, 0xf9, 4, 0, 1, 0, 0, 0]);
  const image = Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]);
  const frames = Array.from({ length: count }, () => Buffer.concat([control, image]));
  return Buffer.concat([Buffer.from('GIF89a'), screen, ...frames, Buffer.from([0x3b])]);
}

/** One page of so many points, its upper half red (ISO 32000-1 section 7). `encrypted`: with an unknown password. */
export function pdfOf(width: number, height: number, { encrypted = false }: { encrypted?: boolean } = {}): Buffer {
  const content = `1 0 0 rg 0 ${height / 2} ${width} ${height / 2} re f`;
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    `<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${width} ${height}]/Resources<<>>/Contents 4 0 R>>`,
    `<</Length ${content.length}>>\nstream\n${content}\nendstream`,
    `<</Filter/Standard/V 1/R 2/P -4/O<${'5a'.repeat(32)}>/U<${'a5'.repeat(32)}>>>`,
  ];
  let text = '%PDF-1.4\n';
  const offsets = objects.map((object, index) => {
    const offset = text.length;
    text += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const locked = encrypted ? `/Encrypt 5 0 R/ID[<${'00'.repeat(16)}><${'00'.repeat(16)}>]` : '';
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`;
  return Buffer.from(
    `${text}${table}trailer\n<</Size ${objects.length + 1}/Root 1 0 R${locked}>>\nstartxref\n${text.length}\n%%EOF\n`,
  );
}

/** What a job is given: these bytes. */
export function sourceOf(bytes: Buffer, mimeType: string): RenderSource {
  return { mimeType, open: async () => Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false }) };
}
