import { randomBytes } from 'node:crypto';
import { readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { findTools } from '../../../src/rendering/tools/tools.js';
import { describeWith } from '../../support/daemon.js';
import { eventually } from '../../support/eventually.js';
import { quarters, sourceOf } from '../../support/pictures.js';
import { HTML, ownFolders, refusalOf, run, StillHarness } from './still-harness.js';

const { PATH = '' } = process.env;
const tools = await findTools(PATH);
const harness = new StillHarness(PATH);

describeWith('ffmpeg', tools.ffmpeg !== null, 'playable sound', () => {
  const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=3.2'];

  interface Probed {
    readonly format: { readonly duration: string; readonly tags: Readonly<Record<string, string>> };
    readonly streams: ReadonlyArray<Readonly<Record<string, unknown>>>;
  }

  async function probe(bytes: Buffer): Promise<Probed> {
    await writeFile(join(harness.folder, 'probed'), bytes);
    const args = ['-v', 'error', '-of', 'json', '-show_format', '-show_streams', join(harness.folder, 'probed')];
    return JSON.parse((await run('ffprobe', args)).stdout);
  }

  async function playable(bytes: Buffer, mimeType: string): Promise<Buffer> {
    const made = await harness.renderer.renderPlayable(sourceOf(bytes, mimeType), {});
    expect(made.mimeType).toBe('audio/mp4');
    return await buffer(made.body);
  }

  /** Noise as AMR of 4.75 kbit/s, with frames of 20 ms (RFC 4867 sections 4.3 and 5). */
  const amr = Buffer.concat([
    Buffer.from('#!AMR\n'),
    ...Array.from({ length: 160 }, () => Buffer.concat([Buffer.from([0x04]), randomBytes(12)])),
  ]);

  const originals: ReadonlyArray<readonly [string, string, () => Promise<Buffer>, number, number]> = [
    [
      'a voice note',
      'audio/ogg; codecs=opus',
      () => harness.record('a.ogg', ...tone, '-ac', '1', '-c:a', 'libopus'),
      1,
      64,
    ],
    ['opus in stereo', 'audio/ogg', () => harness.record('s.ogg', ...tone, '-ac', '2', '-c:a', 'libopus'), 2, 96],
    ['six channels', 'audio/ogg', () => harness.record('six.ogg', ...tone, '-ac', '6', '-c:a', 'libopus'), 2, 96],
    ['opus in WebM', 'audio/webm', () => harness.record('a.webm', ...tone, '-ac', '1', '-c:a', 'libopus'), 1, 64],
    ['AMR', 'audio/amr', async () => amr, 1, 64],
    [
      'AMR in 3GPP',
      'audio/3gpp',
      async () => {
        await writeFile(join(harness.folder, 'in.amr'), amr);
        return await harness.record('a.3gp', '-i', 'in.amr', '-c', 'copy');
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
    // Bounds that tell the bit rate of mono from that of stereo.
    expect(Number(streams[0]?.bit_rate)).toBeLessThan(kilobits * 1_100);
    expect(Number(streams[0]?.bit_rate)).toBeGreaterThan(kilobits * 700);
    // The index comes first, so that a player can start before the end of the download.
    expect(bytes.indexOf('moov')).toBeLessThan(bytes.indexOf('mdat'));
    expect(bytes.subarray(4, 12).toString('latin1')).toBe('ftypM4A ');
  });

  /** The largest absolute sample. */
  async function loudness(bytes: Buffer): Promise<number> {
    await writeFile(join(harness.folder, 'played'), bytes);
    const samples = await harness.record('played.raw', '-i', 'played', '-f', 's16le');
    let largest = 0;
    for (let at = 0; at < samples.length; at += 2) largest = Math.max(largest, Math.abs(samples.readInt16LE(at)));
    return largest;
  }

  it('has no metadata, no picture and no second track of the original', async () => {
    await quarters().png().toFile(join(harness.folder, 'cover.png'));
    const tags = ['-metadata', 'title=canary-exif', '-metadata:s:a', 'comment=canary-comment'];
    const inputs = [...tone, '-f', 'lavfi', '-i', 'sine=d=1', '-i', 'cover.png'];
    const maps = ['-map', '0:a', '-map', '1:a', '-map', '2:v', '-ac:a:0', '1', '-ac:a:1', '2'];
    const original = await harness.record('all.webm', ...inputs, ...maps, '-c:a', 'libopus', '-c:v', 'libvpx', ...tags);
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

  it('is unlinked, and closes its file with its body, read or not', async () => {
    const original = await harness.record('short.ogg', '-f', 'lavfi', '-i', 'sine=d=0.1', '-c:a', 'libopus');
    const bodies = await Promise.all(
      [0, 1].map(async () => (await harness.renderer.renderPlayable(sourceOf(original, 'audio/ogg'), {})).body),
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
    await quarters().png().toFile(join(harness.folder, 'mute.png'));
    const mute = await harness.record('mute.webm', '-i', 'mute.png', '-c:v', 'libvpx');
    for (const [bytes, mimeType] of [
      [picture, 'audio/ogg'],
      [HTML, 'audio/amr'],
      [HTML, 'audio/3gpp'],
      [mute, 'audio/webm'],
    ] as const)
      expect(await refusalOf(harness.renderer.renderPlayable(sourceOf(bytes, mimeType), {}))).toMatch(
        /^expected a whole file/,
      );
  });
});

/** The paths of this process's open files of renderings: proc(5), /proc/PID/fd. */
async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  const links = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.includes('mediagraph-render'));
}
