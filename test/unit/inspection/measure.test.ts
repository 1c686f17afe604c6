import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import sharp from 'sharp';
import { loadMediaSamples } from '../../../demo/src/emulators/media-samples.js';
import { measure } from '../../../src/inspection/measure/measure.js';
import {
  box,
  boxHeader,
  element,
  fileType,
  heif,
  type MovieOptions,
  movie,
  property,
  type TrackOptions,
  track,
  UNKNOWN_SIZE,
  webm,
} from '../../support/box-bytes.js';
import { Chance } from '../../support/chance.js';
import { encodersOfFfmpeg, isInstalled, printedBy } from '../../support/installed-tools.js';
import { measured, measuredParts } from '../../support/measured-source.js';
import { bmp, coreBmp, exifSegment, gif, jpeg, jpegSegment, png, tiff, webp } from '../../support/picture-bytes.js';
import {
  adtsFrame,
  amrFrame,
  FIRST_PAGE,
  flac,
  id3v2,
  mp3Frame,
  oggPage,
  opusHead,
  vbri,
  vorbisHead,
  wav,
  xing,
} from '../../support/sound-bytes.js';

type Expected = readonly [width: number | null, height: number | null, durationSeconds: number | null];
type Case = readonly [what: string, mimeType: string, bytes: Buffer, expected: Expected];

const NOTHING: Expected = [null, null, null];
const times = (count: number, bytes: Buffer) => Buffer.concat(Array<Buffer>(count).fill(bytes));
const join = (...parts: readonly Buffer[]) => Buffer.concat(parts);

const APP_SEGMENTS = Array<Buffer>(4).fill(jpegSegment(0xe2, Buffer.alloc(60_000)));
const onItsSide = tiff('MM', { orientation: 6 });

const PICTURES: readonly Case[] = [
  ['a JPEG', 'image/jpeg', jpeg(640, 480), [640, 480, null]],
  ['a progressive JPEG', 'image/jpeg', jpeg(640, 480, [jpegSegment(0xc4, Buffer.alloc(30))], 0xc2), [640, 480, null]],
  ['a JPEG on its side', 'image/jpeg', jpeg(640, 480, [exifSegment(onItsSide)]), [480, 640, null]],
  [
    'a JPEG on its side, with 240 KB before its frame',
    'image/jpeg',
    jpeg(640, 480, [exifSegment(tiff('II', { orientation: 8 })), ...APP_SEGMENTS]),
    [480, 640, null],
  ],
  [
    'a JPEG with fill bytes and a segment without a length',
    'image/jpeg',
    jpeg(640, 480, [Buffer.from([0xff, 0x01]), Buffer.from([0xff, 0xff])]),
    [640, 480, null],
  ],
  [
    'a JPEG whose second EXIF disagrees',
    'image/jpeg',
    jpeg(640, 480, [exifSegment(tiff('II', { orientation: 1 })), exifSegment(onItsSide)]),
    [640, 480, null],
  ],
  ['a JPEG with broken EXIF', 'image/jpeg', jpeg(640, 480, [exifSegment(Buffer.from('II*\0'))]), [640, 480, null]],
  ['a JPEG whose height is to come', 'image/jpeg', jpeg(640, 0), NOTHING],
  ['a JPEG that begins with its scan', 'image/jpeg', jpeg(640, 480, [jpegSegment(0xda, Buffer.alloc(9))]), NOTHING],
  ['a PNG', 'image/png', png(640, 480), [640, 480, null]],
  ['a PNG on its side', 'image/png', png(640, 480, onItsSide), [480, 640, null]],
  ['a PNG without a width', 'image/png', png(0, 480), NOTHING],
  ['a PNG of 2^31 pixels', 'image/png', png(2 ** 31, 480), NOTHING],
  ['a PNG of 2^31 - 1 pixels', 'image/png', png(2 ** 31 - 1, 480), [2 ** 31 - 1, 480, null]],
  ['a GIF', 'image/gif', gif(640, 480), [640, 480, null]],
  ['a lossy WebP', 'image/webp', webp('VP8 ', 640, 480), [640, 480, null]],
  ['a lossless WebP', 'image/webp', webp('VP8L', 640, 480), [640, 480, null]],
  ['a WebP with a header', 'image/webp', webp('VP8X', 640, 480), [640, 480, null]],
  ['a BMP', 'image/bmp', bmp(640, 480), [640, 480, null]],
  ['a BMP from top to bottom', 'image/bmp', bmp(640, -480), [640, 480, null]],
  ['a BMP of negative width', 'image/bmp', bmp(-640, 480), NOTHING],
  ['a BMP of the first form', 'image/bmp', coreBmp(640, 480), [640, 480, null]],
  ['a TIFF', 'image/tiff', tiff('II', { width: 640, height: 480 }), [640, 480, null]],
  [
    'a TIFF on its side, whose directory is at the end',
    'image/tiff',
    tiff('MM', { width: 640, height: 480, orientation: 5, before: 300_000 }),
    [480, 640, null],
  ],
  [
    'a HEIC of tiles with a thumbnail',
    'image/heic',
    heif({
      primary: 9,
      properties: [property.extents(512, 512), property.extents(4_032, 3_024), property.extents(5_000, 5_000)],
      items: [
        [1, [1]],
        [9, [2]],
        [10, [3]],
      ],
    }),
    [4_032, 3_024, null],
  ],
  [
    'a HEIC on its side',
    'image/heic',
    heif({ primary: 1, properties: [property.extents(640, 480), property.rotation(3)], items: [[1, [1, 2]]] }),
    [480, 640, null],
  ],
  [
    'a HEIF upside down, with wide numbers',
    'image/heif',
    heif({
      primary: 70_000,
      properties: [property.other(), property.rotation(2), property.extents(640, 480)],
      items: [
        [1, [1]],
        [70_000, [1, 3, 2]],
      ],
      isWide: true,
      brand: 'mif1',
    }),
    [640, 480, null],
  ],
  [
    'an AVIF that is cropped, then turned',
    'image/avif',
    heif({
      primary: 1,
      properties: [property.extents(64, 64), property.crop(61, 41), property.rotation(1)],
      items: [[1, [1, 2, 3]]],
      brand: 'avif',
    }),
    [41, 61, null],
  ],
  [
    'a HEIC without a size',
    'image/heic',
    heif({ primary: 1, properties: [property.rotation(1)], items: [[1, [1]]] }),
    NOTHING,
  ],
];

const video = (options: TrackOptions, rest: MovieOptions = {}) =>
  movie({ duration: 12_345, ...rest, tracks: [track({ handler: 'soun' }), track(options)] });
const frontMovie = (bytes: Buffer, brand = 'isom') => join(fileType(brand), bytes, box('mdat', Buffer.alloc(1_000)));
const size = { width: 640, height: 480 };

const VIDEOS: readonly Case[] = [
  ['an MP4', 'video/mp4', frontMovie(video(size)), [640, 480, 12.345]],
  [
    'an MP4 whose movie is at its end',
    'video/mp4',
    join(fileType('isom'), box('free'), box('mdat', Buffer.alloc(200_000)), video(size)),
    [640, 480, 12.345],
  ],
  [
    'a QuickTime movie after 64-bit data',
    'video/quicktime',
    join(fileType('qt  '), box('wide'), boxHeader('mdat', 1, 116n), Buffer.alloc(100), video(size)),
    [640, 480, 12.345],
  ],
  [
    'an MP4 with 64-bit times, to its end',
    'video/mp4',
    join(
      fileType('isom'),
      boxHeader('moov', 0),
      video({ ...size, version: 1 }, { version: 1, duration: 90_000n, timescale: 600 }).subarray(8),
    ),
    [640, 480, 150],
  ],
  ['an MP4 turned by 90 degrees', 'video/mp4', frontMovie(video({ ...size, degrees: 90 })), [480, 640, 12.345]],
  ['an MP4 upside down', 'video/mp4', frontMovie(video({ ...size, degrees: 180 })), [640, 480, 12.345]],
  [
    'an MP4 turned by 270 degrees',
    'video/mp4',
    frontMovie(video({ ...size, degrees: 270, version: 1 })),
    [480, 640, 12.345],
  ],
  ['a 3GP with no size but of its samples', 'video/3gpp', frontMovie(video({ coded: [176, 144] })), [176, 144, 12.345]],
  [
    'a fragmented MP4 that tells its length',
    'video/mp4',
    frontMovie(video(size, { duration: 0, fragmentDuration: 4_200 })),
    [640, 480, 4.2],
  ],
  [
    'a fragmented MP4 that tells its first fragment',
    'video/mp4',
    frontMovie(video(size, { fragmentDuration: null })),
    [640, 480, null],
  ],
  ['an MP4 of no length', 'video/mp4', frontMovie(video(size, { duration: 0 })), [640, 480, null]],
  ['an MP4 of unknown length', 'video/mp4', frontMovie(video(size, { duration: 0xffffffff })), [640, 480, null]],
  [
    'an MP4 of unknown length in 64 bits',
    'video/mp4',
    frontMovie(video(size, { version: 1, duration: 0xffffffffffffffffn })),
    [640, 480, null],
  ],
  ['an MP4 without a time scale', 'video/mp4', frontMovie(video(size, { timescale: 0 })), [640, 480, null]],
  ['an MP4 of 101 days', 'video/mp4', frontMovie(video(size, { duration: 8_726_400, timescale: 1 })), [640, 480, null]],
  [
    'an MP4 of 100 days',
    'video/mp4',
    frontMovie(video(size, { duration: 8_640_000, timescale: 1 })),
    [640, 480, 8_640_000],
  ],
  ['sound in an MP4', 'audio/mp4', frontMovie(video(size), 'M4A '), [null, null, 12.345]],
  [
    'sound in a 3GP',
    'audio/3gpp; codecs="samr"',
    frontMovie(movie({ duration: 90, timescale: 60, tracks: [track({ handler: 'soun' })] }), '3gp4'),
    [null, null, 1.5],
  ],
  ['a WebM', 'video/webm', webm({ duration: 7_300, video: { 176: 640, 186: 480 } }), [640, 480, 7.3]],
  [
    'a WebM with pixels that are not square, and ticks of its own',
    'video/webm',
    webm({ duration: 73, nanosecondsPerTick: 100_000_000, video: { 176: 640, 186: 480, 21680: 853, 21690: 480 } }),
    [853, 480, 7.3],
  ],
  [
    'a WebM that is cropped, with an aspect for its size',
    'video/webm',
    webm({ video: { 176: 640, 186: 480, 21682: 3, 21680: 4, 21690: 3, 21674: 8, 21691: 8, 21708: 2, 21725: 2 } }),
    [636, 464, null],
  ],
  ['a live WebM', 'video/webm', webm({ video: { 176: 640, 186: 480 }, isLive: true }), [640, 480, null]],
  ['sound in a WebM', 'audio/webm', webm({ duration: 1_500, video: null }), [null, null, 1.5]],
  ['a WebM of negative length', 'video/webm', webm({ duration: -1, video: null }), NOTHING],
  ['a WebM whose length is no number', 'video/webm', webm({ duration: Number.NaN, video: null }), NOTHING],
];

const opusFirst = oggPage(0n, opusHead(312), { flags: FIRST_PAGE });
const sound = (seconds: number): Expected => [null, null, seconds];
const FRAME_SECONDS = 1_152 / 44_100;
const mp3 = (first: Buffer, count = 100) => join(first, times(count, mp3Frame(128)));

const SOUNDS: readonly Case[] = [
  [
    'a voice note',
    'audio/ogg; codecs=opus',
    join(opusFirst, oggPage(48_312n, Buffer.alloc(9_000)), oggPage(72_312n, Buffer.alloc(9_000))),
    sound(1.5),
  ],
  [
    'a voice note whose last page ends no packet',
    'audio/ogg',
    join(opusFirst, oggPage(48_312n, Buffer.alloc(9_000)), oggPage(-1n, Buffer.alloc(9_000))),
    sound(1),
  ],
  [
    'Vorbis after another stream, and among its pages',
    'audio/ogg',
    join(
      oggPage(0n, Buffer.from('fishead\0'), { serial: 2, flags: FIRST_PAGE }),
      oggPage(0n, vorbisHead(44_100), { serial: 7, flags: FIRST_PAGE }),
      oggPage(88_200n, Buffer.alloc(500), { serial: 7 }),
      times(3, oggPage(5_000_000n, Buffer.alloc(60_000), { serial: 2 })),
    ),
    sound(2),
  ],
  ['an Ogg of something else', 'audio/ogg', oggPage(0n, Buffer.from('Speex   '), { flags: FIRST_PAGE }), NOTHING],
  ['an Opus stream of its pre-skip alone', 'audio/ogg', join(opusFirst, oggPage(300n, Buffer.alloc(9))), NOTHING],
  ['an MP3 of one bit rate', 'audio/mpeg', mp3(mp3Frame(128)), sound(101 * FRAME_SECONDS)],
  [
    'an MP3 between tags',
    'audio/mpeg',
    join(id3v2(300_000), mp3(mp3Frame(128)), Buffer.alloc(128, 'TAG')),
    sound(101 * FRAME_SECONDS),
  ],
  [
    'an MP3 that counts its frames',
    'audio/mpeg',
    mp3(mp3Frame(64, { at: 21, bytes: xing('Xing', 5_000) })),
    sound(5_000 * FRAME_SECONDS),
  ],
  [
    'an MP3 of one bit rate that counts its frames',
    'audio/mpeg',
    mp3(mp3Frame(64, { at: 21, bytes: xing('Info', 99) })),
    sound(99 * FRAME_SECONDS),
  ],
  [
    "an MP3 of Fraunhofer's",
    'audio/mpeg',
    mp3(mp3Frame(64, { at: 36, bytes: vbri(4_000) })),
    sound(4_000 * FRAME_SECONDS),
  ],
  [
    'an MP3 of several bit rates that counts nothing',
    'audio/mpeg',
    join(times(100, mp3Frame(64)), times(100, mp3Frame(320)), times(100, mp3Frame(64))),
    sound(300 * FRAME_SECONDS),
  ],
  [
    'an MP3 whose bit rate changes late',
    'audio/mpeg',
    join(times(400, mp3Frame(64)), times(600, mp3Frame(320))),
    sound(1_000 * FRAME_SECONDS),
  ],
  [
    'an MP3 with something else in its middle',
    'audio/mpeg',
    join(times(50, mp3Frame(64)), Buffer.alloc(5_000, 0xff), times(50, mp3Frame(320))),
    sound(100 * FRAME_SECONDS),
  ],
  ['an MP3 that is none', 'audio/mpeg', Buffer.alloc(5_000, 0xff), NOTHING],
  [
    'AAC',
    'audio/aac',
    join(id3v2(50), times(50, adtsFrame(100)), times(50, adtsFrame(700))),
    sound((100 * 1_024) / 16_000),
  ],
  ['AAC of two megabytes, by its first', 'audio/aac', times(8_000, adtsFrame(256)), sound((8_000 * 1_024) / 16_000)],
  [
    'AMR with silence in it',
    'audio/amr',
    join(Buffer.from('#!AMR\n'), times(100, amrFrame(7, 32)), times(40, amrFrame(8, 6)), times(10, amrFrame(15, 1))),
    sound(3),
  ],
  ['AMR-WB', 'audio/amr', join(Buffer.from('#!AMR-WB\n'), times(100, amrFrame(2, 33))), sound(2)],
  ['AMR of several channels', 'audio/amr', Buffer.from('#!AMR_MC1.0\n\0\0\0\x02'), NOTHING],
  ['WAV', 'audio/wav', join(wav({}, Buffer.alloc(24_000)), Buffer.alloc(400)), sound(1.5)],
  ['WAV that was written to a pipe', 'audio/wav', wav({}, Buffer.alloc(24_000), 0xffffffff), sound(1.5)],
  ['WAV that was never finished', 'audio/wav', wav({}, Buffer.alloc(24_000), 0), sound(1.5)],
  ['WAV that counts its samples', 'audio/wav', wav({ format: 0x11, samples: 20_000 }, Buffer.alloc(99)), sound(2.5)],
  ['WAV without a rate', 'audio/wav', wav({ bytesPerSecond: 0 }, Buffer.alloc(99)), NOTHING],
  ['FLAC', 'audio/flac', flac(44_100, 66_150), sound(1.5)],
  ['FLAC of more than 32 bits', 'audio/x-flac', join(id3v2(70_000), flac(96_000, 2 ** 33)), sound(2 ** 33 / 96_000)],
  ['FLAC of unknown length', 'audio/flac', flac(44_100, 0), NOTHING],
];

const ALL = [...PICTURES, ...VIDEOS, ...SOUNDS];

describe.each([
  ['pictures', PICTURES],
  ['videos', VIDEOS],
  ['sounds', SOUNDS],
])('the measures of %s', (_kind, cases) => {
  it.each(cases)('are found: %s', async (_what, mimeType, bytes, [width, height, seconds]) => {
    const found = await measured(mimeType, bytes);
    expect(found).toMatchObject({ width, height });
    if (seconds === null) expect(found.durationSeconds).toBeNull();
    else expect(found.durationSeconds).toBeCloseTo(seconds, 3);
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
    expect({ isShown: width !== null && height !== null, isHeard: durationSeconds !== null }).toEqual({
      isShown: name !== 'voiceNote',
      isHeard: has !== null,
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
    'are not looked for in %j',
    async (mimeType) => {
      const found = await measured(mimeType, png(640, 480));
      expect(found).toEqual({ width: null, height: null, durationSeconds: null, reads: 0, readBytes: 0 });
    },
  );

  it('are null for what is empty', async () => {
    for (const [, mimeType] of ALL) {
      expect(await measured(mimeType, Buffer.alloc(0))).toMatchObject({ width: null, height: null, reads: 0 });
    }
  });

  it('are null for what is something else', async () => {
    for (const [, mimeType] of ALL) {
      for (const byte of [0x00, 0x01, 0x20, 0x47, 0x4f, 0xff]) {
        const found = await measured(mimeType, Buffer.alloc(3_000, byte));
        expect([mimeType, byte, found]).toEqual([
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

  it('reject where a part could be done without, too', async () => {
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

  it('are null where a source gives fewer bytes than it said', async () => {
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
    const found = await measuredParts('video/mp4', at + end.length, parts);
    expect(found).toMatchObject({ ...size, durationSeconds: 12.345 });
    expect(found.reads).toBeLessThanOrEqual(3);
  });

  it('takes the first and the last blocks of an hour of Opus', async () => {
    const last = oggPage(172_800_312n, Buffer.alloc(60_000));
    const sizeBytes = 60_000_000;
    const parts = [
      { at: 0, bytes: opusFirst },
      { at: sizeBytes - last.length, bytes: last },
    ];
    const found = await measuredParts('audio/ogg; codecs=opus', sizeBytes, parts);
    expect(found.durationSeconds).toBe(3_600);
    expect(found.reads).toBeLessThanOrEqual(3);
  });

  it('stops, whatever the format, after a megabyte', async () => {
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

/** How often a file is cut off somewhere, times 97. */
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
  ])('are left alone in time: %s', async (_what, mimeType, bytes) => {
    await measured(mimeType, bytes);
  });

  it.each(ALL)('of %s, cut off anywhere, are no fault', async (_what, mimeType, bytes) => {
    for (let length = 1; length < bytes.length; length += Math.max(97, Math.floor(bytes.length / CUTS) * 97)) {
      await measured(mimeType, bytes.subarray(0, length));
    }
  });

  it.each(ALL)('of %s, with bytes changed, are no fault', async (what, mimeType, bytes) => {
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

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=25:duration=3.2'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=7.3:sample_rate=44100'];
const NOISE = ['-f', 'lavfi', '-i', 'anoisesrc=duration=40:sample_rate=44100'];
const H264 = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p'];

/** What ffmpeg makes: the file, its type, the encoders it takes, the arguments. */
const MADE: ReadonlyArray<readonly [string, string, readonly string[], readonly string[]]> = [
  ['end.mp4', 'video/mp4', ['libx264', 'aac'], [...PICTURE, ...TONE, ...H264, '-c:a', 'aac']],
  ['front.mp4', 'video/mp4', ['libx264'], [...PICTURE, ...H264, '-movflags', '+faststart']],
  ['sound.mov', 'video/quicktime', ['libx264', 'aac'], [...PICTURE, ...TONE, ...H264, '-c:a', 'aac']],
  ['picture.3gp', 'video/3gpp', ['h263'], [...PICTURE, '-vf', 'scale=352:288,setsar=1', '-c:v', 'h263']],
  ['vp8.webm', 'video/webm', ['libvpx', 'libopus'], [...PICTURE, ...TONE, '-c:v', 'libvpx', '-c:a', 'libopus']],
  ['opus.ogg', 'audio/ogg; codecs=opus', ['libopus'], [...NOISE, '-c:a', 'libopus']],
  ['vorbis.ogg', 'audio/ogg', ['libvorbis'], [...TONE, '-c:a', 'libvorbis']],
  ['constant.mp3', 'audio/mpeg', ['libmp3lame'], [...TONE, '-b:a', '128k']],
  ['variable.mp3', 'audio/mpeg', ['libmp3lame'], [...TONE, '-q:a', '4']],
  ['mpeg2.mp3', 'audio/mpeg', ['libmp3lame'], [...TONE, '-ar', '22050', '-ac', '1', '-b:a', '32k']],
  ['bare.mp3', 'audio/mpeg', ['libmp3lame'], [...NOISE, '-q:a', '4', '-write_xing', '0']],
  [
    'tagged.mp3',
    'audio/mpeg',
    ['libmp3lame'],
    [...TONE, '-write_xing', '0', '-write_id3v1', '1', '-metadata', 'title=x'],
  ],
  ['sound.m4a', 'audio/mp4', ['aac'], [...TONE, '-c:a', 'aac']],
  ['sound.3gp', 'audio/3gpp', ['aac'], [...TONE, '-c:a', 'aac']],
  ['short.aac', 'audio/aac', ['aac'], [...TONE, '-c:a', 'aac']],
  ['long.aac', 'audio/aac', ['aac'], [...NOISE, '-c:a', 'aac']],
  ['pcm.wav', 'audio/wav', ['pcm_s16le'], [...TONE]],
  ['adpcm.wav', 'audio/wav', ['adpcm_ima_wav'], [...TONE, '-c:a', 'adpcm_ima_wav']],
  ['sound.flac', 'audio/flac', ['flac'], [...TONE]],
  ['still.jpg', 'image/jpeg', ['mjpeg'], [...PICTURE, '-frames:v', '1']],
  ['still.png', 'image/png', ['png'], [...PICTURE, '-frames:v', '1']],
  ['still.webp', 'image/webp', ['libwebp'], [...PICTURE, '-frames:v', '1']],
  ['still.bmp', 'image/bmp', ['bmp'], [...PICTURE, '-frames:v', '1']],
  ['still.tiff', 'image/tiff', ['tiff'], [...PICTURE, '-frames:v', '1']],
  ['some.gif', 'image/gif', ['gif'], [...PICTURE, '-t', '0.2']],
];

const encoders = await encodersOfFfmpeg();
const canMake = MADE.filter(([, , needed]) => needed.every((encoder) => encoders.has(encoder)));
const hasHeif = await isInstalled('heif-enc', '--help');
const leftOut = MADE.filter((made) => !canMake.includes(made)).map(([file]) => file);
if (!hasHeif) leftOut.push('heif-enc');
if (leftOut.length > 0) process.stdout.write(`left out, because ffmpeg cannot make it: ${leftOut.join(', ')}\n`);

if (canMake.length + Number(hasHeif) > 0) {
  describe('what tools of this machine write', () => {
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(pathOf(tmpdir(), 'mediagraph-measure-'));
    });

    afterAll(async () => {
      await rm(folder, { recursive: true });
    });

    if (canMake.length > 0) {
      it.each(canMake)('is measured as ffprobe does: %s', async (file, mimeType, _encoders, args) => {
        const path = pathOf(folder, file);
        await printedBy('ffmpeg', '-v', 'error', ...args, path);
        const { width, height, durationSeconds } = await measured(mimeType, await readFile(path));
        const probed = await probe(path);
        const isSound = mimeType.startsWith('audio/');
        expect([width, height]).toEqual(isSound ? [null, null] : [probed.width, probed.height]);
        if (mimeType.startsWith('image/')) return;
        // Where no header tells it, ffprobe guesses by the bit rate; the packets that it counts do not.
        const seconds = /^(bare|tagged|.*aac)/.test(file) ? probed.packetSeconds : probed.seconds;
        expect(Math.abs((durationSeconds ?? 0) - seconds)).toBeLessThan(0.05);
      });
    }

    if (hasHeif) {
      it.each([
        [640, 480],
        [61, 41],
        [1, 1],
      ])('is measured as it was drawn: HEIC of %d x %d', async (width, height) => {
        const [drawn, encoded] = ['drawn.png', 'encoded.heic'].map((name) => pathOf(folder, `${width}-${name}`));
        if (drawn === undefined || encoded === undefined) throw new Error('expected two paths');
        const create = { width, height, channels: 3, background: 'red' } as const;
        await writeFile(drawn, await sharp({ create }).png().toBuffer());
        await printedBy('heif-enc', drawn, '-o', encoded);
        expect(await measured('image/heic', await readFile(encoded))).toMatchObject({ width, height });
      });
    }
  });
}

/** Of the container, and of all its packets added up. */
async function probe(path: string) {
  const entries = 'format=duration:stream=width,height:packet=duration_time';
  const printed = await printedBy('ffprobe', '-v', 'error', '-of', 'json', '-show_entries', entries, path);
  const { format, streams, packets }: Probed = JSON.parse(printed);
  const [picture] = streams.filter(({ width }) => width !== undefined);
  const packetSeconds = packets.reduce((sum, { duration_time }) => sum + Number(duration_time), 0);
  return { seconds: Number(format.duration), packetSeconds, width: picture?.width, height: picture?.height };
}

interface Probed {
  readonly format: { readonly duration?: string };
  readonly streams: ReadonlyArray<{ readonly width?: number; readonly height?: number }>;
  readonly packets: ReadonlyArray<{ readonly duration_time?: string }>;
}
