import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { thumbHashToApproximateAspectRatio } from 'thumbhash';
import { type Renderer, type StillSpec, Unrenderable } from '../../../src/rendering/renderer.js';
import { startRenderer } from '../../../src/rendering/start-renderer.js';
import { findTools } from '../../../src/rendering/tools/tools.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { describeWith } from '../../support/daemon.js';
import { eventually } from '../../support/eventually.js';
import { encodersOfFfmpeg, isInstalled } from '../../support/installed-tools.js';
import {
  CANARIES,
  HEIGHT,
  pdfOf,
  photoWithMetadata,
  type Quarters,
  quarters,
  seen,
  sourceOf,
  UPRIGHT,
  WIDTH,
} from '../../support/pictures.js';

const run = promisify(execFile);

const MAX_PIXELS = 1_000_000;
const FORMATS = ['jpeg', 'png', 'webp', 'avif'] as const;
const WHOLE: StillSpec = { width: 500, height: null, fit: 'contain', format: 'png' };
/** As shown after a quarter turn to the right. */
const TURNED: Quarters = ['blue', 'red', 'white', 'green'];
const HTML = Buffer.from('<!doctype html><script>alert(1)</script>');

const { PATH = '' } = process.env;
const tools = await findTools(PATH);
const heifEnc = await isInstalled('heif-enc', '--help');

let renderer: Renderer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-pictures-'));
  renderer = await startRenderer({
    concurrency: 4,
    timeoutMs: 20_000,
    maxPixels: MAX_PIXELS,
    maxSourceBytes: 2 ** 22,
    logger: createLogger({ level: 'silent' }),
    path: PATH,
  });
});

afterAll(async () => {
  await renderer.close();
  await rm(folder, { recursive: true, force: true });
  expect(await ownFolders()).toEqual([]);
});

async function ownFolders(): Promise<string[]> {
  const names = await readdir(join(tmpdir(), 'mediagraph-render'));
  return names.filter((name) => name.startsWith(`${process.pid}-`));
}

async function still(bytes: Buffer, mimeType: string, spec: Partial<StillSpec> = {}): Promise<Buffer> {
  return (await renderer.renderStill(sourceOf(bytes, mimeType), { ...WHOLE, ...spec }, {})).bytes;
}

async function verdict(rendering: Promise<unknown>): Promise<string> {
  const thrown: unknown = await rendering.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Unrenderable)) throw new Error('expected an Unrenderable', { cause: thrown });
  expect(thrown.message).not.toMatch(/mediagraph|tmp/);
  return thrown.message;
}

/** Makes a file with ffmpeg. */
async function recorded(name: string, ...args: string[]): Promise<Buffer> {
  await run('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args, name], { cwd: folder });
  return await readFile(join(folder, name));
}

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
    await quarters().png().toFile(join(folder, 'frame1.png'));
    await plain.png().toFile(join(folder, 'frame2.png'));
  });

  it.each(types)('%s is its first frame', async (mimeType, name, codec) => {
    const video = await recorded(name, ...frames, '-c:v', codec, '-metadata', 'title=canary-exif');
    expect(video.includes('canary-exif')).toBe(true);
    const bytes = await still(video, mimeType);
    expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
    expect(bytes.includes('canary')).toBe(false);
    const small = await seen(await still(video, mimeType, { width: 20, height: 20, fit: 'cover' }));
    expect([small.width, small.height]).toEqual([20, 20]);
  });

  it('comes with its size, and with what further stills are made from', async () => {
    const video = await recorded('based.mkv', ...frames, '-c:v', 'mpeg4');
    expect([...renderer.baseTypes]).toContain('video/matroska');
    const { width, height, base } = await renderer.preview(sourceOf(video, 'video/matroska'), {});
    expect([width, height, base?.mimeType]).toEqual([WIDTH, HEIGHT, 'image/webp']);
    const again = await still(base?.bytes ?? Buffer.alloc(0), 'image/webp');
    expect(await seen(again)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
  });

  it('is upright where the track says that it is turned', async () => {
    const video = await recorded('turned.mp4', ...frames, '-c:v', 'mpeg4');
    // The matrix of the track's header: a quarter turn to the right (ISO/IEC 14496-12 section 8.3.2).
    const matrix = video.indexOf('tkhd') + 44;
    for (const [index, value] of [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000].entries())
      video.writeInt32BE(value, matrix + index * 4);
    expect(await seen(await still(video, 'video/mp4'))).toEqual({ width: HEIGHT, height: WIDTH, quarters: TURNED });
    const { thumbHash: hash } = await renderer.preview(sourceOf(video, 'video/mp4'), {});
    expect(thumbHashToApproximateAspectRatio(Buffer.from(hash, 'base64'))).toBeLessThan(1);
  });

  it('has the shape that a player shows where pixels are not square', async () => {
    const wide = await recorded('wide.mp4', ...frames, '-vf', 'setsar=2', '-c:v', 'mpeg4');
    expect(await seen(await still(wide, 'video/mp4'))).toEqual({ width: 60, height: 20, quarters: UPRIGHT });
    const high = await recorded('high.mp4', ...frames, '-vf', 'setsar=1/2', '-c:v', 'mpeg4');
    expect(await seen(await still(high, 'video/mp4'))).toEqual({ width: 30, height: 40, quarters: UPRIGHT });
  });

  it('is not made of more pixels than allowed', async () => {
    const video = await recorded('large.mp4', ...frames, '-vf', 'scale=1280:800', '-frames:v', '1', '-c:v', 'mpeg4');
    expect(await verdict(still(video, 'video/mp4'))).toBe(`expected at most ${MAX_PIXELS} pixels, got more`);
  });

  it('is not made of sound, of a video cut short, nor of another type', async () => {
    const sound = await recorded('sound.mp4', '-f', 'lavfi', '-i', 'sine=d=0.2', '-c:a', 'aac');
    const video = await recorded('cut.mp4', ...frames, '-c:v', 'mpeg4');
    const picture = await quarters().png().toBuffer();
    for (const bytes of [sound, video.subarray(0, video.length / 2), picture, HTML])
      expect(await verdict(still(bytes, 'video/mp4'))).toMatch(/^expected a whole file of the type video\/mp4/);
    expect(await verdict(still(video, 'video/webm'))).toMatch(/^expected a whole file of the type video\/webm/);
  });

  it('opens nothing that the bytes name', async () => {
    let asked = 0;
    const server = createServer((socket) => {
      asked += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await recorded('secret.ts', '-f', 'lavfi', '-i', 'testsrc=d=1:s=64x48:r=10', '-c:v', 'mpeg4');
    const secret = join(folder, 'secret.ts');
    const lists = [
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${secret}\n#EXT-X-ENDLIST\n`,
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:${port}/a.ts\n#EXT-X-ENDLIST\n`,
      `ffconcat version 1.0\nfile '${secret}'\n`,
      `v=0\nc=IN IP4 127.0.0.1\nm=video ${port} RTP/AVP 96\n`,
    ];
    try {
      for (const mimeType of ['video/mp4', 'video/webm'])
        for (const list of lists)
          expect(await verdict(still(Buffer.from(list), mimeType))).toMatch(/^expected a whole file/);
      expect(asked).toBe(0);
    } finally {
      server.close();
    }
  });
});

const canEncodeAv1 = tools.ffmpeg !== null && (await encodersOfFfmpeg()).has('libaom-av1');

describeWith('ffmpeg with libaom', canEncodeAv1, 'a still of a sequence', () => {
  it('of AVIF is its first picture', async () => {
    const input = ['-f', 'lavfi', '-i', 'color=red:size=60x40:rate=5:duration=0.6', '-c:v', 'libaom-av1'];
    const sequence = await recorded('sequence.avif', ...input, '-cpu-used', '8');
    expect(sequence.toString('latin1', 8, 12)).toBe('avis');
    const shown = await seen(await still(sequence, 'image/avif'));
    expect(shown).toEqual({ width: WIDTH, height: HEIGHT, quarters: ['red', 'red', 'red', 'red'] });
  });
});

describeWith('pdfinfo', tools.pdfinfo !== null, 'the pages of a PDF', () => {
  it('are counted; not of one with a password, nor of another type', async () => {
    const count = (bytes: Buffer) => renderer.pageCount(sourceOf(bytes, 'application/pdf'), {});
    expect(await count(pdfOf(200, 100))).toBe(1);
    for (const bytes of [pdfOf(200, 100, { encrypted: true }), HTML]) expect(await count(bytes)).toBeNull();
  });

  it('are not those that its title claims', async () => {
    const titled = pdfOf(200, 100)
      .toString('latin1')
      .replace('/Root 1 0 R', '/Root 1 0 R/Info<</Title(a\\nPages: 77\\n)>>');
    expect(await renderer.pageCount(sourceOf(Buffer.from(titled, 'latin1'), 'application/pdf'), {})).toBe(1);
  });
});

describeWith('pdftoppm', tools.pdftoppm !== null, 'a still of a PDF', () => {
  it('is its first page, in whatever size is asked for', async () => {
    for (const [spec, size] of [
      [{ width: 100 }, [100, 50]],
      [{ width: 50, height: 50, fit: 'cover' }, [50, 50]],
      [{ width: 300, height: 300 }, [300, 150]],
    ] as const) {
      const { width, height, quarters: shown } = await seen(await still(pdfOf(200, 100), 'application/pdf', spec));
      expect([width, height]).toEqual(size);
      expect(shown).toEqual(['red', 'red', 'white', 'white']);
    }
    const { thumbHash: hash } = await renderer.preview(sourceOf(pdfOf(100, 200), 'application/pdf'), {});
    expect(thumbHashToApproximateAspectRatio(Buffer.from(hash, 'base64'))).toBeLessThan(1);
  });

  it.each<[string, number, number, [number, number]]>([
    ['of fourteen metres', 40_000, 40_000, [500, 500]],
    ['of three hundred kilometres', 1e9, 1e9, [500, 500]],
    ['of five metres by the width of a hair', 14_400, 1, [500, 1]],
  ])('is small, for a page %s', async (_what, width, height, size) => {
    const page = await seen(await still(pdfOf(width, height), 'application/pdf'));
    expect([page.width, page.height]).toEqual(size);
    // Even where all is asked for that can be: no more pixels than allowed.
    const largest = await seen(await still(pdfOf(width, height), 'application/pdf', { width: 16_383 }));
    expect(largest.width * largest.height).toBeLessThanOrEqual(MAX_PIXELS);
  });

  it('is not made of one with a password, nor of another type', async () => {
    const locked = pdfOf(200, 100, { encrypted: true });
    expect(await verdict(still(locked, 'application/pdf'))).toMatch(/opens without a password/);
    for (const bytes of [HTML, await quarters().png().toBuffer()])
      expect(await verdict(still(bytes, 'application/pdf'))).toMatch(
        /^expected a whole file of the type application\/pdf/,
      );
  });
});

describeWith('heif-convert or heif-enc', tools.heifConvert !== null && heifEnc, 'a still of HEIC', () => {
  async function heicOf(...pictures: Buffer[]): Promise<Buffer> {
    const names = pictures.map((_, index) => `heic-${index}.jpg`);
    await Promise.all(pictures.map((bytes, index) => writeFile(join(folder, `heic-${index}.jpg`), bytes)));
    await run('heif-enc', ['-q', '90', '-o', 'made.heic', ...names], { cwd: folder });
    return await readFile(join(folder, 'made.heic'));
  }

  it('shows it, and has nothing of it but its pixels', async () => {
    const original = await heicOf(await photoWithMetadata());
    expect(CANARIES.filter((canary) => original.includes(canary))).toEqual(['canary-exif', 'canary-xmp']);
    for (const mimeType of ['image/heic', 'image/heif'])
      for (const format of FORMATS) {
        const bytes = await still(original, mimeType, { format });
        expect(await seen(bytes)).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
        const { exif, xmp, iptc, icc, orientation } = await sharp(bytes).metadata();
        expect({ exif, xmp, iptc, icc, orientation }).toEqual({});
        expect(CANARIES.filter((canary) => bytes.includes(canary))).toEqual([]);
      }
  });

  it("is upright by the container's own orientation, which counts, and not by EXIF's once more", async () => {
    const original = await quarters().keepMetadata().withMetadata({ orientation: 6 }).avif({ quality: 90 }).toBuffer();
    expect(original.includes('irot')).toBe(true);
    const shown = await seen(await still(original, 'image/heif'));
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
    // Of another length than it says, and of another version, as phones write them (ICC.1:2022, section 7.2).
    for (const damage of [
      (bytes: Buffer) => bytes.writeUInt32BE(profile.length + 100, at),
      (bytes: Buffer) => bytes.writeUInt32BE(profile.length - 40, at),
      (bytes: Buffer) => bytes.fill(0xff, at + 8, at + 12),
    ]) {
      const bytes = Buffer.from(original);
      damage(bytes);
      expect(await seen(await still(bytes, 'image/heic'))).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
    }
  });

  it('comes with its size, and with what further stills are made from', async () => {
    const original = await heicOf(await quarters().jpeg({ quality: 95 }).toBuffer());
    const { width, height, base, thumbHash } = await renderer.preview(sourceOf(original, 'image/heic'), {});
    expect([width, height, thumbHash.length > 10]).toEqual([WIDTH, HEIGHT, true]);
    expect(await seen(base?.bytes ?? Buffer.alloc(0))).toEqual({ width: WIDTH, height: HEIGHT, quarters: UPRIGHT });
  });

  it('is its first picture where there are several', async () => {
    const plain = await quarters(['white', 'white', 'white', 'white']).jpeg().toBuffer();
    const original = await heicOf(await quarters().jpeg({ quality: 95 }).toBuffer(), plain);
    expect(await seen(await still(original, 'image/heic'))).toMatchObject({ quarters: UPRIGHT });
  });

  it('is not made of more pixels than allowed, of one cut short, nor of another type', async () => {
    const large = await sharp({ create: { width: 1_001, height: 1_000, channels: 3, background: '#123456' } })
      .jpeg()
      .toBuffer();
    expect(await verdict(still(await heicOf(large), 'image/heic'))).toBe(
      `expected at most ${MAX_PIXELS} pixels, got more`,
    );
    const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
    const noisy = await sharp({ create: { width: 99, height: 99, channels: 3, background: '#000000', noise } })
      .jpeg()
      .toBuffer();
    const whole = await heicOf(noisy);
    expect(await verdict(still(whole.subarray(0, whole.length / 2), 'image/heic'))).toMatch(/^expected a whole/);
    for (const bytes of [HTML, await quarters().jpeg().toBuffer()])
      expect(await verdict(still(bytes, 'image/heic'))).toMatch(/^expected bytes of the type heif, got others$/);
  });
});

describeWith('ffmpeg', tools.ffmpeg !== null, 'playable sound', () => {
  const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=3.2'];

  interface Probed {
    readonly format: { readonly duration: string; readonly tags: Readonly<Record<string, string>> };
    readonly streams: ReadonlyArray<Readonly<Record<string, unknown>>>;
  }

  async function probe(bytes: Buffer): Promise<Probed> {
    await writeFile(join(folder, 'probed'), bytes);
    const args = ['-v', 'error', '-of', 'json', '-show_format', '-show_streams', join(folder, 'probed')];
    return JSON.parse((await run('ffprobe', args)).stdout);
  }

  async function playable(bytes: Buffer, mimeType: string): Promise<Buffer> {
    const made = await renderer.renderPlayable(sourceOf(bytes, mimeType), {});
    expect(made.mimeType).toBe('audio/mp4');
    return await buffer(made.body);
  }

  /** AMR of 4.75 kbit/s, 20 ms a frame (RFC 4867 sections 4.3 and 5): noise. */
  const amr = Buffer.concat([
    Buffer.from('#!AMR\n'),
    ...Array.from({ length: 160 }, () => Buffer.concat([Buffer.from([0x04]), randomBytes(12)])),
  ]);

  const originals: ReadonlyArray<readonly [string, string, () => Promise<Buffer>, number, number]> = [
    ['a voice note', 'audio/ogg; codecs=opus', () => recorded('a.ogg', ...tone, '-ac', '1', '-c:a', 'libopus'), 1, 64],
    ['opus in stereo', 'audio/ogg', () => recorded('s.ogg', ...tone, '-ac', '2', '-c:a', 'libopus'), 2, 96],
    ['six channels', 'audio/ogg', () => recorded('six.ogg', ...tone, '-ac', '6', '-c:a', 'libopus'), 2, 96],
    ['opus in WebM', 'audio/webm', () => recorded('a.webm', ...tone, '-ac', '1', '-c:a', 'libopus'), 1, 64],
    ['AMR', 'audio/amr', async () => amr, 1, 64],
    [
      'AMR in 3GPP',
      'audio/3gpp',
      async () => {
        await writeFile(join(folder, 'in.amr'), amr);
        return await recorded('a.3gp', '-i', 'in.amr', '-c', 'copy');
      },
      1,
      64,
    ],
  ];

  it.each(originals)('of %s is AAC-LC, as long and as wide', async (_what, mimeType, make, channels, kilobits) => {
    const original = await make();
    const bytes = await playable(original, mimeType);
    const { format, streams } = await probe(bytes);
    expect(streams).toMatchObject([{ codec_name: 'aac', profile: 'LC', channels, sample_rate: '48000' }]);
    expect(Math.abs(Number(format.duration) - 3.2)).toBeLessThanOrEqual(0.05);
    // A limit for a tone, which takes less; so that the one is not taken for the other.
    expect(Number(streams[0]?.bit_rate)).toBeLessThan(kilobits * 1_100);
    expect(Number(streams[0]?.bit_rate)).toBeGreaterThan(kilobits * 700);
    // What tells a player where everything is stands before everything.
    expect(bytes.indexOf('moov')).toBeLessThan(bytes.indexOf('mdat'));
    expect(bytes.subarray(4, 12).toString('latin1')).toBe('ftypM4A ');
  });

  /** The largest of the samples. */
  async function loudness(bytes: Buffer): Promise<number> {
    await writeFile(join(folder, 'heard'), bytes);
    const samples = await recorded('heard.raw', '-i', 'heard', '-f', 's16le');
    let most = 0;
    for (let at = 0; at < samples.length; at += 2) most = Math.max(most, Math.abs(samples.readInt16LE(at)));
    return most;
  }

  it('has no metadata, no picture and no second voice of the original', async () => {
    await quarters().png().toFile(join(folder, 'cover.png'));
    const tags = ['-metadata', 'title=canary-exif', '-metadata:s:a', 'comment=canary-comment'];
    const inputs = [...tone, '-f', 'lavfi', '-i', 'sine=d=1', '-i', 'cover.png'];
    const maps = ['-map', '0:a', '-map', '1:a', '-map', '2:v', '-ac:a:0', '1', '-ac:a:1', '2'];
    const original = await recorded('all.webm', ...inputs, ...maps, '-c:a', 'libopus', '-c:v', 'libvpx', ...tags);
    expect(original.includes('canary-exif')).toBe(true);
    const bytes = await playable(original, 'audio/webm');
    const { format, streams } = await probe(bytes);
    expect(streams).toHaveLength(1);
    expect(streams).toMatchObject([{ codec_type: 'audio', channels: 1 }]);
    expect(Math.abs(Number(format.duration) - 3.2)).toBeLessThanOrEqual(0.05);
    expect(await loudness(bytes)).toBeGreaterThan(500);
    expect(Object.keys(format.tags).sort()).toEqual(['compatible_brands', 'major_brand', 'minor_version']);
    expect(bytes.includes('canary')).toBe(false);
  });

  it('is in no folder any more, and closes its file with its body, read or not', async () => {
    const original = await recorded('short.ogg', '-f', 'lavfi', '-i', 'sine=d=0.1', '-c:a', 'libopus');
    const bodies = await Promise.all(
      [0, 1].map(async () => (await renderer.renderPlayable(sourceOf(original, 'audio/ogg'), {})).body),
    );
    expect(await ownFolders()).toEqual([]);
    expect(await openFiles()).toHaveLength(2);
    const [read, dropped] = bodies;
    dropped?.destroy();
    if (read) expect((await buffer(read)).length).toBeGreaterThan(500);
    expect(await eventually(openFiles, (files) => files.length === 0)).toEqual([]);
  });

  it('is not made of a picture, of markup, nor of a video without sound', async () => {
    const picture = await quarters().png().toBuffer();
    await quarters().png().toFile(join(folder, 'mute.png'));
    const mute = await recorded('mute.webm', '-i', 'mute.png', '-c:v', 'libvpx');
    for (const [bytes, mimeType] of [
      [picture, 'audio/ogg'],
      [HTML, 'audio/amr'],
      [HTML, 'audio/3gpp'],
      [mute, 'audio/webm'],
    ] as const)
      expect(await verdict(renderer.renderPlayable(sourceOf(bytes, mimeType), {}))).toMatch(/^expected a whole file/);
  });
});

/** Where this process's open files of renderings lie: proc(5), /proc/PID/fd. */
async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.includes('mediagraph-render'));
}
