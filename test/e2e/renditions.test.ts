import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import type { MediaSample } from '../../demo/src/emulators/media-samples.js';
import { eventually } from '../support/eventually.js';
import { filesBelow } from '../support/files-below.js';
import { META, metaChannel, metaEmulator } from '../support/meta.js';
import { pdfOf } from '../support/pictures.js';
import { receive, samples } from '../support/sample-messages.js';
import { errorOf, type GetOptions, headerOf, nth, sole, type TestBed, useBeds } from '../support/test-bed.js';

/** More than the seconds for which media waits for its still, on a busy machine. */
const PATIENCE_MS = 60_000;

const has = (program: string) => spawnSync(program, ['-version'], { stdio: 'ignore' }).error === undefined;
const withFfmpeg = has('ffmpeg') ? describe : describe.skip;
if (!has('ffmpeg')) process.stdout.write('ffmpeg is not installed: renditions of sound and video are not tested\n');

const beds = useBeds({ env: { PATH: process.env.PATH }, config: { rendering: { placeholders: true } } });
let bed: TestBed;

beforeEach(async () => {
  bed = await beds.shared();
});

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly width: number | null;
  readonly height: number | null;
  readonly durationSeconds: number | null;
  readonly thumbHash: string | null;
  readonly url: string;
  readonly playable: string;
  readonly thumbnailUrl: string | null;
}

/** What a message has, so far. */
async function showAll(messageId: string, how = ''): Promise<readonly Shown[]> {
  const answer = await bed.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Shown[] }> }>(
    `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
      id status width height durationSeconds thumbHash url playable: url(prefer: PLAYABLE) thumbnailUrl${how} } } }`,
    { ids: [messageId] },
  );
  expect(answer.errors).toEqual([]);
  return sole(answer.data?.messagesWithMedia).media;
}

const show = async (messageId: string, how = ''): Promise<Shown> => sole(await showAll(messageId, how));

/** A message whose media is here. */
async function receiveStored(sample: MediaSample): Promise<string> {
  const message = receive(bed, 'signalwire', 1, sample);
  expect((await bed.get(await bed.urlOf(message))).status).toBe(200);
  await bed.app.settled();
  return message;
}

async function still(url: string | null, options: GetOptions = {}) {
  const got = await bed.get(url ?? '', options);
  expect([url, got.status]).toEqual([url, 200]);
  return { ...got, picture: await sharp(got.bytes).metadata() };
}

/** What is stored, without the name of the media. */
async function blobNames(): Promise<string[]> {
  const files = await filesBelow(bed.blobs);
  return files
    .filter((file) => file.startsWith(join(bed.blobs, 'media')))
    .map((file) => basename(file).replace(/^.*?\./, ''));
}

describe('a photo', () => {
  it('has a size and a placeholder once it is stored', async () => {
    expect(await show(receive(bed, 'signalwire'))).toMatchObject({ width: null, height: null, thumbHash: null });
    const { width, height } = await sharp(samples.photo.bytes).metadata();
    const shown = await show(await receiveStored(samples.photo));
    expect(shown).toMatchObject({ width, height, durationSeconds: null });
    expect(shown.thumbHash).toMatch(/^[A-Za-z0-9+/]{10,}={0,2}$/);
    expect(shown.playable).toBe(shown.url);
  });

  it('has a still in the format that its reader accepts', async () => {
    const { thumbnailUrl } = await show(receive(bed, 'signalwire'));
    const formats = [
      ['image/avif,image/webp,image/*,*/*;q=0.8', 'image/webp'],
      ['image/avif,*/*', 'image/avif'],
      ['*/*', 'image/jpeg'],
      ['image/webp;q=0, image/*', 'image/jpeg'],
      ['nonsense', 'image/jpeg'],
    ] as const;
    const etags = new Set<string>();
    for (const [accept, mimeType] of formats) {
      const { headers, picture } = await still(thumbnailUrl, { headers: { accept } });
      expect([accept, headers['content-type'], headers.vary]).toEqual([accept, mimeType, 'Accept']);
      expect(`image/${picture.format === 'heif' ? 'avif' : picture.format}`).toBe(mimeType);
      expect(headers['content-disposition']).toMatch(/^inline; filename=".*\.(webp|avif|jpg)"/);
      etags.add(String(headers.etag));
    }
    expect(etags.size).toBe(3);
    expect((await still(thumbnailUrl)).headers['content-type']).toBe('image/jpeg');
  });

  it('is rendered at few sizes, however many are requested', async () => {
    const message = await receiveStored(samples.photo);
    const sizes = async (how: string) => {
      const { picture } = await still((await show(message, how)).thumbnailUrl);
      return [picture.width, picture.height];
    };
    expect(await sizes('(width: 100, height: 60)')).toEqual([160, 64]);
    expect(await sizes('(width: 65, height: 64)')).toEqual([160, 64]);
    const [width, height] = await sizes('(width: 64, height: 64, fit: CONTAIN)');
    expect(Math.max(width ?? 0, height ?? 0)).toBe(64);
    expect((await blobNames()).filter((name) => /^still-(160x64|64x)/.test(name))).toHaveLength(2);
  });

  it('is requested within limits', async () => {
    const message = await receiveStored(samples.photo);
    for (const how of ['(width: 0)', '(width: 2049)', '(width: 9, height: 0)', '(width: 9, height: -1)']) {
      const answer = await bed.query(
        `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { thumbnailUrl${how} } } }`,
        { ids: [message] },
      );
      expect([how, nth(answer.errors, 0).extensions.code]).toEqual([how, 'BAD_USER_INPUT']);
    }
    expect((await show(message, '(width: 1, height: 2048)')).thumbnailUrl).not.toBeNull();
  });

  it('is rendered once, answers preconditions and ranges, and is stored', async () => {
    const message = await receiveStored(samples.photo);
    const { thumbnailUrl } = await show(message, '(width: 600)');
    const [first, ...others] = await Promise.all(Array.from({ length: 10 }, () => still(thumbnailUrl)));
    for (const other of others) expect(other.bytes.equals(first?.bytes ?? Buffer.alloc(0))).toBe(true);
    const etag = first ? headerOf(first, 'etag') : '';
    expect((await bed.get(thumbnailUrl ?? '', { headers: { 'if-none-match': etag } })).status).toBe(304);
    const part = await bed.get(thumbnailUrl ?? '', { headers: { range: 'bytes=0-1' } });
    expect([part.status, part.bytes.length]).toEqual([206, 2]);
    expect((await blobNames()).filter((name) => name.startsWith('still-640-'))).toHaveLength(1);
  });

  it('is deleted with everything that was made from it', async () => {
    const message = await receiveStored(samples.photo);
    const { id, thumbnailUrl } = await show(message);
    await still(thumbnailUrl);
    const deleted = await bed.query('mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }', { id });
    expect(deleted.errors).toEqual([]);
    expect(errorOf(await bed.get(thumbnailUrl ?? '')).code).toBe('MEDIA_GONE');
    expect(await blobNames()).toEqual([]);
  });

  it('has only the size that the link names', async () => {
    const { thumbnailUrl } = await show(await receiveStored(samples.photo), '(width: 320, height: 160)');
    expect(thumbnailUrl).toContain('still-320x160-cover');
    for (const other of ['still-640x160-cover', 'still-320x160-contain', 'still-320-cover', 'playable'])
      expect((await bed.get(thumbnailUrl?.replace('still-320x160-cover', other) ?? '')).status).toBe(403);
    const { pathname, search } = new URL(thumbnailUrl ?? '');
    expect((await bed.get(pathname + search.replace('r=still-320x160-cover&', ''))).status).toBe(403);
  });
});

it('bytes that are no picture under the name of one have no still', async () => {
  const broken = {
    ...samples.photo,
    bytes: Buffer.concat([samples.photo.bytes.subarray(0, 20), Buffer.alloc(2_000)]),
  };
  // Handed out while nothing but the declared type is known.
  const { thumbnailUrl } = await show(receive(bed, 'signalwire', 1, broken));
  expect(thumbnailUrl).not.toBeNull();
  expect((await show(await receiveStored(broken))).thumbnailUrl).toBeNull();
  for (const attempt of [1, 2]) {
    const got = await bed.get(thumbnailUrl ?? '');
    expect([attempt, got.status, errorOf(got).code]).toEqual([attempt, 415, 'CONTENT_TYPE_NOT_ALLOWED']);
    expect(headerOf(got, 'cache-control')).toBe('no-store');
  }
});

/** A program in front of the installed one of its name that counts its runs and then does as `script` says. */
async function counted(name: string, script: string): Promise<{ path: string; runs: () => Promise<number> }> {
  const path = await mkdtemp(join(tmpdir(), 'mediagraph-counted-'));
  folders.push(path);
  const log = join(path, 'runs');
  await writeFile(log, '');
  const versionCheck = 'case "$1" in -version|-v|--version) exit 0;; esac';
  await writeFile(join(path, name), `#!/bin/sh\n${versionCheck}\necho run >>${log}\n${script}\n`, { mode: 0o755 });
  return { path, runs: async () => (await readFile(log, 'utf8')).split('\n').length - 1 };
}

const folders: string[] = [];

afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const STILLS = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
  small: thumbnailUrl(width: 64) large: thumbnailUrl(width: 1280, height: 640) whole: thumbnailUrl(width: 640, fit: CONTAIN) } } }`;

async function stillsOf(of: TestBed, message: string): Promise<string[]> {
  type Stills = { readonly media: ReadonlyArray<Record<'small' | 'large' | 'whole', string | null>> };
  const answer = await of.query<{ messagesWithMedia: readonly Stills[] }>(STILLS, { ids: [message] });
  const { small, large, whole } = sole(sole(answer.data?.messagesWithMedia).media);
  return [small, large, whole].flatMap((url) => url ?? []);
}

it('bytes that cannot be rendered are tried once for simultaneous requests, and have no still afterwards', async () => {
  const { path, runs } = await counted('pdftoppm', '/bin/sleep 0.2; exit 1');
  const own = await beds.own({ env: { PATH: path } });
  const sample = { filename: 'x.pdf', mimeType: 'application/pdf', bytes: pdfOf(200, 100) };
  const message = receive(own, 'signalwire', 1, sample);
  // Handed out while nothing but the declared type is known.
  const urls = await stillsOf(own, message);
  expect(urls).toHaveLength(3);
  const accepted = ['image/webp', 'image/jpeg', '*/*'].flatMap((accept) => urls.map((url) => ({ url, accept })));
  const got = await Promise.all(accepted.map(({ url, accept }) => own.get(url, { headers: { accept } })));
  expect(got.map(({ status }) => status)).toEqual(Array<number>(9).fill(415));
  await own.app.settled();
  for (const { url, accept } of accepted) expect((await own.get(url, { headers: { accept } })).status).toBe(415);
  // Once for the look at what was stored, and once for all readers.
  expect(await runs()).toBeLessThanOrEqual(2);
  expect(await stillsOf(own, message)).toEqual([]);
});

withFfmpeg('what takes a program to decode', () => {
  it('is decoded once for all sizes, formats and readers, and its renditions are deleted with it', async () => {
    const real = spawnSync('/bin/sh', ['-c', 'command -v ffmpeg']).stdout.toString().trim();
    const { path, runs } = await counted('ffmpeg', `PATH=/usr/bin:/bin exec ${real} "$@"`);
    const own = await beds.own({ env: { PATH: path }, config: { rendering: { placeholders: true } } });
    const message = receive(own, 'signalwire', 1, samples.video);
    expect((await own.get(await own.urlOf(message))).status).toBe(200);
    await own.app.settled();
    const kept = async () => (await filesBelow(own.blobs)).map((file) => basename(file).replace(/^.*?\./, ''));
    const bases = async () => (await kept()).filter((name) => /^base-[0-9a-f]+\.webp$/.test(name));
    expect(await eventually(bases, (names) => names.length === 1)).toHaveLength(1);
    const urls = await stillsOf(own, message);
    for (const accept of ['image/webp', 'image/avif', '*/*'])
      for (const { status } of await Promise.all(urls.map((url) => own.get(url, { headers: { accept } }))))
        expect(status).toBe(200);
    expect(await runs()).toBe(1);
    expect(await bases()).toHaveLength(1);
    const id = await own.query<{ messagesWithMedia: ReadonlyArray<{ media: ReadonlyArray<{ id: string }> }> }>(
      'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id } } }',
      { ids: [message] },
    );
    const deletion = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope } }';
    await own.query(deletion, { id: sole(sole(id.data?.messagesWithMedia).media).id });
    expect((await kept()).filter((name) => /^(base|still|original)/.test(name))).toEqual([]);
  });
});

withFfmpeg('what takes longer to decode than media waits for it', () => {
  const meta = metaEmulator();
  beforeAll(() => meta.start());
  afterAll(() => meta.close());

  /** A format whose headers have no size. */
  function transportStream(ffmpeg: string): Buffer {
    const pattern = ['-f', 'lavfi', '-i', 'testsrc=size=64x48:rate=5:duration=1'];
    return spawnSync(ffmpeg, [...pattern, '-c:v', 'mpeg2video', '-f', 'mpegts', 'pipe:1']).stdout;
  }

  it(
    'is READY without a placeholder and decoded details, and has both once it is decoded',
    async () => {
      const real = spawnSync('/bin/sh', ['-c', 'command -v ffmpeg']).stdout.toString().trim();
      const media = { id: '1852559851913765', mimeType: 'video/mp2t', bytes: transportStream(real) };
      meta.addMedia(media);
      const folder = await mkdtemp(join(tmpdir(), 'mediagraph-gate-'));
      folders.push(folder);
      const gate = join(folder, 'open');
      const waiting = `while [ -d ${folder} ] && [ ! -e ${gate} ]; do /bin/sleep 0.1; done`;
      const { path, runs } = await counted('ffmpeg', `${waiting}; PATH=/usr/bin:/bin exec ${real} "$@"`);
      bed = await beds.own({
        env: { PATH: path },
        config: { rendering: { placeholders: true }, channels: [metaChannel(meta)] },
      });
      const { body, headers } = meta.webhookOf(media.id, { id: 'wamid.SLOW' });
      const sent = await bed.get(`/webhooks/${META}`, { method: 'POST', headers, body: body.toString() });
      expect(sent.status).toBe(200);
      const announced = () => showAll(`${META}:wamid.SLOW`);
      const [ready] = await eventually(announced, ([one]) => one?.status === 'READY');
      expect(ready).toMatchObject({ durationSeconds: 1, width: null, height: null, thumbHash: null });
      expect((await bed.get(ready?.url ?? '')).bytes.equals(media.bytes)).toBe(true);
      await writeFile(gate, '');
      const [seen] = await eventually(announced, ([one]) => (one?.thumbHash ?? null) !== null);
      expect(seen).toMatchObject({ status: 'READY', durationSeconds: 1, width: 64, height: 48, url: ready?.url });
      const { picture } = await still(seen?.thumbnailUrl ?? null);
      expect([picture.width, picture.height]).toEqual([64, 48]);
      expect(await runs()).toBe(1);
    },
    PATIENCE_MS,
  );
});

it('media that is not stored is not rendered', async () => {
  const off = await beds.own({ config: { mirror: { mode: 'off' } } });
  const answer = await off.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Shown[] }> }>(
    'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { thumbnailUrl url playable: url(prefer: PLAYABLE) } } }',
    { ids: [receive(off, 'signalwire', 1, samples.voiceNote)] },
  );
  const shown = sole(sole(answer.data?.messagesWithMedia).media);
  expect([shown.thumbnailUrl, shown.playable === shown.url]).toEqual([null, true]);
});

it('a still that is too large for memory is whole, also from a server that did not make it', async () => {
  const raw = { width: 900, height: 900, channels: 3 } as const;
  const noise = sharp(randomBytes(raw.width * raw.height * raw.channels), { raw });
  const sample = { filename: 'noise.png', mimeType: 'image/png', bytes: await noise.png().toBuffer() };
  const folder = await mkdtemp(join(tmpdir(), 'mediagraph-large-'));
  const config = { storage: { root: folder } };
  try {
    const maker = await beds.own({ config });
    const url = async (of: TestBed) => {
      const answer = await of.query<{ messagesWithMedia: ReadonlyArray<{ media: readonly Shown[] }> }>(
        'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { thumbnailUrl(width: 2048) } } }',
        { ids: [receive(of, 'signalwire', 1, sample)] },
      );
      const { pathname, search } = new URL(sole(sole(answer.data?.messagesWithMedia).media).thumbnailUrl ?? '');
      return pathname + search;
    };
    const path = await url(maker);
    const made = await maker.get(path);
    expect([made.status, made.bytes.length > 2 ** 20]).toEqual([200, true]);
    await maker.app.settled();
    await maker.app.reload(maker.config);
    const other = await beds.own({ config, beside: maker });
    for (const _ of ['first', 'again', 'and again']) {
      const got = await other.get(path);
      expect([got.status, got.headers.etag, got.bytes.equals(made.bytes)]).toEqual([200, made.headers.etag, true]);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

withFfmpeg('sound and video', () => {
  it('a voice note has no still, a length, and a rendition that plays everywhere', async () => {
    const shown = await show(await receiveStored(samples.voiceNote));
    expect(shown).toMatchObject({ thumbnailUrl: null, thumbHash: null, width: null });
    expect(shown.durationSeconds).toBeGreaterThan(0.5);
    const got = await bed.get(shown.playable);
    expect([got.status, got.headers['content-type'], got.headers.vary]).toEqual([200, 'audio/mp4', undefined]);
    expect(got.bytes.toString('latin1', 4, 8)).toBe('ftyp');
    expect(headerOf(got, 'content-disposition')).toMatch(/\.m4a"/);
    const part = await bed.get(shown.playable, { headers: { range: 'bytes=0-1' } });
    expect([part.status, headerOf(part, 'content-range')]).toEqual([206, `bytes 0-1/${got.bytes.length}`]);
    expect((await bed.get(shown.url)).headers['content-type']).toBe('audio/ogg; codecs=opus');
    expect((await blobNames()).filter((name) => name.startsWith('playable-'))).toHaveLength(1);
  });

  it('a video has a size, a length and a still of its first frame', async () => {
    const shown = await show(await receiveStored(samples.video));
    expect(shown.durationSeconds).toBeGreaterThan(0.5);
    const { picture } = await still(shown.thumbnailUrl);
    const shape = (size: { width?: number | null; height?: number | null }) => (size.width ?? 0) / (size.height ?? 1);
    expect(shape(picture)).toBeCloseTo(shape(shown), 1);
    expect(shown.playable).toBe(shown.url);
  });
});
