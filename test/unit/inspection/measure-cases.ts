import {
  box,
  boxHeader,
  fileType,
  heif,
  type MovieOptions,
  movie,
  property,
  type TrackOptions,
  track,
  webm,
} from '../../support/box-bytes.js';
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
export type Case = readonly [what: string, mimeType: string, bytes: Buffer, expected: Expected];

const NOTHING: Expected = [null, null, null];
export const times = (count: number, bytes: Buffer) => Buffer.concat(Array<Buffer>(count).fill(bytes));
export const join = (...parts: readonly Buffer[]) => Buffer.concat(parts);

export const APP_SEGMENTS = Array<Buffer>(4).fill(jpegSegment(0xe2, Buffer.alloc(60_000)));
export const onItsSide = tiff('MM', { orientation: 6 });

export const PICTURES: readonly Case[] = [
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

export const video = (options: TrackOptions, rest: MovieOptions = {}) =>
  movie({ duration: 12_345, ...rest, tracks: [track({ handler: 'soun' }), track(options)] });
const frontMovie = (bytes: Buffer, brand = 'isom') => join(fileType(brand), bytes, box('mdat', Buffer.alloc(1_000)));
export const size = { width: 640, height: 480 };

export const VIDEOS: readonly Case[] = [
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

export const opusFirst = oggPage(0n, opusHead(312), { flags: FIRST_PAGE });
const sound = (seconds: number): Expected => [null, null, seconds];
const FRAME_SECONDS = 1_152 / 44_100;
const mp3 = (first: Buffer, count = 100) => join(first, times(count, mp3Frame(128)));

export const SOUNDS: readonly Case[] = [
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

export const ALL = [...PICTURES, ...VIDEOS, ...SOUNDS];
