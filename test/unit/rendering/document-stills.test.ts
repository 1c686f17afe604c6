import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { thumbHashToApproximateAspectRatio } from 'thumbhash';
import { findTools } from '../../../src/rendering/tools/tools.js';
import { describeWith } from '../../support/daemon.js';
import { isInstalled } from '../../support/installed-tools.js';
import {
  CANARIES,
  HEIGHT,
  pdfOf,
  photoWithMetadata,
  quarters,
  seen,
  sourceOf,
  UPRIGHT,
  WIDTH,
} from '../../support/pictures.js';
import { FORMATS, HTML, MAX_PIXELS, refusalOf, run, StillHarness, TURNED } from './still-harness.js';

const { PATH = '' } = process.env;
const tools = await findTools(PATH);
const canEncodeHeic = await isInstalled('heif-enc', '--help');
const harness = new StillHarness(PATH);

describeWith('pdfinfo', tools.pdfinfo !== null, 'the pages of a PDF', () => {
  it('are counted, except with a password or for another type', async () => {
    const count = (bytes: Buffer) => harness.renderer.pageCount(sourceOf(bytes, 'application/pdf'), {});
    expect(await count(pdfOf(200, 100))).toBe(1);
    for (const bytes of [pdfOf(200, 100, { encrypted: true }), HTML]) expect(await count(bytes)).toBeNull();
  });

  it('are not taken from its title', async () => {
    const titled = pdfOf(200, 100)
      .toString('latin1')
      .replace('/Root 1 0 R', '/Root 1 0 R/Info<</Title(a\\nPages: 77\\n)>>');
    expect(await harness.renderer.pageCount(sourceOf(Buffer.from(titled, 'latin1'), 'application/pdf'), {})).toBe(1);
  });
});

describeWith('pdftoppm', tools.pdftoppm !== null, 'a still of a PDF', () => {
  it('is its first page, in every requested size', async () => {
    for (const [spec, size] of [
      [{ width: 100 }, [100, 50]],
      [{ width: 50, height: 50, fit: 'cover' }, [50, 50]],
      [{ width: 300, height: 300 }, [300, 150]],
    ] as const) {
      const {
        width,
        height,
        quarters: shown,
      } = await seen(await harness.still(pdfOf(200, 100), 'application/pdf', spec));
      expect([width, height]).toEqual(size);
      expect(shown).toEqual(['red', 'red', 'white', 'white']);
    }
    const { thumbHash: hash } = await harness.renderer.preview(sourceOf(pdfOf(100, 200), 'application/pdf'), {});
    expect(thumbHashToApproximateAspectRatio(Buffer.from(hash, 'base64'))).toBeLessThan(1);
  });

  it.each<[string, number, number, [number, number]]>([
    ['of fourteen metres', 40_000, 40_000, [500, 500]],
    ['of three hundred kilometres', 1e9, 1e9, [500, 500]],
    ['of five metres by the width of a hair', 14_400, 1, [500, 1]],
  ])('is small, for a page %s', async (_what, width, height, size) => {
    const page = await seen(await harness.still(pdfOf(width, height), 'application/pdf'));
    expect([page.width, page.height]).toEqual(size);
    // The largest request gives no more pixels than the limit either.
    const largest = await seen(await harness.still(pdfOf(width, height), 'application/pdf', { width: 16_383 }));
    expect(largest.width * largest.height).toBeLessThanOrEqual(MAX_PIXELS);
  });

  it('is not made of one with a password, nor of another type', async () => {
    const locked = pdfOf(200, 100, { encrypted: true });
    expect(await refusalOf(harness.still(locked, 'application/pdf'))).toMatch(/opens without a password/);
    for (const bytes of [HTML, await quarters().png().toBuffer()])
      expect(await refusalOf(harness.still(bytes, 'application/pdf'))).toMatch(
        /^expected a whole file of the type application\/pdf/,
      );
  });
});

describeWith('heif-convert or heif-enc', tools.heifConvert !== null && canEncodeHeic, 'a still of HEIC', () => {
  async function heicOf(...pictures: Buffer[]): Promise<Buffer> {
    const names = pictures.map((_, index) => `heic-${index}.jpg`);
    await Promise.all(pictures.map((bytes, index) => writeFile(join(harness.folder, `heic-${index}.jpg`), bytes)));
    await run('heif-enc', ['-q', '90', '-o', 'made.heic', ...names], { cwd: harness.folder });
    return await readFile(join(harness.folder, 'made.heic'));
  }

  it('shows it, and has only its pixels', async () => {
    const original = await heicOf(await photoWithMetadata());
    expect(CANARIES.filter((canary) => original.includes(canary))).toEqual(['canary-exif', 'canary-xmp']);
    for (const mimeType of ['image/heic', 'image/heif'])
      for (const format of FORMATS) {
        const bytes = await harness.still(original, mimeType, { format });
        expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
        const { exif, xmp, iptc, icc, orientation } = await sharp(bytes).metadata();
        expect({ exif, xmp, iptc, icc, orientation }).toEqual({});
        expect(CANARIES.filter((canary) => bytes.includes(canary))).toEqual([]);
      }
  });

  it("is upright by the container's own orientation, without applying EXIF again", async () => {
    const original = await quarters().keepMetadata().withMetadata({ orientation: 6 }).avif({ quality: 90 }).toBuffer();
    expect(original.includes('irot')).toBe(true);
    const shown = await seen(await harness.still(original, 'image/heif'));
    expect(shown).toEqual({ width: HEIGHT, height: WIDTH, quarters: TURNED });
  });

  it('is made whatever its colour profile is', async () => {
    const profile = Buffer.from(
      (await sharp(await quarters().withIccProfile('srgb').jpeg().toBuffer()).metadata()).icc ?? Buffer.alloc(0),
    );
    expect(profile.length).toBeGreaterThan(128);
    const plain = await quarters().withIccProfile('srgb').jpeg({ quality: 95 }).toBuffer();
    const original = await heicOf(plain);
    const at = original.indexOf(profile.subarray(0, 64));
    expect(at).toBeGreaterThan(0);
    // Profiles with a wrong length, and with an unknown version, as phones write them (ICC.1:2022, section 7.2).
    for (const damage of [
      (bytes: Buffer) => bytes.writeUInt32BE(profile.length + 100, at),
      (bytes: Buffer) => bytes.writeUInt32BE(profile.length - 40, at),
      (bytes: Buffer) => bytes.fill(0xff, at + 8, at + 12),
    ]) {
      const bytes = Buffer.from(original);
      damage(bytes);
      expect(await seen(await harness.still(bytes, 'image/heic'))).toEqual({
        width: WIDTH,
        height: HEIGHT,
        quarters: UPRIGHT,
      });
    }
  });

  it('comes with its size, and with the frame for further stills', async () => {
    const original = await heicOf(await quarters().jpeg({ quality: 95 }).toBuffer());
    const { width, height, base, thumbHash } = await harness.renderer.preview(sourceOf(original, 'image/heic'), {});
    expect([width, height, thumbHash.length > 10]).toEqual([WIDTH, HEIGHT, true]);
    expect(await seen(base?.bytes ?? Buffer.alloc(0))).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
  });

  it('is its first picture where there are several', async () => {
    const plain = await quarters(['white', 'white', 'white', 'white']).jpeg().toBuffer();
    const original = await heicOf(await quarters().jpeg({ quality: 95 }).toBuffer(), plain);
    expect(await seen(await harness.still(original, 'image/heic'))).toMatchObject({ quarters: UPRIGHT });
  });

  it('is not made of more pixels than allowed, of one cut short, nor of another type', async () => {
    const large = await sharp({ create: { width: 1_001, height: 1_000, channels: 3, background: '#123456' } })
      .jpeg()
      .toBuffer();
    expect(await refusalOf(harness.still(await heicOf(large), 'image/heic'))).toBe(
      `expected at most ${MAX_PIXELS} pixels, got more`,
    );
    const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
    const noisy = await sharp({ create: { width: 99, height: 99, channels: 3, background: '#000000', noise } })
      .jpeg()
      .toBuffer();
    const whole = await heicOf(noisy);
    expect(await refusalOf(harness.still(whole.subarray(0, whole.length / 2), 'image/heic'))).toMatch(
      /^expected a whole/,
    );
    for (const bytes of [HTML, await quarters().jpeg().toBuffer()])
      expect(await refusalOf(harness.still(bytes, 'image/heic'))).toMatch(
        /^expected bytes of the type heif, got others$/,
      );
  });
});
