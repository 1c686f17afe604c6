import type { Pictures } from '../pictures/pictures.js';
import { Unrenderable } from '../renderer.js';
import { within } from './deadline.js';
import { runTool, ToolFailed, type ToolLimits } from './run-tool.js';
import type { Tools } from './tools.js';

/** The tools and limits with which jobs run. */
export interface Workshop extends ToolLimits {
  readonly tools: Tools;
  /** The folders with the tools, as in PATH. */
  readonly path: string;
  readonly pictures: Pictures;
}

/** A running job. The original's bytes are in its folder. */
export interface Job {
  readonly essence: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/**
 * Runs a program on a job's original, and returns its output.
 * @throws Unrenderable when the program fails on the bytes, or takes too long
 */
export async function runForJob(
  command: string,
  args: readonly string[],
  { essence, folder, signal }: Job,
  { path, maxPixels, timeoutMs, confinement }: Workshop,
): Promise<string> {
  const tooLong = () => new Unrenderable(`expected to be rendered within ${timeoutMs} ms, got no end of it`);
  try {
    return await within(timeoutMs, tooLong, signal, (limited) =>
      runTool(command, args, { folder, path, maxPixels, timeoutMs, confinement, signal: limited }),
    );
  } catch (thrown) {
    if (!(thrown instanceof ToolFailed)) throw thrown;
    throw new Unrenderable(reasonOf(thrown, essence, maxPixels), { cause: thrown });
  }
}

function reasonOf({ complaint }: ToolFailed, essence: string, maxPixels: number): string {
  // The messages of ffmpeg and of pdftoppm.
  if (complaint.includes('exceeds specified max pixel count')) return `expected at most ${maxPixels} pixels, got more`;
  if (complaint.includes('Incorrect password')) return 'expected a document that opens without a password, got another';
  return `expected a whole file of the type ${essence}, got a corrupt one or another type`;
}
