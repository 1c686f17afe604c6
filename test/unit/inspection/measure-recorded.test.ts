import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import sharp from 'sharp';
import { encodersOfFfmpeg, isInstalled, printedBy } from '../../support/installed-tools.js';
import { measured } from '../../support/measured-source.js';

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=25:duration=3.2'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=7.3:sample_rate=44100'];
const NOISE = ['-f', 'lavfi', '-i', 'anoisesrc=duration=40:sample_rate=44100'];
const H264 = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p'];

/** Files that ffmpeg makes: name, type, required encoders, and arguments. */
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

/** What this machine lacks counts as skipped, so that the suite runs again where it is. */
const describeFfmpeg = canMake.length > 0 ? describe : describe.skip;
const describeHeif = hasHeif ? describe : describe.skip;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(pathOf(tmpdir(), 'mediagraph-measure-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describeFfmpeg('what ffmpeg writes', () => {
  it.each(canMake.length > 0 ? canMake : MADE)(
    'is measured as ffprobe does: %s',
    async (file, mimeType, _encoders, args) => {
      const path = pathOf(folder, file);
      await printedBy('ffmpeg', '-v', 'error', ...args, path);
      const { width, height, durationSeconds } = await measured(mimeType, await readFile(path));
      const probed = await probe(path);
      const isSound = mimeType.startsWith('audio/');
      expect([width, height]).toEqual(isSound ? [null, null] : [probed.width, probed.height]);
      if (mimeType.startsWith('image/')) return;
      // Where no header tells the length, ffprobe estimates it by the bit rate. The sum of its packets is exact.
      const seconds = /^(bare|tagged|.*aac)/.test(file) ? probed.packetSeconds : probed.seconds;
      expect(Math.abs((durationSeconds ?? 0) - seconds)).toBeLessThan(0.05);
    },
  );
});

describeHeif('what heif-enc writes', () => {
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
});

/** The size and length by the container, and the sum of all packets. */
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
