import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { deflateSync } from 'node:zlib';
import { element, fileType, movie, track, webm } from '../../support/box-bytes.js';
import { Chance } from '../../support/chance.js';
import { encodersOfFfmpeg, printedBy } from '../../support/installed-tools.js';
import { lookedAt } from '../../support/looked-at.js';
import { jpeg, jpegSegment } from '../../support/picture-bytes.js';
import { pdfOf } from '../../support/pictures.js';
import {
  adtsFrame,
  amrFrame,
  FIRST_PAGE,
  flac,
  id3v2,
  mp3Frame,
  oggPage,
  opusHead,
  xing,
} from '../../support/sound-bytes.js';

const join = (...parts: readonly Buffer[]) => Buffer.concat(parts);
const times = (count: number, bytes: Buffer) => Buffer.concat(Array<Buffer>(count).fill(bytes));
const FRAME_SECONDS = 1_152 / 44_100;

/** Opus packets of 20 ms (RFC 6716, section 3.1), each on a page of its own, from a granule position on. */
function opusPages(count: number, { from = 0, serial = 1 } = {}): Buffer {
  const page = (nth: number) => oggPage(BigInt(from + (nth + 1) * 960), Buffer.from([0x78, 1, 2]), { serial });
  return join(
    oggPage(0n, opusHead(0), { flags: FIRST_PAGE, serial }),
    oggPage(0n, Buffer.from('OpusTags'), { serial }),
    ...Array.from({ length: count }, (_, nth) => page(nth)),
  );
}

async function seconds(mimeType: string, bytes: Buffer): Promise<number> {
  return (await lookedAt(mimeType, bytes)).measures.durationSeconds ?? 0;
}

describe('the length of sound, by all of its bytes', () => {
  it.each<[string, string, Buffer, number]>([
    ['Ogg that begins at zero', 'audio/ogg; codecs=opus', opusPages(50), 1],
    ['Ogg that was cut out of something longer', 'audio/ogg', opusPages(50, { from: 48_000 * 600 }), 1],
    ['chained Ogg', 'audio/ogg', join(opusPages(50), opusPages(25, { serial: 2 }), opusPages(75, { serial: 3 })), 3],
    ['chained Ogg of one serial number', 'audio/ogg', join(opusPages(50), opusPages(50)), 2],
    ['Ogg with something else between its pages', 'audio/ogg', join(opusPages(50), Buffer.alloc(70_000)), 1],
    ['Ogg cut short', 'audio/ogg', opusPages(50).subarray(0, -10), 0.98],
    ['AAC that changes late', 'audio/aac', join(times(9_000, adtsFrame(256)), times(1_000, adtsFrame(64))), 640],
    ['AAC behind cover art, taken for MP3', 'audio/mpeg', join(id3v2(90_000), times(100, adtsFrame(100))), 6.4],
    ['FLAC behind cover art, taken for MP3', 'audio/mpeg', join(id3v2(90_000), flac(44_100, 66_150)), 1.5],
    [
      'AMR whose silence comes late',
      'audio/amr',
      join(Buffer.from('#!AMR\n'), times(40_000, amrFrame(7, 32)), times(5_000, amrFrame(15, 1))),
      900,
    ],
    [
      'MP3 whose bit rate changes late',
      'audio/mpeg',
      join(...[64, 320].map((rate) => times(2_000, mp3Frame(rate)))),
      4_000 * FRAME_SECONDS,
    ],
    [
      'MP3 that was cut short behind a header that counts more',
      'audio/mpeg',
      join(mp3Frame(64, { at: 21, bytes: xing('Xing', 5_000) }), times(100, mp3Frame(128))),
      100 * FRAME_SECONDS,
    ],
  ])('%s', async (_what, mimeType, bytes, expected) => {
    expect(await seconds(mimeType, bytes)).toBeCloseTo(expected, 1);
  });

  it('recognises the frames behind a tag', async () => {
    expect((await lookedAt('audio/mpeg', join(id3v2(90_000), times(100, adtsFrame(100))))).mimeType).toBe('audio/aac');
    expect((await lookedAt('audio/mpeg', join(id3v2(90_000), flac(44_100, 9)))).mimeType).toBe('audio/flac');
    expect((await lookedAt('audio/mpeg', join(id3v2(90_000), times(99, mp3Frame(128))))).mimeType).toBeNull();
  });

  it('of a live WebM is that of its blocks', async () => {
    const block = (id: number, time: number) => element(id, Buffer.from([0x81, time >> 8, time & 255, 0x80, 1, 2, 3]));
    const cluster = (at: number) =>
      element(0x1f43b675, [
        element(0xe7, Buffer.from([at >> 8, at & 255])),
        block(0xa3, 0),
        element(0xa0, [block(0xa1, 960), element(0x9b, Buffer.from([40]))]),
      ]);
    const live = webm({ video: { 176: 64, 186: 48 }, isLive: true });
    const { measures } = await lookedAt('video/webm', join(live, cluster(0), cluster(1_000), cluster(7_000)));
    expect(measures).toMatchObject({ width: 64, height: 48, durationSeconds: 8 });
  });
});

describe('what a container is', () => {
  const sound = track({ handler: 'soun' });
  const picture = track({ width: 640, height: 480 });
  const file = (...tracks: readonly Buffer[]) => join(fileType('isom'), movie({ duration: 2_000, tracks }));

  it.each<[string, string, Buffer, string | null, string | null]>([
    ['an MP4 of sound', 'video/mp4', file(sound), 'audio/mp4', 'AUDIO'],
    ['a QuickTime file of sound', 'video/quicktime', file(sound), 'audio/mp4', 'AUDIO'],
    ['a 3GP of sound', 'video/3gpp', file(sound), 'audio/3gpp', 'AUDIO'],
    ['a 3G2 of sound', 'video/3gpp2', file(sound), 'audio/3gpp2', 'AUDIO'],
    ['a video that was called sound', 'audio/mp4', file(sound, picture), 'video/mp4', 'VIDEO'],
    ['a video', 'video/mp4', file(sound, picture), null, 'VIDEO'],
    ['a WebM of sound', 'video/webm', webm({ duration: 9, video: null }), 'audio/webm', 'AUDIO'],
    ['a Matroska of sound', 'video/matroska', webm({ duration: 9, video: null }), 'audio/matroska', 'AUDIO'],
    ['a WebM video that was called sound', 'audio/webm', webm({ video: { 176: 9, 186: 9 } }), 'video/webm', 'VIDEO'],
    ['Ogg of sound that was called a video', 'video/ogg', opusPages(9), 'audio/ogg', 'AUDIO'],
    ['a container whose tracks cannot be read', 'video/mp4', file().subarray(0, 30), null, null],
    ['a picture', 'image/jpeg', jpeg(64, 48), null, null],
  ])('is recognised by its tracks: %s', async (_what, mimeType, bytes, corrected, kind) => {
    expect(await lookedAt(mimeType, bytes)).toMatchObject({ mimeType: corrected, kind });
  });

  it('has the size of a video that was declared as sound, and none for sound', async () => {
    expect((await lookedAt('audio/mp4', file(sound, picture))).measures).toMatchObject({ width: 640, height: 480 });
    expect((await lookedAt('video/mp4', file(sound))).measures).toMatchObject({ width: null, durationSeconds: 2 });
  });
});

describe('the size of a JPEG', () => {
  it.each([
    ['one', Buffer.from([0])],
    ['many', Buffer.alloc(40_000, 0x20)],
    ['ones that look like a marker', Buffer.from([0xff, 0, 0xff, 0])],
  ])('is found behind stray bytes: %s', async (_what, stray) => {
    const bytes = jpeg(640, 480, [
      jpegSegment(0xe0, Buffer.alloc(9)),
      stray,
      jpegSegment(0xfe, Buffer.alloc(9)),
      stray,
    ]);
    expect((await lookedAt('image/jpeg', bytes)).measures).toMatchObject({ width: 640, height: 480 });
  });
});

describe('the pages of a PDF', () => {
  const document = (...objects: readonly string[]) => Buffer.from(`%PDF-1.7\n${objects.join('\n')}\n%%EOF`, 'latin1');
  const objectStream = (text: string) =>
    `9 0 obj <</Type/ObjStm/N 1/First 5/Filter/FlateDecode>> stream\r\n${deflateSync(`1 0 \n${text}`).toString('latin1')}\nendstream endobj`;

  it.each<[string, Buffer, number | null]>([
    ['one', pdfOf(200, 100), 1],
    [
      'by the root of its tree',
      document('<</Type /Pages /Parent 1 0 R /Count 3>>', '<< /Type /Pages /Count 12 >>'),
      12,
    ],
    ['of many kids', document(`<</Type/Pages/Kids[${'3 0 R '.repeat(9_000)}]/Count 9000>>`), 9_000],
    ['in a stream of objects', document(objectStream('<</Type/Pages/Kids[2 0 R]/Count 7>>')), 7],
    ['encrypted', pdfOf(200, 100, { encrypted: true }), null],
    ['changed, so that there are two', document('<</Type/Pages/Count 2>>', '<</Type/Pages/Count 3>>'), null],
    ['not told', document('<</Type/Catalog>>'), null],
    ['more than any has', document('<</Type/Pages/Count 9999999>>'), null],
    ['of another name', document('<</Type/PagesTree/Count 2>>'), null],
    ['by a reference', document('<</Type/Pages/Count 2 0 R>>'), null],
  ])('are counted: %s', async (_what, bytes, expected) => {
    expect((await lookedAt('application/pdf', bytes)).pageCount).toBe(expected);
  });

  it('are not counted in data that inflates without end', async () => {
    const bomb = deflateSync(Buffer.alloc(2 ** 25)).toString('latin1');
    const stream = `9 0 obj <</Type/ObjStm/Filter/FlateDecode>> stream\n${bomb}\nendstream`;
    expect((await lookedAt('application/pdf', document(...Array<string>(50).fill(stream)))).pageCount).toBeNull();
  });
});

describe('hostile bytes', () => {
  const head = (mimeType: string): Buffer =>
    Buffer.from(
      { 'video/vnd.avi': 'RIFF\xff\xff\xff\xffAVI LIST', 'video/x-flv': 'FLV\x01\x05\0\0\0\x09' }[mimeType] ?? '',
      'latin1',
    );
  const TYPES = [
    'audio/ogg',
    'video/mp2t',
    'video/mpeg',
    'video/x-flv',
    'video/vnd.avi',
    'video/x-ms-asf',
    'audio/flac',
    'audio/aac',
    'audio/mpeg',
    'audio/amr',
    'audio/aiff',
    'video/webm',
    'video/mp4',
    'application/pdf',
  ];

  it.each(TYPES)('are given up in bounded time: %s', async (mimeType) => {
    const patterns = [
      'OggS\0',
      '\0\0\x01\xe0\0\0\x80\x80',
      '\xff\xf8\xc9',
      '\x1fC\xb6u',
      '/Pages /ObjStm stream',
      'moof\0\0\0\x01',
    ];
    for (const pattern of patterns) {
      const bytes = join(head(mimeType), Buffer.alloc(1_500_000, pattern, 'latin1'));
      await lookedAt(mimeType, bytes);
    }
  });

  it.each(TYPES)('that are random or cut short cause no error: %s', async (mimeType) => {
    const chance = new Chance(`look ${mimeType}`);
    const samples = [opusPages(20), webm({ video: { 176: 9, 186: 9 }, isLive: true }), flac(44_100, 0), pdfOf(9, 9)];
    for (let nth = 0; nth < 60; nth++) {
      const bytes = Buffer.from(samples[nth % samples.length] ?? '');
      for (let left = chance.below(6); left > 0; left--)
        bytes.writeUInt8(chance.below(256), chance.below(bytes.length));
      const { measures } = await lookedAt(mimeType, bytes.subarray(0, 1 + chance.below(bytes.length)));
      expect(measures.durationSeconds === null || measures.durationSeconds > 0).toBe(true);
    }
  });
});

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=25:duration=3.2'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=7.3:sample_rate=44100'];
const BOTH = [...PICTURE, ...TONE];
const H264 = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p'];
const FRAGMENTS = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof'];

/** Files that ffmpeg makes: name, type, required encoders, arguments, and the length of the decoded media. */
const MADE: ReadonlyArray<readonly [string, string, readonly string[], readonly string[], number]> = [
  ['fragments.mp4', 'video/mp4', ['libx264', 'aac'], [...BOTH, ...H264, '-c:a', 'aac', ...FRAGMENTS], 7.3],
  ['fragments.m4a', 'audio/mp4', ['aac'], [...TONE, '-c:a', 'aac', ...FRAGMENTS, '-f', 'mp4'], 7.3],
  ['live.webm', 'video/webm', ['libvpx', 'libopus'], [...BOTH, '-c:v', 'libvpx', '-c:a', 'libopus', '-live', '1'], 7.3],
  ['speex.ogg', 'audio/ogg', ['libspeex'], [...TONE, '-ar', '16000', '-c:a', 'libspeex'], 7.3],
  ['flac.ogg', 'audio/ogg', ['flac'], [...TONE, '-c:a', 'flac'], 7.3],
  ['theora.ogv', 'video/ogg', ['libtheora'], [...PICTURE, '-c:v', 'libtheora'], 3.2],
  ['vorbis.ogg', 'audio/ogg', ['libvorbis'], [...TONE, '-c:a', 'libvorbis'], 7.3],
  ['piped.flac', 'audio/flac', ['flac'], [...TONE, '-c:a', 'flac', '-f', 'flac', 'pipe:1'], 7.3],
  ['sound.aiff', 'audio/aiff', ['pcm_s16be'], [...TONE], 7.3],
  ['video.avi', 'video/vnd.avi', ['mpeg4'], [...PICTURE, '-c:v', 'mpeg4'], 3.2],
  ['video.flv', 'video/x-flv', ['flv'], [...PICTURE, '-c:v', 'flv1'], 3.2],
  ['video.ts', 'video/mp2t', ['mpeg2video'], [...PICTURE, '-c:v', 'mpeg2video'], 3.2],
  ['video.mpg', 'video/mpeg', ['mpeg1video'], [...PICTURE, '-c:v', 'mpeg1video'], 3.2],
  ['video.wmv', 'video/x-ms-asf', ['wmv2'], [...PICTURE, '-c:v', 'wmv2'], 3.2],
];

const encoders = await encodersOfFfmpeg();
const canMake = MADE.filter(([, , needed]) => needed.every((encoder) => encoders.has(encoder)));
const leftOut = MADE.filter((made) => !canMake.includes(made)).map(([file]) => file);
if (leftOut.length > 0) process.stdout.write(`left out, because ffmpeg cannot make it: ${leftOut.join(', ')}\n`);

if (canMake.length > 0)
  describe('what tools of this machine write', () => {
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(pathOf(tmpdir(), 'mediagraph-look-'));
    });

    afterAll(() => rm(folder, { recursive: true }));

    /** With `pipe:1` the writer cannot seek back to its header. */
    async function made(file: string, args: readonly string[]): Promise<Buffer> {
      const path = pathOf(folder, file);
      const isPiped = args.includes('pipe:1');
      const shell = ['-c', `exec ffmpeg "$@" >"$0"`, path, '-v', 'error', ...args];
      await (isPiped ? printedBy('/bin/sh', ...shell) : printedBy('ffmpeg', '-v', 'error', ...args, path));
      return await readFile(path);
    }

    it.each(canMake)('equals the decoded length: %s', async (file, mimeType, _encoders, args, expected) => {
      const result = await lookedAt(mimeType, await made(file, args));
      expect(Math.abs((result.measures.durationSeconds ?? 0) - expected)).toBeLessThan(0.3);
      expect(result.kind).toBe(
        /^(audio\/(aiff|flac))/.test(mimeType) ? null : mimeType.startsWith('audio/') ? 'AUDIO' : 'VIDEO',
      );
    });

    if (encoders.has('libvorbis') && encoders.has('libtheora'))
      it.each([
        ['vorbis', 'audio/ogg', [...TONE, '-c:a', 'libvorbis']],
        ['theora', 'video/ogg', [...PICTURE, '-c:v', 'libtheora', '-g', '5']],
      ])('equals the remaining length when its front was cut off: %s', async (name, mimeType, args) => {
        await made(`whole-${name}.ogg`, args);
        const whole = pathOf(folder, `whole-${name}.ogg`);
        const cut = await made(`cut-${name}.ogg`, ['-ss', '2', '-i', whole, '-c', 'copy', '-copyts', '-muxdelay', '0']);
        const path = pathOf(folder, `cut-${name}.ogg`);
        const counted = ['-of', 'csv=p=0', '-show_entries', 'packet=duration_time'];
        const packets = (await printedBy('ffprobe', '-v', 'error', ...counted, path)).trim().split('\n').map(Number);
        const expected = packets.reduce((sum, seconds) => sum + (seconds || 0), 0);
        expect(Math.abs((await seconds(mimeType, cut)) - expected)).toBeLessThan(0.3);
      });
  });
