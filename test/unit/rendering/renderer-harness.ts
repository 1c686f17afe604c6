import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import type { Renderer, RenderSource } from '../../../src/rendering/renderer.js';
import { type RendererOptions, startRenderer } from '../../../src/rendering/start-renderer.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { until } from '../../support/eventually.js';
import { quarters, sourceOf } from '../../support/pictures.js';

export const SPEC = { width: 10, height: null, fit: 'contain', format: 'png' } as const;
/** The folder of all jobs' folders. */
export const JOB_FOLDERS = join(tmpdir(), 'mediagraph-render');

/** Starts renderers for the tests of one file, and checks after each test that nothing of them is left. */
export class RendererHarness {
  #folder: string | null = null;
  #picture: RenderSource | null = null;
  readonly #started: Renderer[] = [];

  /** Registers the hooks of the test file. */
  constructor() {
    beforeAll(async () => {
      this.#folder = await mkdtemp(join(tmpdir(), 'mediagraph-jobs-'));
      this.#picture = sourceOf(await quarters().png().toBuffer(), 'image/png');
    });
    afterAll(() => rm(this.folder, { recursive: true, force: true }));
    afterEach(async () => {
      await Promise.all(this.#started.splice(0).map((renderer) => renderer.close()));
      expect(await ownFolders()).toEqual([]);
      expect(await children()).toEqual([]);
    });
  }

  /** A folder for files of the tests. */
  get folder(): string {
    if (this.#folder === null) throw new Error('expected a folder, got a test outside of its hooks');
    return this.#folder;
  }

  get picture(): RenderSource {
    if (this.#picture === null) throw new Error('expected a picture, got a test outside of its hooks');
    return this.#picture;
  }

  async start(options: Partial<RendererOptions> = {}): Promise<Renderer> {
    const renderer = await startRenderer({
      concurrency: 3,
      timeoutMs: 20_000,
      maxPixels: 40_000_000,
      maxSourceBytes: 2 ** 22,
      logger: createLogger({ level: 'silent' }),
      path: '/nonexistent',
      ...options,
    });
    this.#started.push(renderer);
    return renderer;
  }

  pausedSources(count: number): PausedSource[] {
    return Array.from({ length: count }, () => this.pausedSource());
  }

  pausedSource(mimeType?: string): PausedSource {
    return new PausedSource(() => this.picture, mimeType);
  }
}

/** A source whose bytes arrive when the test sends them. */
export class PausedSource implements RenderSource {
  readonly body = new PassThrough();
  signal: AbortSignal | null = null;

  constructor(
    private readonly picture: () => RenderSource,
    readonly mimeType = 'image/png',
  ) {}

  async open(signal: AbortSignal): Promise<Readable> {
    this.signal = signal;
    return this.body;
  }

  get isOpen(): boolean {
    return this.signal !== null;
  }

  async send(): Promise<void> {
    const bytes = await this.picture().open(new AbortController().signal);
    bytes.pipe(this.body);
  }
}

/** The folders of this process's jobs. */
export async function ownFolders(): Promise<string[]> {
  return (await readdir(JOB_FOLDERS)).filter((name) => name.startsWith(`${process.pid}-`));
}

/** The running processes that this one has started: proc(5), /proc/PID/stat. */
export async function children(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => statOf(Number(pid))));
  return stats.filter(({ parent, state }) => parent === process.pid && state !== 'Z').map(({ pid }) => pid);
}

export async function statOf(pid: number): Promise<{ pid: number; state: string; parent: number; seconds: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The fields after the name, which may contain any character.
  const [state = '', parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // User and system time are in ticks of a hundredth of a second.
  return { pid, state, parent: Number(parent), seconds: (Number(fields[9]) + Number(fields[10])) / 100 };
}

export async function onlyChild(): Promise<number> {
  const [pid, ...rest] = await children();
  if (pid === undefined || rest.length > 0) throw new Error(`expected one process, got ${rest.length + 1}`);
  return pid;
}

/** Resolves when all threads of a process have stopped. */
export async function halt(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await until('a halted process', async () => (await statOf(pid)).state === 'T');
}

export function failureOf(rendering: Promise<unknown>): Promise<unknown> {
  return rendering.then(
    () => null,
    (thrown: unknown) => thrown,
  );
}
