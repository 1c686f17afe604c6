import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { type Renderer, type StillSpec, Unrenderable } from '../../../src/rendering/renderer.js';
import { startRenderer } from '../../../src/rendering/start-renderer.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { type Quarters, sourceOf } from '../../support/pictures.js';

export const run = promisify(execFile);

export const MAX_PIXELS = 1_000_000;
export const MAX_SOURCE_BYTES = 4 * 2 ** 20;
export const FORMATS = ['jpeg', 'png', 'webp', 'avif'] as const;
/** The whole of the small pictures of these tests, without loss. */
export const WHOLE: StillSpec = { width: 500, height: null, fit: 'contain', format: 'png' };
/** The quarters after a quarter turn to the right. */
export const TURNED: Quarters = ['blue', 'red', 'white', 'green'];
export const HTML = Buffer.from('<!doctype html><script>alert(1)</script>');

/** One renderer for the tests of a file. At their end it checks that no folder is left. */
export class StillHarness {
  #renderer: Renderer | null = null;
  #folder: string | null = null;

  /**
   * Registers the hooks of the test file.
   * @param path the folders with the tools, as in PATH
   */
  constructor(path: string) {
    beforeAll(async () => {
      this.#folder = await mkdtemp(join(tmpdir(), 'mediagraph-pictures-'));
      this.#renderer = await startRenderer({
        concurrency: 4,
        timeoutMs: 20_000,
        maxPixels: MAX_PIXELS,
        maxSourceBytes: MAX_SOURCE_BYTES,
        logger: createLogger({ level: 'silent' }),
        path,
      });
    });
    afterAll(async () => {
      await this.renderer.close();
      await rm(this.folder, { recursive: true, force: true });
      expect(await ownFolders()).toEqual([]);
    });
  }

  get renderer(): Renderer {
    if (this.#renderer === null) throw new Error('expected a renderer, got a test outside of its hooks');
    return this.#renderer;
  }

  /** A folder for files of the tests. */
  get folder(): string {
    if (this.#folder === null) throw new Error('expected a folder, got a test outside of its hooks');
    return this.#folder;
  }

  async still(bytes: Buffer, mimeType: string, changes: Partial<StillSpec> = {}): Promise<Buffer> {
    const spec = { ...WHOLE, ...changes };
    const still = await this.renderer.renderStill(sourceOf(bytes, mimeType), spec, {});
    expect([still.mimeType, Buffer.isBuffer(still.bytes)]).toEqual([`image/${spec.format}`, true]);
    return still.bytes;
  }

  /** Records a file with ffmpeg. */
  async record(name: string, ...args: string[]): Promise<Buffer> {
    await run('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args, name], { cwd: this.folder });
    return await readFile(join(this.folder, name));
  }
}

/** The message with which bytes are refused for good. It names no path. */
export async function refusalOf(rendering: Promise<unknown>): Promise<string> {
  const thrown: unknown = await rendering.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Unrenderable)) throw new Error('expected an Unrenderable', { cause: thrown });
  expect(thrown.message).not.toMatch(/mediagraph|tmp/);
  return thrown.message;
}

/** The folders of this process's jobs. */
export async function ownFolders(): Promise<string[]> {
  const names = await readdir(join(tmpdir(), 'mediagraph-render'));
  return names.filter((name) => name.startsWith(`${process.pid}-`));
}

/** A picture that does not compress, so that half of its bytes are half of the picture. */
export function noise() {
  const made = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width: 200, height: 200, channels: 3, background: '#000000', noise: made } });
}
