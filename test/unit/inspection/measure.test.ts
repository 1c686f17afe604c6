import sharp from 'sharp';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { measure } from '../../../src/inspection/measure/measure.js';
import { box, boxHeader, fileType } from '../../support/box-bytes.js';
import { measured, measuredParts } from '../../support/measured-source.js';
import { bmp, exifSegment, gif, jpeg, jpegSegment, png, tiff } from '../../support/picture-bytes.js';
import { adtsFrame, id3v2, mp3Frame, oggPage, wav } from '../../support/sound-bytes.js';
import {
  ALL,
  APP_SEGMENTS,
  join,
  onItsSide,
  opusFirst,
  PICTURES,
  SOUNDS,
  size,
  times,
  VIDEOS,
  video,
} from './measure-cases.js';

describe.each([
  ['pictures', PICTURES],
  ['videos', VIDEOS],
  ['sounds', SOUNDS],
])('the measures of %s', (_kind, cases) => {
  it.each(cases)('are found: %s', async (_what, mimeType, bytes, [width, height, seconds]) => {
    const measures = await measured(mimeType, bytes);
    expect(measures).toMatchObject({ width, height });
    if (seconds === null) expect(measures.durationSeconds).toBeNull();
    else expect(measures.durationSeconds).toBeCloseTo(seconds, 3);
  });
});

describe('the measures of media', () => {
  it.each([
    ['photo', null],
    ['sticker', null],
    ['voiceNote', 'sound'],
    ['video', 'sound'],
  ] as const)('are found in the sample %s', async (name, has) => {
    const { mimeType, bytes } = loadMediaSamples()[name];
    const { width, height, durationSeconds } = await measured(mimeType, bytes);
    expect({ hasSize: width !== null && height !== null, hasLength: durationSeconds !== null }).toEqual({
      hasSize: name !== 'voiceNote',
      hasLength: has !== null,
    });
  });

  it.each([
    ['jpeg', [20, 40]],
    ['png', [20, 40]],
    ['tiff', [20, 40]],
    ['avif', [20, 40]],
    // Chromium ignores the orientation in a WebP.
    ['webp', [40, 20]],
  ] as const)('are those of a picture on its side as libvips writes it: %s', async (format, [width, height]) => {
    const create = { width: 40, height: 20, channels: 3, background: 'red' } as const;
    const bytes = await sharp({ create }).withMetadata({ orientation: 6 }).toFormat(format).toBuffer();
    expect(await measured(`image/${format}`, bytes)).toMatchObject({ width, height });
  });

  it.each(['application/pdf', 'text/plain', 'image/svg+xml', '', 'constructor', '__proto__'])(
    'are not measured in %j',
    async (mimeType) => {
      const measures = await measured(mimeType, png(640, 480));
      expect(measures).toEqual({ width: null, height: null, durationSeconds: null, reads: 0, readBytes: 0 });
    },
  );

  it('are null for empty bytes', async () => {
    for (const [, mimeType] of ALL) {
      expect(await measured(mimeType, Buffer.alloc(0))).toMatchObject({ width: null, height: null, reads: 0 });
    }
  });

  it('are null for bytes of another type', async () => {
    for (const [, mimeType] of ALL) {
      for (const byte of [0x00, 0x01, 0x20, 0x47, 0x4f, 0xff]) {
        const measures = await measured(mimeType, Buffer.alloc(3_000, byte));
        expect([mimeType, byte, measures]).toEqual([
          mimeType,
          byte,
          expect.objectContaining({ width: null, height: null, durationSeconds: null }),
        ]);
      }
    }
  });

  it.each([1, 2, 7, 16])('reject with what the read of block %d rejected with', async (nth) => {
    const reason = new Error('the store is gone');
    let reads = 0;
    const failing = times(8_000, adtsFrame(256));
    const reading = measure({
      mimeType: 'audio/aac',
      sizeBytes: failing.length,
      read: async (start, end) => {
        reads += 1;
        if (reads === nth) throw reason;
        return failing.subarray(start, end + 1);
      },
    });
    await expect(reading).rejects.toBe(reason);
  });

  it('reject also when an optional part cannot be read', async () => {
    const bytes = jpeg(640, 480, [...APP_SEGMENTS, exifSegment(onItsSide)]);
    const blockOfExif = Math.floor((2 + 4 * 60_004) / 65_536);
    const reason = new Error('the store is gone');
    const read = async (start: number, end: number) => {
      if (start === blockOfExif * 65_536) throw reason;
      return bytes.subarray(start, end + 1);
    };
    await expect(measure({ mimeType: 'image/jpeg', sizeBytes: bytes.length, read })).rejects.toBe(reason);
  });

  it('of a picture that is cut short are not read from the memory behind it', async () => {
    const behind = Buffer.alloc(64, 1);
    for (const [mimeType, bytes] of [
      ['image/bmp', bmp(640, 480)],
      ['image/gif', gif(640, 480)],
    ] as const) {
      const cut = join(bytes.subarray(0, 9), behind).subarray(0, 9);
      expect(await measure({ mimeType, sizeBytes: 9, read: async () => cut })).toMatchObject({
        width: null,
        height: null,
      });
    }
  });

  it('are null when a source has fewer bytes than announced', async () => {
    for (const [, mimeType, bytes] of ALL) {
      const read = async (start: number, end: number) => bytes.subarray(start, Math.max(end - 10, start));
      const { width } = await measure({ mimeType, sizeBytes: bytes.length + 1_000_000, read });
      expect(width === null || width > 0).toBe(true);
    }
  });
});

describe('reading', () => {
  it.each<[string, string, Buffer, number]>([
    ['a JPEG with 240 KB before its frame', 'image/jpeg', jpeg(640, 480, APP_SEGMENTS), 5],
    ['a TIFF whose directory is at the end', 'image/tiff', tiff('II', { ...size, before: 900_000 }), 2],
    ['an MP3 with 300 KB of cover art', 'audio/mpeg', join(id3v2(300_000), times(3_000, mp3Frame(128))), 6],
    ['a WAV', 'audio/wav', wav({}, Buffer.alloc(3_000_000)), 1],
    ['a PNG', 'image/png', join(png(640, 480), Buffer.alloc(3_000_000)), 1],
  ])('takes few blocks of %s', async (_what, mimeType, bytes, reads) => {
    expect((await measured(mimeType, bytes)).reads).toBeLessThanOrEqual(reads);
  });

  it('takes two blocks of a movie of five gigabytes whose headers are at its end', async () => {
    const front = join(fileType('isom'), boxHeader('mdat', 1, 5_000_000_000n));
    const end = video(size);
    const at = fileType('isom').length + 5_000_000_000;
    const parts = [
      { at: 0, bytes: front },
      { at, bytes: end },
    ];
    const measures = await measuredParts('video/mp4', at + end.length, parts);
    expect(measures).toMatchObject({ ...size, durationSeconds: 12.345 });
    expect(measures.reads).toBeLessThanOrEqual(3);
  });

  it('takes the first and the last blocks of an hour of Opus', async () => {
    const last = oggPage(172_800_312n, Buffer.alloc(60_000));
    const sizeBytes = 60_000_000;
    const parts = [
      { at: 0, bytes: opusFirst },
      { at: sizeBytes - last.length, bytes: last },
    ];
    const measures = await measuredParts('audio/ogg; codecs=opus', sizeBytes, parts);
    expect(measures.durationSeconds).toBe(3_600);
    expect(measures.reads).toBeLessThanOrEqual(3);
  });

  it('stops after a megabyte for every format', async () => {
    const endless = [
      ['audio/aac', times(9_000, adtsFrame(256))],
      ['audio/amr', join(Buffer.from('#!AMR\n'), Buffer.alloc(3_000_000, 0x7c))],
      ['audio/mpeg', join(...[64, 320].flatMap((rate) => [times(3_000, mp3Frame(rate))]))],
      ['audio/ogg', join(opusFirst, Buffer.alloc(3_000_000))],
      ['image/jpeg', jpeg(640, 480, Array<Buffer>(40).fill(jpegSegment(0xe2, Buffer.alloc(65_000))))],
      ['video/mp4', join(fileType('isom'), ...Array<Buffer>(40).fill(box('mdat', Buffer.alloc(70_000))), video(size))],
    ] as const;
    for (const [mimeType, bytes] of endless) expect((await measured(mimeType, bytes)).reads).toBeLessThanOrEqual(16);
  });
});
