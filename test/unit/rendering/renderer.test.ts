import sharp from 'sharp';
import { rgbaToThumbHash, thumbHashToApproximateAspectRatio } from 'thumbhash';
import type { StillSpec } from '../../../src/rendering/renderer.js';
import {
  CANARIES,
  HEIGHT,
  photoWithMetadata,
  pngOf,
  type Quarters,
  quarters,
  seen,
  sourceOf,
  UPRIGHT,
  WIDTH,
} from '../../support/pictures.js';
import { FORMATS, noise, StillHarness, WHOLE } from './still-harness.js';

// Without tools, everything is rendered by sharp.
const harness = new StillHarness('/nonexistent');

describe('a still', () => {
  it.each(['jpeg', 'png', 'webp', 'avif', 'gif'] as const)('is made of %s, in every format', async (from) => {
    const original = await quarters().toFormat(from).toBuffer();
    for (const format of FORMATS) {
      const bytes = await harness.still(original, `image/${from}; charset=x`, { ...WHOLE, format });
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
      expect(await seen(await harness.still(original, 'image/jpeg', { ...WHOLE, format }))).toEqual({
        width,
        height,
        quarters: expected,
      });
    // The crop follows the upright picture too, and is as large as it can be without enlarging.
    const cut = await seen(await harness.still(original, 'image/jpeg', { ...WHOLE, height: 250, fit: 'cover' }));
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
    const { width, height } = await seen(await harness.still(original, 'image/png', { ...WHOLE, ...spec }));
    expect([width, height]).toEqual(size);
  });

  it('covers from the middle', async () => {
    const original = await quarters().png().toBuffer();
    const bytes = await harness.still(original, 'image/png', { ...WHOLE, width: 20, height: 40, fit: 'cover' });
    expect(await seen(bytes)).toEqual({ width: 20, height: 40, quarters: UPRIGHT });
  });

  it.each([0, -1, 1.5, Number.NaN, 16_384])('of %d pixels is refused', async (side) => {
    const source = sourceOf(await quarters().png().toBuffer(), 'image/png');
    await expect(harness.renderer.renderStill(source, { ...WHOLE, width: side }, {})).rejects.toThrow(RangeError);
    await expect(harness.renderer.renderStill(source, { ...WHOLE, height: side }, {})).rejects.toThrow(RangeError);
  });

  it.each(['gif', 'webp'] as const)('is the first frame of an animated %s', async (format) => {
    const plainFrames = (['blue', 'white'] as const).map((colour) => quarters([colour, colour, colour, colour]));
    const frames = await Promise.all([quarters(), ...plainFrames].map((frame) => frame.png().toBuffer()));
    const animated = await sharp(frames, { join: { animated: true } })
      .toFormat(format, { loop: 0 })
      .toBuffer();
    expect(await sharp(animated).metadata()).toMatchObject({ pages: 3 });
    for (const made of FORMATS) {
      const bytes = await harness.still(animated, `image/${format}`, { ...WHOLE, format: made });
      expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
      expect((await sharp(bytes).metadata()).pages ?? 1).toBe(1);
    }
  });

  it('has a white background in a JPEG; the plainFrames stay transparent', async () => {
    const original = await sharp({ create: { width: 8, height: 8, channels: 4, background: '#ff000000' } })
      .png()
      .toBuffer();
    const jpeg = await sharp(await harness.still(original, 'image/png', { ...WHOLE, format: 'jpeg' }))
      .raw()
      .toBuffer();
    expect(Math.min(...jpeg)).toBeGreaterThan(250);
    for (const format of ['png', 'webp', 'avif'] as const) {
      const pixels = await sharp(await harness.still(original, 'image/png', { ...WHOLE, format }))
        .raw()
        .toBuffer();
      expect(pixels).toHaveLength(8 * 8 * 4);
      expect(pixels[3]).toBeLessThan(3);
    }
  });

  it.each(FORMATS)('as %s has only the pixels of the original, in sRGB', async (format) => {
    const original = await photoWithMetadata();
    const before = await sharp(original).metadata();
    expect([before.exif, before.xmp, before.iptc, before.icc].every(Buffer.isBuffer)).toBe(true);
    expect(CANARIES.filter((canary) => !original.includes(canary))).toEqual([]);
    const bytes = await harness.still(original, 'image/jpeg', { ...WHOLE, format });
    const after = await sharp(bytes).metadata();
    const { exif, xmp, iptc, icc, comments, orientation, space } = after;
    expect({ exif, xmp, iptc, icc, comments, orientation, space }).toEqual({ space: 'srgb' });
    expect(CANARIES.filter((canary) => bytes.includes(canary))).toEqual([]);
    // Pure red of sRGB is another value in Display P3. It would be dull if the profile were removed without a
    // conversion.
    const [red, green, blue] = await sharp(bytes).removeAlpha().raw().toBuffer();
    expect(red).toBeGreaterThan(248);
    expect(Math.max(green ?? 255, blue ?? 255)).toBeLessThan(14);
  });

  it.each(FORMATS)('as %s has no comment of a PNG', async (format) => {
    const bare = await quarters().png().toBuffer();
    const comment = pngOf(['tEXt', Buffer.from('Comment\0canary-comment')]).subarray(8);
    // After the signature and the header.
    const original = Buffer.concat([bare.subarray(0, 33), comment, bare.subarray(33)]);
    expect((await sharp(original).metadata()).comments).toEqual([{ keyword: 'Comment', text: 'canary-comment' }]);
    const bytes = await harness.still(original, 'image/png', { ...WHOLE, format });
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
        const bytes = await harness.still(original, `image/${format}`, { ...WHOLE, format: made });
        expect(await sharp(bytes).metadata()).toMatchObject({ width: WIDTH, space: 'srgb', depth: 'uchar' });
      }
    }
  });

  it('is made of a picture with data behind its end, as cameras append it', async () => {
    const original = Buffer.concat([await quarters().jpeg().toBuffer(), Buffer.alloc(1_000, 0x20)]);
    expect(await seen(await harness.still(original, 'image/jpeg'))).toMatchObject({ quarters: UPRIGHT });
  });
});

describe('a still of a picture cut short', () => {
  it.each([
    ['jpeg', { progressive: false }],
    ['jpeg', { progressive: true }],
    ['png', { progressive: false }],
  ] as const)('shows the remaining part: %s %j', async (format, options) => {
    const whole = await noise().toFormat(format, options).toBuffer();
    const parts = [0.5, 0.9, 0.98].map((part) => whole.subarray(0, Math.floor(whole.length * part)));
    for (const bytes of parts) {
      const made = await harness.still(bytes, `image/${format}`);
      const { width, height, channels } = await sharp(made)
        .stats()
        .then(async ({ channels }) => ({
          ...(await sharp(made).metadata()),
          channels,
        }));
      expect([width, height]).toEqual([200, 200]);
      // The part that was cut off may be grey, but not the whole picture.
      expect(channels[0]?.stdev).toBeGreaterThan(10);
      expect(await harness.renderer.preview(sourceOf(bytes, `image/${format}`), {})).toMatchObject({
        width: 200,
        height: 200,
      });
    }
  });
});

describe('a still of what browsers show', () => {
  it('is made of TIFF, with its orientation', async () => {
    const plain = await quarters().tiff({ compression: 'lzw' }).toBuffer();
    expect(await seen(await harness.still(plain, 'image/tiff'))).toEqual({
      width: WIDTH,
      height: HEIGHT,
      quarters: UPRIGHT,
    });
    const turned = await quarters().withMetadata({ orientation: 6 }).tiff({ compression: 'lzw' }).toBuffer();
    expect(await seen(await harness.still(turned, 'image/tiff'))).toMatchObject({ width: HEIGHT, height: WIDTH });
  });

  it('is made of an animated PNG', async () => {
    const bare = await quarters().png().toBuffer();
    const control = pngOf(['acTL', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])]).subarray(8);
    const animated = Buffer.concat([bare.subarray(0, 33), control, bare.subarray(33)]);
    expect(await seen(await harness.still(animated, 'image/apng'))).toMatchObject({ quarters: UPRIGHT });
  });

  it("leaves the orientation in a WebP's EXIF alone, as browsers do", async () => {
    const original = await quarters().withMetadata({ orientation: 6 }).webp({ lossless: true }).toBuffer();
    expect((await sharp(original).metadata()).orientation).toBe(6);
    const shown = { width: WIDTH, height: HEIGHT, quarters: UPRIGHT };
    expect(await seen(await harness.still(original, 'image/webp'))).toEqual(shown);
    const cut = await harness.still(original, 'image/webp', { ...WHOLE, width: 30, height: 20, fit: 'cover' });
    expect(await seen(cut)).toMatchObject({ width: 30, height: 20 });
    expect(await harness.renderer.preview(sourceOf(original, 'image/webp'), {})).toMatchObject({
      width: WIDTH,
      height: HEIGHT,
    });
  });

  it('applies the orientation of AVIF, without applying EXIF again', async () => {
    const original = await quarters().withMetadata({ orientation: 6 }).avif({ quality: 90 }).toBuffer();
    expect(await seen(await harness.still(original, 'image/avif'))).toMatchObject({ width: HEIGHT, height: WIDTH });
    expect(await harness.renderer.preview(sourceOf(original, 'image/avif'), {})).toMatchObject({
      width: HEIGHT,
      height: WIDTH,
    });
  });
});

describe('a ThumbHash', () => {
  it('is that of the pixels when they need no scaling', async () => {
    const rgba = await quarters().ensureAlpha().raw().toBuffer();
    const expected = Buffer.from(rgbaToThumbHash(WIDTH, HEIGHT, rgba)).toString('base64');
    const source = sourceOf(await quarters().png().toBuffer(), 'image/png');
    const size = { width: WIDTH, height: HEIGHT };
    expect(await harness.renderer.preview(source, {})).toEqual({ thumbHash: expected, ...size, base: null });
  });

  it('is that of the upright picture, however large', async () => {
    const large = await quarters().resize(600, 400).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { thumbHash, width, height } = await harness.renderer.preview(sourceOf(large, 'image/jpeg'), {});
    expect([width, height]).toEqual([400, 600]);
    const hash = Buffer.from(thumbHash, 'base64');
    expect(hash.length).toBeGreaterThan(10);
    expect(thumbHashToApproximateAspectRatio(hash)).toBeLessThan(1);
  });

  it('supports transparency, grey and the narrowest pictures', async () => {
    const narrow = await quarters().resize(1, 40, { fit: 'fill' }).png().toBuffer();
    const grey = await quarters().greyscale().png().toBuffer();
    const clear = await sharp({ create: { width: 300, height: 300, channels: 4, background: '#00000000' } })
      .webp()
      .toBuffer();
    const previews = await Promise.all([
      harness.renderer.preview(sourceOf(narrow, 'image/png'), {}),
      harness.renderer.preview(sourceOf(grey, 'image/png'), {}),
      harness.renderer.preview(sourceOf(clear, 'image/webp'), {}),
    ]);
    const hashes = previews.map(({ thumbHash }) => thumbHash);
    expect(new Set(hashes).size).toBe(3);
    for (const hash of hashes) expect(Buffer.from(hash, 'base64').length).toBeGreaterThan(4);
  });
});
