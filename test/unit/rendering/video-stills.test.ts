import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { thumbHashToApproximateAspectRatio } from 'thumbhash';
import { findTools } from '../../../src/rendering/tools/tools.js';
import { describeWith } from '../../support/daemon.js';
import { encodersOfFfmpeg } from '../../support/installed-tools.js';
import { HEIGHT, quarters, seen, sourceOf, UPRIGHT, WIDTH } from '../../support/pictures.js';
import { HTML, MAX_PIXELS, refusalOf, StillHarness, TURNED } from './still-harness.js';

const { PATH = '' } = process.env;
const tools = await findTools(PATH);
const harness = new StillHarness(PATH);

describeWith('ffmpeg', tools.ffmpeg !== null, 'a still of a video', () => {
  const types = [
    ['video/mp4', 'v.mp4', 'mpeg4'],
    ['video/3gpp', 'v.3gp', 'mpeg4'],
    ['video/quicktime', 'v.mov', 'mpeg4'],
    ['video/webm', 'v.webm', 'libvpx'],
    ['video/x-m4v', 'v.m4v', 'mpeg4'],
    ['video/3gpp2', 'v.3g2', 'mpeg4'],
    ['video/matroska', 'v.mkv', 'mpeg4'],
    ['video/vnd.avi', 'v.avi', 'mpeg4'],
    ['video/mp2t', 'v.ts', 'mpeg4'],
    ['video/x-flv', 'v.flv', 'flv1'],
  ] as const;
  const frames = ['-framerate', '5', '-i', 'frame%d.png', '-q:v', '2', '-b:v', '2M'];

  beforeAll(async () => {
    const plain = quarters(['white', 'white', 'white', 'white']);
    await quarters().png().toFile(join(harness.folder, 'frame1.png'));
    await plain.png().toFile(join(harness.folder, 'frame2.png'));
  });

  it.each(types)('%s is its first frame', async (mimeType, name, codec) => {
    const video = await harness.record(name, ...frames, '-c:v', codec, '-metadata', 'title=canary-exif');
    expect(video.includes('canary-exif')).toBe(true);
    const bytes = await harness.still(video, mimeType);
    expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
    expect(bytes.includes('canary')).toBe(false);
    const small = await seen(await harness.still(video, mimeType, { width: 20, height: 20, fit: 'cover' }));
    expect([small.width, small.height]).toEqual([20, 20]);
  });

  it('comes with its size, and with the frame for further stills', async () => {
    const video = await harness.record('based.mkv', ...frames, '-c:v', 'mpeg4');
    expect([...harness.renderer.baseTypes]).toContain('video/matroska');
    const { width, height, base } = await harness.renderer.preview(sourceOf(video, 'video/matroska'), {});
    expect([width, height, base?.mimeType]).toEqual([WIDTH, HEIGHT, 'image/webp']);
    const again = await harness.still(base?.bytes ?? Buffer.alloc(0), 'image/webp');
    expect(await seen(again)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
  });

  it('is upright when the track is rotated', async () => {
    const video = await harness.record('turned.mp4', ...frames, '-c:v', 'mpeg4');
    // Sets the matrix of the track header to a quarter turn to the right (ISO/IEC 14496-12 section 8.3.2).
    const matrix = video.indexOf('tkhd') + 44;
    for (const [index, value] of [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000].entries())
      video.writeInt32BE(value, matrix + index * 4);
    expect(await seen(await harness.still(video, 'video/mp4'))).toEqual({
      width: HEIGHT,
      height: WIDTH,
      quarters: TURNED,
    });
    const { thumbHash: hash } = await harness.renderer.preview(sourceOf(video, 'video/mp4'), {});
    expect(thumbHashToApproximateAspectRatio(Buffer.from(hash, 'base64'))).toBeLessThan(1);
  });

  it('has the shape that a player shows where pixels are not square', async () => {
    const wide = await harness.record('wide.mp4', ...frames, '-vf', 'setsar=2', '-c:v', 'mpeg4');
    expect(await seen(await harness.still(wide, 'video/mp4'))).toEqual({ width: 60, height: 20, quarters: UPRIGHT });
    const high = await harness.record('high.mp4', ...frames, '-vf', 'setsar=1/2', '-c:v', 'mpeg4');
    expect(await seen(await harness.still(high, 'video/mp4'))).toEqual({ width: 30, height: 40, quarters: UPRIGHT });
  });

  it('is not made of more pixels than allowed', async () => {
    const video = await harness.record(
      'large.mp4',
      ...frames,
      '-vf',
      'scale=1280:800',
      '-frames:v',
      '1',
      '-c:v',
      'mpeg4',
    );
    expect(await refusalOf(harness.still(video, 'video/mp4'))).toBe(`expected at most ${MAX_PIXELS} pixels, got more`);
  });

  it('is not made of sound, of a video cut short, nor of another type', async () => {
    const sound = await harness.record('sound.mp4', '-f', 'lavfi', '-i', 'sine=d=0.2', '-c:a', 'aac');
    const video = await harness.record('cut.mp4', ...frames, '-c:v', 'mpeg4');
    const picture = await quarters().png().toBuffer();
    for (const bytes of [sound, video.subarray(0, video.length / 2), picture, HTML])
      expect(await refusalOf(harness.still(bytes, 'video/mp4'))).toMatch(
        /^expected a whole file of the type video\/mp4/,
      );
    expect(await refusalOf(harness.still(video, 'video/webm'))).toMatch(
      /^expected a whole file of the type video\/webm/,
    );
  });

  it('opens no file or URL that the bytes name', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await harness.record('secret.ts', '-f', 'lavfi', '-i', 'testsrc=d=1:s=64x48:r=10', '-c:v', 'mpeg4');
    const secret = join(harness.folder, 'secret.ts');
    const lists = [
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${secret}\n#EXT-X-ENDLIST\n`,
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:${port}/a.ts\n#EXT-X-ENDLIST\n`,
      `ffconcat version 1.0\nfile '${secret}'\n`,
      `v=0\nc=IN IP4 127.0.0.1\nm=video ${port} RTP/AVP 96\n`,
    ];
    try {
      for (const mimeType of ['video/mp4', 'video/webm'])
        for (const list of lists)
          expect(await refusalOf(harness.still(Buffer.from(list), mimeType))).toMatch(/^expected a whole file/);
      expect(connections).toBe(0);
    } finally {
      server.close();
    }
  });
});

const canEncodeAv1 = tools.ffmpeg !== null && (await encodersOfFfmpeg()).has('libaom-av1');

describeWith('ffmpeg with libaom', canEncodeAv1, 'a still of a sequence', () => {
  it('of AVIF is its first picture', async () => {
    const input = ['-f', 'lavfi', '-i', 'color=red:size=60x40:rate=5:duration=0.6', '-c:v', 'libaom-av1'];
    const sequence = await harness.record('sequence.avif', ...input, '-cpu-used', '8');
    expect(sequence.toString('latin1', 8, 12)).toBe('avis');
    const shown = await seen(await harness.still(sequence, 'image/avif'));
    expect(shown).toEqual({ width: WIDTH, height: HEIGHT, quarters: ['red', 'red', 'red', 'red'] });
  });
});
