import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { type Renderer, RendererOverloaded, type RenderSource, Unrenderable } from '../../../src/rendering/renderer.js';
import { type RendererOptions, startRenderer } from '../../../src/rendering/start-renderer.js';
import { findConfinement } from '../../../src/rendering/tools/confinement.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { eventually, until } from '../../support/eventually.js';
import { MAIN_VARIABLE } from '../../support/made-once.js';
import { quarters, sourceOf } from '../../support/pictures.js';

const SPEC = { width: 10, height: null, fit: 'contain', format: 'png' } as const;
/** That need no tool. */
const PICTURES = ['image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/avif', 'image/tiff'];
const HEIF_PICTURES = ['image/heic', 'image/heif', 'image/heic-sequence', 'image/heif-sequence'];
const ROOT = join(tmpdir(), 'mediagraph-render');

let folder: string;
let picture: RenderSource;
const started: Renderer[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-jobs-'));
  picture = sourceOf(await quarters().png().toBuffer(), 'image/png');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

// Whatever a test did: nothing is left of it.
afterEach(async () => {
  await Promise.all(started.splice(0).map((renderer) => renderer.close()));
  expect(await ownFolders()).toEqual([]);
  expect(await children()).toEqual([]);
});

async function start(options: Partial<RendererOptions> = {}): Promise<Renderer> {
  const renderer = await startRenderer({
    concurrency: 3,
    timeoutMs: 20_000,
    maxPixels: 40_000_000,
    maxSourceBytes: 2 ** 22,
    logger: createLogger({ level: 'silent' }),
    path: '/nonexistent',
    ...options,
  });
  started.push(renderer);
  return renderer;
}

/** Folders of jobs of this process. */
async function ownFolders(): Promise<string[]> {
  return (await readdir(ROOT)).filter((name) => name.startsWith(`${process.pid}-`));
}

/** Processes that this one has started and that have not ended: proc(5), /proc/PID/stat. */
async function children(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => statOf(Number(pid))));
  return stats.filter(({ parent, state }) => parent === process.pid && state !== 'Z').map(({ pid }) => pid);
}

async function statOf(pid: number): Promise<{ pid: number; state: string; parent: number; seconds: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // Behind the name, which may have anything in it.
  const [state = '', parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // User and system time, in ticks of a hundredth of a second.
  return { pid, state, parent: Number(parent), seconds: (Number(fields[9]) + Number(fields[10])) / 100 };
}

/** Of all processes, together. */
async function commandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return (await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))).join('\n');
}

async function onlyChild(): Promise<number> {
  const [pid, ...others] = await children();
  if (pid === undefined || others.length > 0) throw new Error(`expected one process, got ${others.length + 1}`);
  return pid;
}

/** Resolves when all threads of a process stand still. */
async function halt(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await until('a halted process', async () => (await statOf(pid)).state === 'T');
}

function failureOf(rendering: Promise<unknown>): Promise<unknown> {
  return rendering.then(
    () => null,
    (thrown: unknown) => thrown,
  );
}

/** A source whose bytes come when the test says so. */
class Held implements RenderSource {
  readonly body = new PassThrough();
  signal: AbortSignal | null = null;

  constructor(readonly mimeType = 'image/png') {}

  async open(signal: AbortSignal): Promise<Readable> {
    this.signal = signal;
    return this.body;
  }

  get isOpen(): boolean {
    return this.signal !== null;
  }

  async give(): Promise<void> {
    const bytes = await picture.open(new AbortController().signal);
    bytes.pipe(this.body);
  }
}

const heldSources = (count: number) => Array.from({ length: count }, () => new Held());

describe('jobs', () => {
  it('are so many at once, in the order in which they came, and open their originals in their turn', async () => {
    const renderer = await start({ concurrency: 3 });
    const sources = heldSources(8);
    const open = () => sources.filter(({ isOpen, body }) => isOpen && !body.writableEnded).length;
    const jobs = sources.map((source) => renderer.renderStill(source, SPEC, {}));
    for (const [index, source] of sources.entries()) {
      await until('all turns taken', () => open() === Math.min(3, sources.length - index));
      expect(sources.map(({ isOpen }) => isOpen)).toEqual(sources.map((_, place) => place < index + 3));
      expect(await ownFolders()).toHaveLength(open());
      await source.give();
      await jobs[index];
    }
  });

  it('are refused at once when too many wait, and taken again when one leaves', async () => {
    const renderer = await start({ concurrency: 1, maxWaiting: 2 });
    const sources = heldSources(5);
    const [running, waiting, leaving, refused, late] = sources;
    if (!running || !waiting || !leaving || !refused || !late) throw new Error('expected five sources');
    const caller = new AbortController();
    const done = [running, waiting].map((source) => renderer.renderStill(source, SPEC, {}));
    const left = failureOf(renderer.renderStill(leaving, SPEC, { signal: caller.signal }));
    await expect(renderer.renderStill(refused, SPEC, {})).rejects.toBeInstanceOf(RendererOverloaded);
    await expect(renderer.preview(refused, {})).rejects.toBeInstanceOf(RendererOverloaded);
    const reason = new Error('the client went away');
    caller.abort(reason);
    expect(await left).toBe(reason);
    done.push(renderer.renderStill(late, SPEC, {}));
    for (const source of [running, waiting, late]) await source.give();
    await Promise.all(done);
    expect([leaving, refused].map(({ isOpen }) => isOpen)).toEqual([false, false]);
  });

  it('end at an abort: before they start, while the original comes, and while sharp works', async () => {
    const renderer = await start({ concurrency: 1 });
    const reason = new Error('the client went away');
    const before = new Held();
    const aborted = AbortSignal.abort(reason);
    expect(await failureOf(renderer.renderStill(before, SPEC, { signal: aborted }))).toBe(reason);
    expect(before.isOpen).toBe(false);

    const [reading, readers] = [new Held(), new AbortController()];
    const read = failureOf(renderer.renderStill(reading, SPEC, { signal: readers.signal }));
    await until('an open original', () => reading.isOpen);
    readers.abort(reason);
    expect(await read).toBe(reason);
    expect(reading.signal?.aborted).toBe(true);
    await until('the original closed', () => reading.body.destroyed);

    await renderer.renderStill(picture, SPEC, {});
    const child = await onlyChild();
    await halt(child);
    const [made, makers] = [new Held(), new AbortController()];
    const making = failureOf(renderer.renderStill(made, SPEC, { signal: makers.signal }));
    await made.give();
    await until('all read', () => made.body.readableEnded);
    makers.abort(reason);
    expect(await making).toBe(reason);
    // It has its turn until its work is over, in a process that nobody had to end for it.
    const next = renderer.renderStill(picture, SPEC, {});
    expect(await ownFolders()).toHaveLength(1);
    process.kill(child, 'SIGCONT');
    await next;
    expect(await onlyChild()).toBe(child);
  });

  it('whose original fails or is slow say so, and nothing about the bytes', async () => {
    const renderer = await start({ timeoutMs: 1_000 });
    const fault = new Error('the provider died');
    const refusing = { mimeType: 'image/png', open: () => Promise.reject(fault) };
    expect(await failureOf(renderer.renderStill(refusing, SPEC, {}))).toBe(fault);
    const failing = new Held();
    const failed = failureOf(renderer.renderStill(failing, SPEC, {}));
    failing.body.write('half');
    await until('an open original', () => failing.isOpen);
    failing.body.destroy(fault);
    expect(await failed).toBe(fault);
    const never: RenderSource = { mimeType: 'image/png', open: () => new Promise(() => {}) };
    for (const source of [new Held(), never]) {
      const thrown = await failureOf(renderer.renderStill(source, SPEC, {}));
      expect(thrown).toEqual(new Error('expected the original within 1000 ms'));
      expect(thrown).not.toBeInstanceOf(Unrenderable);
    }
  });

  it('all end at the close, with everything that belongs to them; none starts after it', async () => {
    const renderer = await start({ concurrency: 2 });
    await renderer.renderStill(picture, SPEC, {});
    await halt(await onlyChild());
    const reading = new Held();
    const sources = [picture, reading, new Held()];
    const failures = sources.map((source) => failureOf(renderer.renderStill(source, SPEC, {})));
    await until('an open original', () => reading.isOpen);
    await Promise.all([renderer.close(), renderer.close()]);
    const closed = new Error('the renderer is closed');
    expect(await Promise.all(failures)).toEqual([closed, closed, closed]);
    expect([await children(), await ownFolders()]).toEqual([[], []]);
    expect(await failureOf(renderer.preview(picture, {}))).toEqual(closed);
  });
});

describe('the picture process', () => {
  it('starts with the first picture, is one, has no environment, and goes when there is nothing to do', async () => {
    const renderer = await start({ idleMs: 3_000 });
    expect(await children()).toEqual([]);
    await Promise.all(Array.from({ length: 6 }, () => renderer.renderStill(picture, SPEC, {})));
    const environment = await readFile(`/proc/${await onlyChild()}/environ`, 'utf8');
    const names = environment.split('\0').map((variable) => variable.split('=')[0]);
    expect(names.filter((name) => !/^(NODE_CHANNEL_.+|UV_THREADPOOL_SIZE|)$/.test(name ?? ''))).toEqual([]);
    expect(await eventually(children, (pids) => pids.length === 0)).toEqual([]);
    await renderer.renderStill(picture, SPEC, {});
  });

  it('has limits, no core dump and no new privileges, as far as the system has them', async () => {
    const renderer = await start({ concurrency: 1, maxPixels: 1_000_000 });
    await renderer.renderStill(picture, SPEC, {});
    const child = await onlyChild();
    const limits = await readFile(`/proc/${child}/limits`, 'utf8');
    const data = Number(/^Max data size +(\d+)/m.exec(limits)?.[1]);
    expect(data).toBeGreaterThanOrEqual(2 ** 30 + 8_000_000);
    expect(data).toBeLessThan(2 ** 30 + 8_001_024);
    expect(/^Max core file size +(\d+)/m.exec(limits)?.[1]).toBe('0');
    const { prefix } = await findConfinement();
    const status = await readFile(`/proc/${child}/status`, 'utf8');
    if (prefix.includes('--no-new-privs')) expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  });

  it('takes nobody with it when it is killed in the middle of three', async () => {
    const renderer = await start({ concurrency: 3 });
    await renderer.renderStill(picture, SPEC, {});
    const child = await onlyChild();
    await halt(child);
    const sources = heldSources(3);
    const jobs = sources.map((source) => renderer.renderStill(source, SPEC, {}));
    const waiting = renderer.renderStill(picture, SPEC, {});
    await Promise.all(sources.map((source) => source.give()));
    await until('all read', () => sources.every(({ body }) => body.readableEnded));
    process.kill(child, 'SIGKILL');
    const stills = await Promise.all([...jobs, waiting]);
    expect(stills.every(({ bytes }) => bytes.length > 0)).toBe(true);
    await renderer.renderStill(picture, SPEC, {});
    expect(await children()).not.toContain(child);
  });

  it('that dies of a picture twice has judged it; the others go on', async () => {
    const renderer = await start({ concurrency: 2 });
    const large = await sharp({ create: { width: 6_000, height: 6_000, channels: 3, background: '#345678' } })
      .png()
      .toBuffer();
    const spec = { ...SPEC, width: 6_000, format: 'avif' } as const;
    const deadly = failureOf(renderer.renderStill(sourceOf(large, 'image/png'), spec, {}));
    // Starting takes no such time: it is at the picture.
    const working = async () =>
      (await Promise.all((await children()).map(statOf))).filter(({ seconds }) => seconds > 1);
    for (const _round of [1, 2]) {
      const [busy] = await eventually(working, (all) => all.length === 1);
      if (busy) process.kill(busy.pid, 'SIGKILL');
      await renderer.renderStill(picture, SPEC, {});
    }
    expect(await deadly).toEqual(new Unrenderable('expected a decoder to survive these bytes, got its end twice'));
    await renderer.renderStill(picture, SPEC, {});
  });

  it('is ended for a picture that takes too long, which will never render', async () => {
    const renderer = await start({ timeoutMs: 1_500 });
    await renderer.renderStill(picture, SPEC, {});
    const child = await onlyChild();
    await halt(child);
    const thrown = await failureOf(renderer.renderStill(picture, SPEC, {}));
    expect(thrown).toEqual(new Unrenderable('expected to be rendered within 1500 ms, got no end of it'));
    await renderer.renderStill(picture, SPEC, {});
    expect(await children()).not.toContain(child);
  });

  it('keeps no process alive, ends with it, and sharp is in no other', async () => {
    const compiled = join(dirname(process.env[MAIN_VARIABLE] ?? ''), 'rendering');
    const start = pathToFileURL(join(compiled, 'start-renderer.js')).href;
    const script = `
      import { readFileSync } from 'node:fs';
      import { Readable } from 'node:stream';
      const { startRenderer } = await import(${JSON.stringify(start)});
      const logger = { info() {} };
      const renderer = await startRenderer({ concurrency: 1, timeoutMs: 20000, maxPixels: 1e6, maxSourceBytes: 1e6, logger, path: '/nonexistent' });
      const bytes = Buffer.from(process.argv[1], 'base64');
      const source = { mimeType: 'image/png', open: async () => Readable.from([bytes]) };
      const still = await renderer.renderStill(source, ${JSON.stringify(SPEC)}, {});
      console.log(JSON.stringify({ size: still.bytes.length, libvips: readFileSync('/proc/self/maps', 'utf8').includes('vips') }));`;
    const bytes = (await quarters().png().toBuffer()).toString('base64');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, bytes], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
    });
    const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(JSON.parse(printed)).toEqual({ size: expect.any(Number), libvips: false });
    expect(child.exitCode).toBe(0);
    await until('the end of its picture process', async () => !(await commandLines()).includes(compiled));
  });
});

describe('tools', () => {
  /** Stands in for a program: it knows its version, and for the rest does what the test says. */
  async function standIn(name: string, script: string): Promise<string> {
    const path = await mkdtemp(join(folder, 'path-'));
    await writeFile(join(path, name), `#!/bin/sh\ncase "$1" in -version|-v|--version) exit 0;; esac\n${script}\n`);
    await chmod(join(path, name), 0o755);
    return path;
  }

  it('that are not there are named once, with what is not made for want of them', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    const lines: string[] = [];
    const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
    const renderer = await start({ path: empty, logger });
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
      const source = new Held(mimeType);
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
    const renderer = await start({ path: await standIn(name, 'exit 1') });
    expect([...renderer.stillTypes].slice(PICTURES.length)).toEqual(stills);
    expect([...renderer.playableTypes]).toEqual(playables);
  });

  it('that cannot be run are not there', async () => {
    const path = await mkdtemp(join(folder, 'broken-'));
    await writeFile(join(path, 'ffmpeg'), '#!/nonexistent/shell\n');
    await writeFile(join(path, 'pdftoppm'), '#!/bin/sh\nexit 127\n');
    await chmod(join(path, 'ffmpeg'), 0o755);
    await chmod(join(path, 'pdftoppm'), 0o755);
    expect((await start({ path })).stillTypes.size).toBe(PICTURES.length);
  });

  it('run in the folder of their job with nothing of our environment, and within limits', async () => {
    const told = join(folder, 'told');
    const path = await standIn(
      'pdftoppm',
      `{ pwd; /usr/bin/env; ulimit -v; ulimit -f; ulimit -c; /bin/ls -a; } >${told}; exit 1`,
    );
    const renderer = await start({ path, maxPixels: 1_000_000 });
    const source = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(Unrenderable);
    const [cwd = '', ...lines] = (await readFile(told, 'utf8')).trim().split('\n');
    expect(cwd.startsWith(join(ROOT, `${process.pid}-`))).toBe(true);
    const variables = lines.filter((line) => line.includes('=') && !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
    expect(variables.sort()).toEqual([`HOME=${cwd}`, 'LC_ALL=C', `PATH=${path}`, `TMPDIR=${cwd}`]);
    expect(lines.filter((line) => !line.includes('='))).toEqual(['534054', '146697', '0', '.', '..', 'source']);
  });

  it('cannot read the environment of this process where a namespace or another user can be had', async () => {
    const { prefix, user } = await findConfinement();
    if (user === null && !prefix.some((word) => word.endsWith('unshare'))) {
      process.stdout.write('left out, because this machine allows neither: what a tool can read of our environment\n');
      return;
    }
    const source = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    const told = join(folder, 'read');
    // The folder of the job is the only place that another user could write to.
    const path = await standIn(
      'pdftoppm',
      `if /bin/cat /proc/$PPID/environ >/dev/null 2>&1; then echo read >${told}; fi; /bin/cat /proc/$PPID/status >${told}.status; exit 1`,
    );
    const renderer = await start({ path });
    expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(Unrenderable);
    // Its parent is this process: it looked where it should have.
    expect(await readFile(`${told}.status`, 'utf8')).toContain(`\nPid:\t${process.pid}\n`);
    await expect(readFile(told, 'utf8')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('end when they take more memory than a picture needs', async () => {
    const took = join(folder, 'took');
    // Doubles a text until that is refused, or is larger than any limit.
    const grow = `text=xxxxxxxxxxxxxxxx; n=4; while [ $n -lt 32 ]; do text="$text$text"; n=$((n + 1)); echo $n >${took}; done; echo whole >${took}`;
    const path = await standIn('pdftoppm', `${grow}; exit 0`);
    const renderer = await start({ path, maxPixels: 1_000_000 });
    const source = sourceOf(Buffer.from('%PDF-'), 'application/pdf');
    expect(await failureOf(renderer.renderStill(source, SPEC, {}))).toBeInstanceOf(Unrenderable);
    // 2^29 bytes and their copy are more than half a gibibyte.
    expect(Number(await readFile(took, 'utf8'))).toBeLessThan(29);
  });

  it('are killed when they take too long, which is a verdict, and at an abort, which is none', async () => {
    const path = await standIn('ffmpeg', `echo $$ >>${join(folder, 'pids')}; exec /bin/sleep 600`);
    const renderer = await start({ path, timeoutMs: 1_000 });
    const video = sourceOf(Buffer.from('video'), 'video/mp4');
    expect(await failureOf(renderer.renderStill(video, SPEC, {}))).toEqual(
      new Unrenderable('expected to be rendered within 1000 ms, got no end of it'),
    );
    expect(await children()).toEqual([]);
    const patient = await start({ path });
    const caller = new AbortController();
    const sound = sourceOf(Buffer.from('sound'), 'audio/ogg');
    const rendering = failureOf(patient.renderPlayable(sound, { signal: caller.signal }));
    await until('a second run', async () => (await readFile(join(folder, 'pids'), 'utf8')).split('\n').length === 3);
    const reason = new Error('the client went away');
    caller.abort(reason);
    expect(await rendering).toBe(reason);
    expect(await eventually(children, (pids) => pids.length === 0)).toEqual([]);
    expect(await eventually(ownFolders, (folders) => folders.length === 0)).toEqual([]);
  });

  it('that are gone since the start, or find the disk full, say nothing about the bytes', async () => {
    const path = await standIn('ffmpeg', 'exit 1');
    const renderer = await start({ path });
    await rm(path, { recursive: true });
    const video = sourceOf(Buffer.from('video'), 'video/mp4');
    const gone = await failureOf(renderer.renderStill(video, SPEC, {}));
    expect(gone).toEqual(new Error('expected to be able to run ffmpeg, got 127'));
    expect(gone).not.toBeInstanceOf(Unrenderable);
    const full = await start({ path: await standIn('ffmpeg', 'echo "write: No space left on device" >&2; exit 1') });
    expect(await failureOf(full.renderStill(video, SPEC, {}))).not.toBeInstanceOf(Unrenderable);
  });
});

describe('the folder of all jobs', () => {
  it('is rid of what killed processes left there hours ago', async () => {
    await mkdir(ROOT, { recursive: true });
    const [old, young] = await Promise.all(['1-', '1-'].map((prefix) => mkdtemp(join(ROOT, prefix))));
    if (old === undefined || young === undefined) throw new Error('expected two folders');
    await writeFile(join(old, 'source'), 'somebody');
    const hoursAgo = new Date(Date.now() - 7_200_000);
    await utimes(old, hoursAgo, hoursAgo);
    await start();
    const left = (await readdir(ROOT)).map((name) => join(ROOT, name));
    expect([left.includes(old), left.includes(young)]).toEqual([false, true]);
    await rm(young, { recursive: true });
  });
});
