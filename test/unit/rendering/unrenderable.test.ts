import { readdir, readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import sharp from 'sharp';
import { Unrenderable } from '../../../src/rendering/renderer.js';
import { gifOfFrames, inflating, pngHeader, pngOf, quarters, seen, UPRIGHT } from '../../support/pictures.js';
import { HTML, MAX_PIXELS, MAX_SOURCE_BYTES, noise, refusalOf, StillHarness, WHOLE } from './still-harness.js';

const MEBIBYTE = 2 ** 20;

// Without tools, everything is rendered by sharp.
const harness = new StillHarness('/nonexistent');

/** The message with which bytes are refused. It names no path. */
async function refusal(bytes: Buffer, mimeType: string): Promise<string> {
  const message = await refusalOf(harness.still(bytes, mimeType));
  expect(message).not.toMatch(/\/|mediagraph/);
  return message;
}

describe('bytes that never render', () => {
  const svg = Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
  );

  it.each([
    ['HTML called WebP', HTML, 'image/webp'],
    ['SVG called PNG', svg, 'image/png'],
    ['text called GIF', Buffer.from('a moving picture'), 'image/gif'],
    ['JSON called AVIF', Buffer.from('{}'), 'image/avif'],
  ])('are %s', async (_what, bytes, mimeType) => {
    expect(await refusal(bytes, mimeType)).toMatch(/^expected bytes of the type .+, got others$/);
  });

  it.each(['webp', 'gif', 'avif', 'tiff'] as const)('are %s called PNG or JPEG', async (format) => {
    const bytes = await quarters().toFormat(format).toBuffer();
    for (const called of ['png', 'jpeg'])
      expect(await refusal(bytes, `image/${called}`)).toBe(`expected bytes of the type ${called}, got others`);
  });

  it.each(['webp', 'avif'] as const)('are a %s cut short', async (format) => {
    const bytes = await noise().toFormat(format).toBuffer();
    expect(await refusal(bytes.subarray(0, bytes.length / 2), `image/${format}`)).toMatch(/got a corrupt one$/);
  });

  it('are none', async () => {
    expect(await refusal(Buffer.alloc(0), 'image/png')).toBe('expected bytes, got none');
  });

  it('are too many, and are not read beyond the limit', async () => {
    let producedBytes = 0;
    const endless = function* () {
      for (; ; producedBytes += MEBIBYTE) yield Buffer.alloc(MEBIBYTE);
    };
    const source = { mimeType: 'image/png', open: async () => Readable.from(endless(), { objectMode: false }) };
    const rendering = harness.renderer.renderStill(source, WHOLE, {});
    await expect(rendering).rejects.toThrow(new Unrenderable(`expected at most ${MAX_SOURCE_BYTES} bytes, got more`));
    await expect(rendering).rejects.toBeInstanceOf(Unrenderable);
    expect(producedBytes).toBeLessThan(16 * MEBIBYTE);
  });

  it('are a header of 50,000 by 50,000 pixels, with any content', async () => {
    const bytes = pngOf(pngHeader(50_000, 50_000), ['IDAT', inflating(1_000)], ['IEND', Buffer.alloc(0)]);
    expect(await refusal(bytes, 'image/png')).toBe(`expected at most ${MAX_PIXELS} pixels, got more`);
  });

  it('are more pixels than allowed, in every format; as many as allowed are not', async () => {
    const ofSide = (width: number) => sharp({ create: { width, height: 1_000, channels: 3, background: '#123456' } });
    for (const format of ['jpeg', 'png', 'webp', 'gif'] as const) {
      const [largest, larger] = [
        await ofSide(1_000).toFormat(format).toBuffer(),
        await ofSide(1_001).toFormat(format).toBuffer(),
      ];
      expect(await seen(await harness.still(largest, `image/${format}`))).toMatchObject({ width: 500, height: 500 });
      expect(await refusal(larger, `image/${format}`)).toBe(`expected at most ${MAX_PIXELS} pixels, got more`);
    }
  });

  it('are 10,000 frames', async () => {
    const bytes = gifOfFrames(10_000);
    expect(await sharp(bytes).metadata()).toMatchObject({ pages: 10_000 });
    expect(await refusal(bytes, 'image/gif')).toMatch(/more frames/);
    expect(await seen(await harness.still(gifOfFrames(1_000), 'image/gif'))).toMatchObject({ width: 1, height: 1 });
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
    await harness.still(await quarters().png().toBuffer(), 'image/png');
    const before = await peakMemory();
    // The data of the eight by eight pixels is complete. A decoder may show them, or refuse the file for the rest.
    await Promise.allSettled([harness.still(pixels, 'image/png'), harness.still(text, 'image/png')]);
    expect((await peakMemory()) - before).toBeLessThan(64 * MEBIBYTE);
    // The same picture process is still alive.
    expect(await seen(await harness.still(await quarters().png().toBuffer(), 'image/png'))).toMatchObject({
      quarters: UPRIGHT,
    });
  });
});

/** The peak memory of the picture process: proc(5), VmHWM. */
async function peakMemory(): Promise<number> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const texts = await Promise.all(processes.map((pid) => readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')));
  const children = texts.filter((text) => text.includes(`PPid:\t${process.pid}\n`));
  const sizes = children.map((text) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1_024);
  expect(sizes).toHaveLength(1);
  return sizes[0] ?? Number.NaN;
}
