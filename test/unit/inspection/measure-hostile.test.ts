import { box, boxHeader, element, fileType, heif, movie, property, UNKNOWN_SIZE } from '../../support/box-bytes.js';
import { Chance } from '../../support/chance.js';
import { measured } from '../../support/measured-source.js';
import { exifSegment, jpeg, jpegSegment, png } from '../../support/picture-bytes.js';
import { adtsFrame, FIRST_PAGE, id3v2, oggPage } from '../../support/sound-bytes.js';
import { ALL, join, opusFirst, size, times, video } from './measure-cases.js';

/** About how many lengths each file is cut to, divided by 97. */
const CUTS = process.env.TEST_LONG === '1' ? 4_000 : 200;

describe('hostile bytes', () => {
  it('are given up after ten thousand steps', async () => {
    const behind = (boxes: number) => join(fileType('isom'), times(boxes, boxHeader('free', 8)), video(size));
    expect(await measured('video/mp4', behind(5_000))).toMatchObject(size);
    expect(await measured('video/mp4', behind(20_000))).toMatchObject({ width: null, durationSeconds: null });
  });

  const looped = (header: Buffer) => join(fileType('isom'), times(2_000, header));
  const nested = (depth: number) => {
    const bytes = Buffer.alloc(depth * 8);
    for (let level = 0; level < depth; level++) boxHeader('moov', (depth - level) * 8).copy(bytes, level * 8);
    return bytes;
  };
  const nestedElements = Buffer.concat(
    Array.from({ length: 10_000 }, () => element(0x18538067, Buffer.alloc(0), UNKNOWN_SIZE)),
  );

  it.each<[string, string, Buffer]>([
    ['boxes of size 0', 'video/mp4', looped(boxHeader('free', 0))],
    ['boxes of size 1', 'video/mp4', looped(boxHeader('free', 1))],
    ['boxes of size 1 and then 0', 'video/mp4', looped(boxHeader('free', 1, 0n))],
    ['boxes of size 7', 'video/mp4', looped(boxHeader('free', 7))],
    ['boxes of size 8, without end', 'video/mp4', join(fileType('isom'), times(100_000, boxHeader('free', 8)))],
    ['a huge box', 'video/mp4', looped(boxHeader('free', 0xffffffff))],
    ['a box of 2^64 - 1 bytes', 'video/mp4', looped(boxHeader('free', 1, 0xffffffffffffffffn))],
    ['a movie of 2^53 bytes', 'video/mp4', join(boxHeader('moov', 1, 2n ** 53n), boxHeader('mvhd', 1, 2n ** 62n))],
    ['a movie of 50,000 tracks', 'video/mp4', movie({ tracks: Array<Buffer>(50_000).fill(box('trak')) })],
    ['an MP4 nested 10,000 deep', 'video/mp4', nested(10_000)],
    [
      'a HEIC nested 10,000 deep',
      'image/heic',
      Buffer.from(nested(10_000).toString('latin1').replaceAll('moov', 'meta'), 'latin1'),
    ],
    [
      'properties without end',
      'image/heic',
      heif({ primary: 1, properties: Array<Buffer>(20_000).fill(property.rotation(1)), items: [[1, [1]]] }),
    ],
    ['a WebM nested 10,000 deep', 'video/webm', nestedElements],
    ['elements without end', 'video/webm', join(element(0x18538067, times(300_000, Buffer.from([0xec, 0x80]))))],
    ['an element of eight zeros', 'video/webm', Buffer.alloc(600_000)],
    [
      'JPEG segments without end',
      'image/jpeg',
      jpeg(640, 480, Array<Buffer>(100_000).fill(jpegSegment(0xe0, Buffer.alloc(0)))),
    ],
    [
      'JPEG segments of length 0',
      'image/jpeg',
      join(Buffer.from([0xff, 0xd8]), times(100_000, Buffer.from([0xff, 0xe0, 0, 0]))),
    ],
    ['fill bytes without end', 'image/jpeg', join(Buffer.from([0xff, 0xd8]), Buffer.alloc(2_000_000, 0xff))],
    [
      'EXIF whose directory is far away',
      'image/jpeg',
      jpeg(640, 480, Array<Buffer>(5_000).fill(exifSegment(Buffer.from('II*\0\xf0\xff\xff\xff', 'latin1')))),
    ],
    ['a TIFF whose directory is its header', 'image/tiff', Buffer.from('49492a0000000000'.padEnd(4_000, '0'), 'hex')],
    ['PNG chunks without end', 'image/png', join(png(640, 480).subarray(0, 33), Buffer.alloc(1_200_000))],
    ['a PNG chunk of 2^32 - 1 bytes', 'image/png', join(png(640, 480).subarray(0, 33), Buffer.alloc(20, 0xff))],
    ['pages that are headers only', 'audio/ogg', join(opusFirst, times(200_000, Buffer.from('OggS')))],
    ['first pages without end', 'audio/ogg', times(50_000, oggPage(0n, Buffer.from('x'), { flags: FIRST_PAGE }))],
    ['frame headers without end', 'audio/mpeg', times(500_000, Buffer.from([0xff, 0xfb, 0x90, 0xc0]))],
    ['ADTS frames of seven bytes', 'audio/aac', times(300_000, adtsFrame(7))],
    ['ADTS frames of no bytes', 'audio/aac', times(300_000, Buffer.from([0xff, 0xf1, 0x60, 0x40, 0, 0, 0]))],
    ['ID3 tags without end', 'audio/mpeg', times(200_000, id3v2(0))],
    [
      'WAV chunks without end',
      'audio/wav',
      join(Buffer.from('RIFF\0\0\0\0WAVE'), times(300_000, Buffer.from('junk\0\0\0\0'))),
    ],
  ])('are given up in bounded time: %s', async (_what, mimeType, bytes) => {
    await measured(mimeType, bytes);
  });

  it.each(ALL)('of %s that are cut off anywhere cause no error', async (_what, mimeType, bytes) => {
    for (let length = 1; length < bytes.length; length += Math.max(97, Math.floor(bytes.length / CUTS) * 97)) {
      await measured(mimeType, bytes.subarray(0, length));
    }
  });

  it.each(ALL)('of %s with changed bytes cause no error', async (what, mimeType, bytes) => {
    const chance = new Chance(`measure ${what}`);
    for (let nth = 0; nth < 60; nth++) {
      const changed = Buffer.from(bytes);
      for (let left = 1 + chance.below(4); left > 0; left--) {
        const at = chance.below(Math.min(changed.length, 400));
        changed.writeUInt8([0, 1, 0x7f, 0xff, chance.below(256)][chance.below(5)] ?? 0, at);
      }
      const { width, height, durationSeconds } = await measured(mimeType, changed);
      expect([width, height].every((side) => side === null || (side > 0 && side < 2 ** 31))).toBe(true);
      expect(durationSeconds === null || (durationSeconds > 0 && durationSeconds <= 8_640_000)).toBe(true);
    }
  });
});
