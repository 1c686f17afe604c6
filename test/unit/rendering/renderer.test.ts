import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import sharp from 'sharp';
import { rgbaToThumbHash, thumbHashToApproximateAspectRatio } from 'thumbhash';
import { type Renderer, type StillSpec, Unrenderable } from '../../../src/rendering/renderer.js';
import { startRenderer } from '../../../src/rendering/start-renderer.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import {
  CANARIES,
  gifOfFrames,
  HEIGHT,
  inflating,
  photoWithMetadata,
  pngHeader,
  pngOf,
  type Quarters,
  quarters,
  seen,
  sourceOf,
  UPRIGHT,
  WIDTH,
} from '../../support/pictures.js';

const MEBIBYTE = 2 ** 20;
const MAX_PIXELS = 1_000_000;
const FORMATS = ['jpeg', 'png', 'webp', 'avif'] as const;
/** The whole of the small pictures of these tests, without loss. */
const WHOLE: StillSpec = { width: 500, height: null, fit: 'contain', format: 'png' };

let renderer: Renderer;

beforeAll(async () => {
  renderer = await startRenderer({
    concurrency: 4,
    timeoutMs: 20_000,
    maxPixels: MAX_PIXELS,
    maxSourceBytes: 4 * MEBIBYTE,
    logger: createLogger({ level: 'silent' }),
    // No tools: everything here is sharp's.
    path: '/nonexistent',
  });
});

afterAll(async () => {
  await renderer.close();
  expect(await ownFolders()).toEqual([]);
});

async function ownFolders(): Promise<string[]> {
  const names = await readdir(join(tmpdir(), 'mediagraph-render'));
  return names.filter((name) => name.startsWith(`${process.pid}-`));
}

async function still(bytes: Buffer, mimeType: string, spec: StillSpec = WHOLE): Promise<Buffer> {
  const made = await renderer.renderStill(sourceOf(bytes, mimeType), spec, {});
  expect([made.mimeType, Buffer.isBuffer(made.bytes)]).toEqual([`image/${spec.format}`, true]);
  return made.bytes;
}

/** The message of the verdict on bytes that never render. */
async function verdict(bytes: Buffer, mimeType: string): Promise<string> {
  const thrown = await still(bytes, mimeType).then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Unrenderable)) throw new Error('expected an Unrenderable', { cause: thrown });
  expect(thrown.message).not.toMatch(/\/|mediagraph/);
  return thrown.message;
}

describe('a still', () => {
  it.each(['jpeg', 'png', 'webp', 'avif', 'gif'] as const)('is made of %s, in every format', async (from) => {
    const original = await quarters().toFormat(from).toBuffer();
    for (const format of FORMATS) {
      const bytes = await still(original, `image/${from}; charset=x`, { ...WHOLE, format });
      const { mediaType } = await sharp(bytes).metadata();
      expect(mediaType).toBe(`image/${format}`);
      expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
    }
  });

  it.each<[number, Quarters]>([
    [1, ['red', 'green', 'blue', 'white']],
    [2, ['green', 'red', 'white', 'blue']],
    [3, ['white', 'blue', 'green', 'red']],
    [4, ['blue', 'white', 'red', 'green']],
    [5, ['red', 'blue', 'green', 'white']],
    [6, ['blue', 'red', 'white', 'green']],
    [7, ['white', 'green', 'blue', 'red']],
    [8, ['green', 'white', 'red', 'blue']],
  ])('is upright where EXIF says orientation %d', async (orientation, expected) => {
    const original = await quarters().withMetadata({ orientation }).jpeg().toBuffer();
    const [width, height] = orientation < 5 ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH];
    for (const format of FORMATS)
      expect(await seen(await still(original, 'image/jpeg', { ...WHOLE, format }))).toEqual({
        width,
        height,
        quarters: expected,
      });
    // The shape is judged as it is seen, too: as large as it can be without being enlarged.
    const cut = await seen(await still(original, 'image/jpeg', { ...WHOLE, height: 250, fit: 'cover' }));
    expect([cut.width, cut.height]).toEqual(orientation < 5 ? [60, 30] : [40, 20]);
  });

  it.each<[string, Partial<StillSpec>, [number, number]]>([
    ['cover crops to the shape', { width: 20, height: 20, fit: 'cover' }, [20, 20]],
    ['contain fits inside', { width: 20, height: 20, fit: 'contain' }, [20, 13]],
    ['no height keeps the shape', { width: 30, height: null, fit: 'contain' }, [30, 20]],
    ['no height leaves nothing to cover', { width: 30, height: null, fit: 'cover' }, [30, 20]],
    ['contain enlarges nothing', { width: 200, height: 200, fit: 'contain' }, [60, 40]],
    ['cover enlarges nothing and keeps the shape asked for', { width: 200, height: 200, fit: 'cover' }, [40, 40]],
    ['cover of one side that is too long', { width: 100, height: 10, fit: 'cover' }, [60, 6]],
    ['one pixel', { width: 1, height: 1, fit: 'cover' }, [1, 1]],
  ])('has its size: %s', async (_what, spec, size) => {
    const original = await quarters().png().toBuffer();
    const { width, height } = await seen(await still(original, 'image/png', { ...WHOLE, ...spec }));
    expect([width, height]).toEqual(size);
  });

  it('covers from the middle', async () => {
    const original = await quarters().png().toBuffer();
    const bytes = await still(original, 'image/png', { ...WHOLE, width: 20, height: 40, fit: 'cover' });
    expect(await seen(bytes)).toEqual({ width: 20, height: 40, quarters: UPRIGHT });
  });

  it.each([0, -1, 1.5, Number.NaN, 16_384])('of %d pixels is refused', async (side) => {
    const source = sourceOf(await quarters().png().toBuffer(), 'image/png');
    await expect(renderer.renderStill(source, { ...WHOLE, width: side }, {})).rejects.toThrow(RangeError);
    await expect(renderer.renderStill(source, { ...WHOLE, height: side }, {})).rejects.toThrow(RangeError);
  });

  it.each(['gif', 'webp'] as const)('is the first frame of an animated %s', async (format) => {
    const others = (['blue', 'white'] as const).map((colour) => quarters([colour, colour, colour, colour]));
    const frames = await Promise.all([quarters(), ...others].map((frame) => frame.png().toBuffer()));
    const animated = await sharp(frames, { join: { animated: true } })
      .toFormat(format, { loop: 0 })
      .toBuffer();
    expect(await sharp(animated).metadata()).toMatchObject({ pages: 3 });
    for (const made of FORMATS) {
      const bytes = await still(animated, `image/${format}`, { ...WHOLE, format: made });
      expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
      expect((await sharp(bytes).metadata()).pages ?? 1).toBe(1);
    }
  });

  it('has white behind what is transparent, in a JPEG; the others stay transparent', async () => {
    const original = await sharp({ create: { width: 8, height: 8, channels: 4, background: '#ff000000' } })
      .png()
      .toBuffer();
    const jpeg = await sharp(await still(original, 'image/png', { ...WHOLE, format: 'jpeg' }))
      .raw()
      .toBuffer();
    expect(Math.min(...jpeg)).toBeGreaterThan(250);
    for (const format of ['png', 'webp', 'avif'] as const) {
      const pixels = await sharp(await still(original, 'image/png', { ...WHOLE, format }))
        .raw()
        .toBuffer();
      expect(pixels).toHaveLength(8 * 8 * 4);
      expect(pixels[3]).toBeLessThan(3);
    }
  });

  it.each(FORMATS)('as %s has nothing of the original but its pixels, and those in sRGB', async (format) => {
    const original = await photoWithMetadata();
    const before = await sharp(original).metadata();
    expect([before.exif, before.xmp, before.iptc, before.icc].every(Buffer.isBuffer)).toBe(true);
    expect(CANARIES.filter((canary) => !original.includes(canary))).toEqual([]);
    const bytes = await still(original, 'image/jpeg', { ...WHOLE, format });
    const after = await sharp(bytes).metadata();
    const { exif, xmp, iptc, icc, comments, orientation, space } = after;
    expect({ exif, xmp, iptc, icc, comments, orientation, space }).toEqual({ space: 'srgb' });
    expect(CANARIES.filter((canary) => bytes.includes(canary))).toEqual([]);
    // Pure red of sRGB is another triple in Display P3, and would be dull if only its profile were gone.
    const [red, green, blue] = await sharp(bytes).removeAlpha().raw().toBuffer();
    expect(red).toBeGreaterThan(248);
    expect(Math.max(green ?? 255, blue ?? 255)).toBeLessThan(14);
  });

  it.each(FORMATS)('as %s has no comment of a PNG', async (format) => {
    const bare = await quarters().png().toBuffer();
    const comment = pngOf(['tEXt', Buffer.from('Comment\0canary-comment')]).subarray(8);
    // Behind the signature and the header.
    const original = Buffer.concat([bare.subarray(0, 33), comment, bare.subarray(33)]);
    expect((await sharp(original).metadata()).comments).toEqual([{ keyword: 'Comment', text: 'canary-comment' }]);
    const bytes = await still(original, 'image/png', { ...WHOLE, format });
    expect((await sharp(bytes).metadata()).comments).toBeUndefined();
    expect(bytes.includes('canary')).toBe(false);
  });

  it('is made of pictures of other depths and colour models', async () => {
    const originals = await Promise.all([
      quarters().toColourspace('rgb16').png().toBuffer(),
      quarters().toColourspace('cmyk').jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
      quarters().ensureAlpha(0.5).png({ palette: true }).toBuffer(),
    ]);
    for (const original of originals) {
      const { format } = await sharp(original).metadata();
      for (const made of FORMATS) {
        const bytes = await still(original, `image/${format}`, { ...WHOLE, format: made });
        expect(await sharp(bytes).metadata()).toMatchObject({ width: WIDTH, space: 'srgb', depth: 'uchar' });
      }
    }
  });

  it('is made of a picture with something behind its end, as cameras append it', async () => {
    const original = Buffer.concat([await quarters().jpeg().toBuffer(), Buffer.alloc(1_000, 0x20)]);
    expect(await seen(await still(original, 'image/jpeg'))).toMatchObject({ quarters: UPRIGHT });
  });
});

/** What does not compress, so that half of the bytes are half of the picture. */
function noise() {
  const made = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width: 200, height: 200, channels: 3, background: '#000000', noise: made } });
}

describe('a still of a picture cut short', () => {
  it.each([
    ['jpeg', { progressive: false }],
    ['jpeg', { progressive: true }],
    ['png', { progressive: false }],
  ] as const)('shows what is there: %s %j', async (format, options) => {
    const whole = await noise().toFormat(format, options).toBuffer();
    const parts = [0.5, 0.9, 0.98].map((part) => whole.subarray(0, Math.floor(whole.length * part)));
    for (const bytes of parts) {
      const made = await still(bytes, `image/${format}`);
      const { width, height, channels } = await sharp(made)
        .stats()
        .then(async ({ channels }) => ({
          ...(await sharp(made).metadata()),
          channels,
        }));
      expect([width, height]).toEqual([200, 200]);
      // Not one grey area.
      expect(channels[0]?.stdev).toBeGreaterThan(10);
      expect(await renderer.preview(sourceOf(bytes, `image/${format}`), {})).toMatchObject({ width: 200, height: 200 });
    }
  });
});

describe('a still of what browsers show', () => {
  it('is made of TIFF, with its orientation', async () => {
    const plain = await quarters().tiff({ compression: 'lzw' }).toBuffer();
    expect(await seen(await still(plain, 'image/tiff'))).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
    const turned = await quarters().withMetadata({ orientation: 6 }).tiff({ compression: 'lzw' }).toBuffer();
    expect(await seen(await still(turned, 'image/tiff'))).toMatchObject({ width: HEIGHT, height: WIDTH });
  });

  it('is made of an animated PNG', async () => {
    const bare = await quarters().png().toBuffer();
    const control = pngOf(['acTL', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])]).subarray(8);
    const animated = Buffer.concat([bare.subarray(0, 33), control, bare.subarray(33)]);
    expect(await seen(await still(animated, 'image/apng'))).toMatchObject({ quarters: UPRIGHT });
  });

  it("leaves the orientation in a WebP's EXIF alone, as browsers do", async () => {
    const original = await quarters().withMetadata({ orientation: 6 }).webp({ lossless: true }).toBuffer();
    expect((await sharp(original).metadata()).orientation).toBe(6);
    const shown = { width: WIDTH, height: HEIGHT, quarters: UPRIGHT };
    expect(await seen(await still(original, 'image/webp'))).toEqual(shown);
    const cut = await still(original, 'image/webp', { ...WHOLE, width: 30, height: 20, fit: 'cover' });
    expect(await seen(cut)).toMatchObject({ width: 30, height: 20 });
    expect(await renderer.preview(sourceOf(original, 'image/webp'), {})).toMatchObject({
      width: WIDTH,
      height: HEIGHT,
    });
  });

  it('applies what AVIF says of itself, and nothing of its EXIF once more', async () => {
    const original = await quarters().withMetadata({ orientation: 6 }).avif({ quality: 90 }).toBuffer();
    expect(await seen(await still(original, 'image/avif'))).toMatchObject({ width: HEIGHT, height: WIDTH });
    expect(await renderer.preview(sourceOf(original, 'image/avif'), {})).toMatchObject({
      width: HEIGHT,
      height: WIDTH,
    });
  });
});

describe('a ThumbHash', () => {
  it('is that of the pixels, where they need no scaling', async () => {
    const rgba = await quarters().ensureAlpha().raw().toBuffer();
    const expected = Buffer.from(rgbaToThumbHash(WIDTH, HEIGHT, rgba)).toString('base64');
    const source = sourceOf(await quarters().png().toBuffer(), 'image/png');
    const size = { width: WIDTH, height: HEIGHT };
    expect(await renderer.preview(source, {})).toEqual({ thumbHash: expected, ...size, base: null });
  });

  it('is that of the upright picture, however large', async () => {
    const large = await quarters().resize(600, 400).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { thumbHash, width, height } = await renderer.preview(sourceOf(large, 'image/jpeg'), {});
    expect([width, height]).toEqual([400, 600]);
    const hash = Buffer.from(thumbHash, 'base64');
    expect(hash.length).toBeGreaterThan(10);
    expect(thumbHashToApproximateAspectRatio(hash)).toBeLessThan(1);
  });

  it('knows transparency, grey and the narrowest of pictures', async () => {
    const narrow = await quarters().resize(1, 40, { fit: 'fill' }).png().toBuffer();
    const grey = await quarters().greyscale().png().toBuffer();
    const clear = await sharp({ create: { width: 300, height: 300, channels: 4, background: '#00000000' } })
      .webp()
      .toBuffer();
    const previews = await Promise.all([
      renderer.preview(sourceOf(narrow, 'image/png'), {}),
      renderer.preview(sourceOf(grey, 'image/png'), {}),
      renderer.preview(sourceOf(clear, 'image/webp'), {}),
    ]);
    const hashes = previews.map(({ thumbHash }) => thumbHash);
    expect(new Set(hashes).size).toBe(3);
    for (const hash of hashes) expect(Buffer.from(hash, 'base64').length).toBeGreaterThan(4);
  });
});

describe('bytes that never render', () => {
  const html = Buffer.from('<!doctype html><script>alert(1)</script>');
  const svg = Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
  );

  it.each([
    ['HTML called WebP', html, 'image/webp'],
    ['SVG called PNG', svg, 'image/png'],
    ['text called GIF', Buffer.from('a moving picture'), 'image/gif'],
    ['JSON called AVIF', Buffer.from('{}'), 'image/avif'],
  ])('are %s', async (_what, bytes, mimeType) => {
    expect(await verdict(bytes, mimeType)).toMatch(/^expected bytes of the type .+, got others$/);
  });

  it.each(['webp', 'gif', 'avif', 'tiff'] as const)('are %s called PNG or JPEG', async (format) => {
    const bytes = await quarters().toFormat(format).toBuffer();
    for (const called of ['png', 'jpeg'])
      expect(await verdict(bytes, `image/${called}`)).toBe(`expected bytes of the type ${called}, got others`);
  });

  it.each(['webp', 'avif'] as const)('are a %s cut short', async (format) => {
    const bytes = await noise().toFormat(format).toBuffer();
    expect(await verdict(bytes.subarray(0, bytes.length / 2), `image/${format}`)).toMatch(/got a corrupt one$/);
  });

  it('are none', async () => {
    expect(await verdict(Buffer.alloc(0), 'image/png')).toBe('expected bytes, got none');
  });

  it('are too many, and no more of them are read than that', async () => {
    let given = 0;
    const endless = function* () {
      for (; ; given += MEBIBYTE) yield Buffer.alloc(MEBIBYTE);
    };
    const source = { mimeType: 'image/png', open: async () => Readable.from(endless(), { objectMode: false }) };
    const rendering = renderer.renderStill(source, WHOLE, {});
    await expect(rendering).rejects.toThrow(new Unrenderable(`expected at most ${4 * MEBIBYTE} bytes, got more`));
    await expect(rendering).rejects.toBeInstanceOf(Unrenderable);
    expect(given).toBeLessThan(16 * MEBIBYTE);
  });

  it('are a header of 50,000 by 50,000 pixels, whatever follows', async () => {
    const bytes = pngOf(pngHeader(50_000, 50_000), ['IDAT', inflating(1_000)], ['IEND', Buffer.alloc(0)]);
    expect(await verdict(bytes, 'image/png')).toBe(`expected at most ${MAX_PIXELS} pixels, got more`);
  });

  it('are more pixels than allowed, in every format; as many as allowed are not', async () => {
    const ofSide = (width: number) => sharp({ create: { width, height: 1_000, channels: 3, background: '#123456' } });
    for (const format of ['jpeg', 'png', 'webp', 'gif'] as const) {
      const [largest, larger] = [
        await ofSide(1_000).toFormat(format).toBuffer(),
        await ofSide(1_001).toFormat(format).toBuffer(),
      ];
      expect(await seen(await still(largest, `image/${format}`))).toMatchObject({ width: 500, height: 500 });
      expect(await verdict(larger, `image/${format}`)).toBe(`expected at most ${MAX_PIXELS} pixels, got more`);
    }
  });

  it('are 10,000 frames', async () => {
    const bytes = gifOfFrames(10_000);
    expect(await sharp(bytes).metadata()).toMatchObject({ pages: 10_000 });
    expect(await verdict(bytes, 'image/gif')).toMatch(/more frames/);
    expect(await seen(await still(gifOfFrames(1_000), 'image/gif'))).toMatchObject({ width: 1, height: 1 });
  });

  it('inflate to any size without taking memory', async () => {
    const zeros = inflating(128 * MEBIBYTE);
    expect(zeros.length).toBeLessThan(MEBIBYTE);
    const end: [string, Buffer] = ['IEND', Buffer.alloc(0)];
    const pixels = pngOf(pngHeader(8, 8), ['IDAT', zeros], end);
    const text = pngOf(
      pngHeader(8, 8),
      ['zTXt', Buffer.concat([Buffer.from('Comment\0\0'), zeros])],
      ['iCCP', Buffer.concat([Buffer.from('icc\0\0'), zeros])],
      ['IDAT', inflating(72)],
      end,
    );
    await still(await quarters().png().toBuffer(), 'image/png');
    const before = await mostMemory();
    // What the eight by eight pixels need is there; a decoder may show them or refuse the rest.
    await Promise.allSettled([still(pixels, 'image/png'), still(text, 'image/png')]);
    expect((await mostMemory()) - before).toBeLessThan(64 * MEBIBYTE);
    // The same process as before, alive.
    expect(await seen(await still(await quarters().png().toBuffer(), 'image/png'))).toMatchObject({
      quarters: UPRIGHT,
    });
  });
});

/** Of the picture process, at any time so far: proc(5), VmHWM. */
async function mostMemory(): Promise<number> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const texts = await Promise.all(processes.map((pid) => readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')));
  const ours = texts.filter((text) => text.includes(`PPid:\t${process.pid}\n`));
  const sizes = ours.map((text) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1_024);
  expect(sizes).toHaveLength(1);
  return sizes[0] ?? Number.NaN;
}
