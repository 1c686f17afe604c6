import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Unrenderable } from '../../../src/rendering/renderer.js';
import { findConfinement } from '../../../src/rendering/tools/confinement.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { eventually, until } from '../../support/eventually.js';
import { sourceOf } from '../../support/pictures.js';
import { children, failureOf, JOB_FOLDERS, ownFolders, RendererHarness, SPEC } from './renderer-harness.js';

const harness = new RendererHarness();

/** The types that need no tool. */
const PICTURES = ['image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/avif', 'image/tiff'];
const HEIF_PICTURES = ['image/heic', 'image/heif', 'image/heic-sequence', 'image/heif-sequence'];

describe('tools', () => {
  /** A program that answers to its version option, and otherwise runs the script. @returns its folder */
  async function fakeTool(name: string, script: string): Promise<string> {
    const path = await mkdtemp(join(harness.folder, 'path-'));
    await writeFile(join(path, name), `#!/bin/sh\ncase "$1" in -version|-v|--version) exit 0;; esac\n${script}\n`);
    await chmod(join(path, name), 0o755);
    return path;
  }

  it('that are missing are named once, with the renditions that need them', async () => {
    const empty = await mkdtemp(join(harness.folder, 'empty-'));
    const lines: string[] = [];
    const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
    const renderer = await harness.start({ path: empty, logger });
    expect([...renderer.stillTypes]).toEqual(PICTURES);
    expect([...renderer.baseTypes]).toEqual([]);
    expect([...renderer.playableTypes]).toEqual([]);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: 'info',
        missing: ['ffmpeg', 'pdftoppm', 'heif-convert'],
        notMade: ['stills of videos', 'playable voice notes', 'stills of PDF', 'stills of HEIC'],
      }),
    ]);
    for (const mimeType of ['image/heic', 'video/mp4', 'application/pdf', 'image/svg+xml', 'text/html']) {
      const source = harness.pausedSource(mimeType);
      expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(RangeError);
      expect(source.isOpen).toBe(false);
    }
    expect(await failureOf(renderer.renderPlayable(sourceOf(Buffer.from('x'), 'audio/ogg'), {}))).toBeInstanceOf(
      RangeError,
    );
  });

  it.each<[string, string[], string[]]>([
    [
      'ffmpeg',
      [
        'video/mp4',
        'video/x-m4v',
        'video/3gpp',
        'video/3gpp2',
        'video/quicktime',
        'video/webm',
        'video/matroska',
        'video/x-matroska',
        'video/vnd.avi',
        'video/x-msvideo',
        'video/mp2t',
        'video/mpeg',
        'video/mp1s',
        'video/mp2p',
        'video/x-flv',
        'video/ogg',
        'video/x-ms-asf',
        'video/x-ms-wmv',
      ],
      ['audio/ogg', 'audio/amr', 'audio/3gpp', 'audio/webm'],
    ],
    ['pdftoppm', ['application/pdf'], []],
    ['heif-convert', HEIF_PICTURES, []],
    ['heif-dec', HEIF_PICTURES, []],
  ])('%s alone adds its types', async (name, stills, playables) => {
    const renderer = await harness.start({ path: await fakeTool(name, 'exit 1') });
    expect([...renderer.stillTypes].slice(PICTURES.length)).toEqual(stills);
    expect([...renderer.playableTypes]).toEqual(playables);
  });

  it('that cannot be run are not there after the first job', async () => {
    const path = await mkdtemp(join(harness.folder, 'broken-'));
    await writeFile(join(path, 'ffmpeg'), '#!/nonexistent/shell\n');
    await writeFile(join(path, 'pdftoppm'), '#!/bin/sh\nexit 127\n');
    await chmod(join(path, 'ffmpeg'), 0o755);
    await chmod(join(path, 'pdftoppm'), 0o755);
    const renderer = await harness.start({ path });
    await renderer.renderStill(harness.picture, SPEC, {});
    expect(renderer.stillTypes.size).toBe(PICTURES.length);
    const document = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    expect(await failureOf(renderer.renderStill(document, SPEC, {}))).toBeInstanceOf(RangeError);
  });

  it('run in the folder of their job without our environment, and within limits', async () => {
    const output = join(harness.folder, 'output');
    const path = await fakeTool(
      'pdftoppm',
      `{ pwd; /usr/bin/env; ulimit -v; ulimit -f; ulimit -c; /bin/ls -a; } >${output}; exit 1`,
    );
    const renderer = await harness.start({ path, maxPixels: 1_000_000 });
    const source = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(Unrenderable);
    const [cwd = '', ...lines] = (await readFile(output, 'utf8')).trim().split('\n');
    expect(cwd.startsWith(join(JOB_FOLDERS, `${process.pid}-`))).toBe(true);
    const variables = lines.filter((line) => line.includes('=') && !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
    expect(variables.sort()).toEqual([`HOME=${cwd}`, 'LC_ALL=C', `PATH=${path}`, `TMPDIR=${cwd}`]);
    expect(lines.filter((line) => !line.includes('='))).toEqual(['534054', '146697', '0', '.', '..', 'source']);
  });

  it('cannot read the environment of this process when a namespace or another user is available', async () => {
    const { prefix, user } = await findConfinement();
    if (user === null && !prefix.some((word) => word.endsWith('unshare'))) {
      process.stdout.write('left out, because this machine allows neither: what a tool can read of our environment\n');
      return;
    }
    const source = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    const marker = join(harness.folder, 'read');
    // Another user could write only to the folder of the job.
    const path = await fakeTool(
      'pdftoppm',
      `if /bin/cat /proc/$PPID/environ >/dev/null 2>&1; then echo read >${marker}; fi; /bin/cat /proc/$PPID/status >${marker}.status; exit 1`,
    );
    const renderer = await harness.start({ path });
    expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(Unrenderable);
    // The program's parent is this process, so it tried to read the right file.
    expect(await readFile(`${marker}.status`, 'utf8')).toContain(`\nPid:\t${process.pid}\n`);
    await expect(readFile(marker, 'utf8')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('end when they use more memory than a picture needs', async () => {
    const took = join(harness.folder, 'took');
    // Doubles a text until the memory limit is reached, or the text is larger than any limit.
    const grow = `text=xxxxxxxxxxxxxxxx; n=4; while [ $n -lt 32 ]; do text="$text$text"; n=$((n + 1)); echo $n >${took}; done; echo whole >${took}`;
    const path = await fakeTool('pdftoppm', `${grow}; exit 0`);
    const renderer = await harness.start({ path, maxPixels: 1_000_000 });
    const source = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(Unrenderable);
    // 2^29 bytes and their copy are more than half a gibibyte.
    expect(Number(await readFile(took, 'utf8'))).toBeLessThan(29);
  });

  it('are killed when they take too long, which is a verdict, and at an abort, which is not', async () => {
    const path = await fakeTool('ffmpeg', `echo $$ >>${join(harness.folder, 'pids')}; exec /bin/sleep 600`);
    const renderer = await harness.start({ path, timeoutMs: 1_000 });
    const video = sourceOf(Buffer.from('video'), 'video/mp4');
    expect(await failureOf(renderer.renderStill(video, SPEC, {}))).toEqual(
      new Unrenderable('expected to be rendered within 1000 ms, got no end of it'),
    );
    expect(await children()).toEqual([]);
    const patient = await harness.start({ path });
    const caller = new AbortController();
    const sound = sourceOf(Buffer.from('sound'), 'audio/ogg');
    const rendering = failureOf(patient.renderPlayable(sound, { signal: caller.signal }));
    await until(
      'a second run',
      async () => (await readFile(join(harness.folder, 'pids'), 'utf8')).split('\n').length === 3,
    );
    const reason = new Error('the client went away');
    caller.abort(reason);
    expect(await rendering).toBe(reason);
    expect(await eventually(children, (pids) => pids.length === 0)).toEqual([]);
    expect(await eventually(ownFolders, (folders) => folders.length === 0)).toEqual([]);
  });

  it('that disappeared since the first job, or find the disk full, give no verdict about the bytes', async () => {
    const path = await fakeTool('ffmpeg', 'exit 1');
    const renderer = await harness.start({ path });
    // The first job finds out which programs can be run.
    await renderer.renderStill(harness.picture, SPEC, {});
    await rm(path, { recursive: true });
    const video = sourceOf(Buffer.from('video'), 'video/mp4');
    const gone = await failureOf(renderer.renderStill(video, SPEC, {}));
    expect(gone).toEqual(new Error('expected to be able to run ffmpeg, got 127'));
    expect(gone).not.toBeInstanceOf(Unrenderable);
    const full = await harness.start({
      path: await fakeTool('ffmpeg', 'echo "write: No space left on device" >&2; exit 1'),
    });
    expect(await failureOf(full.renderStill(video, SPEC, {}))).not.toBeInstanceOf(Unrenderable);
  });
});

describe('the folder of all jobs', () => {
  it('is cleared of files that killed processes left there hours ago', async () => {
    await mkdir(JOB_FOLDERS, { recursive: true });
    const [old, young] = await Promise.all(['1-', '1-'].map((prefix) => mkdtemp(join(JOB_FOLDERS, prefix))));
    if (old === undefined || young === undefined) throw new Error('expected two folders');
    await writeFile(join(old, 'source'), 'somebody');
    const hoursAgo = new Date(Date.now() - 7_200_000);
    await utimes(old, hoursAgo, hoursAgo);
    await harness.start();
    const left = (await readdir(JOB_FOLDERS)).map((name) => join(JOB_FOLDERS, name));
    expect([left.includes(old), left.includes(young)]).toEqual([false, true]);
    await rm(young, { recursive: true });
  });
});
