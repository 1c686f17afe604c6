/** See ARCHITECTURE.md, "Where we bend a dependency". */
import sharp from 'sharp';

it('the messages of sharp tell bytes of another type and too many pixels from other faults', async () => {
  await expect(sharp(Buffer.from('no picture')).metadata()).rejects.toThrow('unsupported image format');
  const create = { width: 100, height: 100, channels: 3, background: 'red' } as const;
  const picture = await sharp({ create }).png().toBuffer();
  const small = sharp(picture, { limitInputPixels: 1_000 });
  await expect(small.toBuffer()).rejects.toThrow('exceeds pixel limit');
  await expect(sharp(picture.subarray(0, 60)).toBuffer()).rejects.not.toThrow(/unsupported|pixel limit/);
});
