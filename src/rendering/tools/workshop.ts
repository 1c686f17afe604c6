import type { Pictures } from '../pictures/pictures.js';
import { Unrenderable } from '../renderer.js';
import { within } from './deadline.js';
import { runTool, ToolFailed, type ToolLimits } from './run-tool.js';
import type { Tools } from './tools.js';

/** What jobs are done with. */
export interface Workshop extends ToolLimits {
  readonly tools: Tools;
  /** Where they are, as in PATH. */
  readonly path: string;
  readonly pictures: Pictures;
}

/** One job whose turn has come: the original's bytes are in its folder. */
export interface Job {
  readonly essence: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/**
 * Runs a program over a job's original, and returns what it printed.
 * @throws Unrenderable when it can make nothing of the bytes, or not in time
 */
export async function runForJob(
  command: string,
  args: readonly string[],
  { essence, folder, signal }: Job,
  { path, maxPixels, timeoutMs, confinement }: Workshop,
): Promise<string> {
  const tooLong = () => new Unrenderable(`expected to be rendered within ${timeoutMs} ms, got no end of it`);
  try {
    return await within(timeoutMs, tooLong, signal, (ending) =>
      runTool(command, args, { folder, path, maxPixels, timeoutMs, confinement, signal: ending }),
    );
  } catch (thrown) {
    if (!(thrown instanceof ToolFailed)) throw thrown;
    throw new Unrenderable(reasonOf(thrown, essence, maxPixels), { cause: thrown });
  }
}

function reasonOf({ complaint }: ToolFailed, essence: string, maxPixels: number): string {
  // In ffmpeg's words, and in pdftoppm's.
  if (complaint.includes('exceeds specified max pixel count')) return `expected at most ${maxPixels} pixels, got more`;
  if (complaint.includes('Incorrect password')) return 'expected a document that opens without a password, got another';
  return `expected a whole file of the type ${essence}, got a corrupt one or another type`;
}
