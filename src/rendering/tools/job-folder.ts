import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { byteLimit } from '../../streams/byte-limit.js';
import { discard } from '../../streams/limited-body.js';
import { type RenderSource, Unrenderable } from '../renderer.js';
import { orAborted } from './deadline.js';

/** The file with the original's bytes in a job's folder. Its name is constant, so that no name comes from outside. */
export const SOURCE_FILE = 'source';

/** Longer than any job takes. */
const STALE_AFTER_MS = 3_600_000;

/** Runs a job in a folder of its own, which other users cannot enter, and which is removed at the job's end. */
export async function inJobFolder<Result>(job: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(await root(), `${process.pid}-`));
  try {
    return await job(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes the folders that killed processes left behind, since they hold users' media. */
export async function removeStaleJobFolders(): Promise<void> {
  const folder = await root();
  const paths = (await readdir(folder)).map((name) => join(folder, name));
  const oldest = Date.now() - STALE_AFTER_MS;
  // A removal may fail because another process removes the same folder, or another user owns it. Rendering works all
  // the same.
  const removals = paths.map(async (path) => {
    const { mtimeMs } = await stat(path);
    if (mtimeMs < oldest) await rm(path, { recursive: true, force: true });
  });
  await Promise.allSettled(removals);
}

/**
 * Writes {@link SOURCE_FILE}.
 * @throws Unrenderable when there are more bytes than `maxBytes`, or none; the source's own error
 */
export async function saveSource(
  source: RenderSource,
  folder: string,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  const body = await orAborted(source.open(signal), signal, discard);
  const limit = byteLimit(maxBytes, () => new Unrenderable(`expected at most ${maxBytes} bytes, got more`));
  const file = createWriteStream(join(folder, SOURCE_FILE), { flags: 'wx', mode: 0o600 });
  await pipeline(body, limit, file, { signal });
  if (file.bytesWritten === 0) throw new Unrenderable('expected bytes, got none');
}

async function root(): Promise<string> {
  const folder = join(tmpdir(), 'mediagraph-render');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}
