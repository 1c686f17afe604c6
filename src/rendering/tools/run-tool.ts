import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Confinement, handOver, spawnedAs } from './confinement.js';
import { SOURCE_FILE } from './job-folder.js';

/** The resources of a program, and its confinement. */
export interface ToolLimits {
  readonly maxPixels: number;
  readonly timeoutMs: number;
  readonly confinement: Confinement;
}

export interface ToolRun extends ToolLimits {
  /** The working folder, and the only path in the program's environment. */
  readonly folder: string;
  /** The folders in which programs are searched, as in PATH. */
  readonly path: string;
  /** Its abort kills the program. */
  readonly signal: AbortSignal;
}

/** A program that ended with another status than 0. `complaint` is the beginning of its error output. */
export class ToolFailed extends Error {
  override readonly name = 'ToolFailed';

  constructor(
    command: string,
    ending: string,
    readonly complaint: string,
  ) {
    super(`expected ${command} to end with status 0, got ${ending}: ${complaint}`);
  }
}

const KEPT_CHARACTERS = 8_192;

/**
 * Applies the limits of setrlimit(2) that the system has (core dumps, file size, memory, processor time), and then
 * replaces the shell by the program. The limit on processor time ends a program whose parent process was killed.
 */
const LIMITED = `ulimit -c 0 2>/dev/null
ulimit -f "$1" 2>/dev/null
ulimit -v "$2" 2>/dev/null
ulimit -t "$3" 2>/dev/null
umask 022
shift 3
exec "$0" "$@"`;

/**
 * Runs a program to its end, without this process's environment, and returns the beginning of its output.
 * @throws ToolFailed; the signal's reason when its abort killed the program; another Error when it could not be run
 */
export async function runTool(command: string, args: readonly string[], run: ToolRun): Promise<string> {
  run.signal.throwIfAborted();
  const { confinement, folder } = run;
  await handOver(folder, confinement);
  await handOver(join(folder, SOURCE_FILE), confinement);
  const [program = command, ...rest] = [...confinement.prefix, command, ...args];
  // Another user cannot traverse the folders above, but can use the working folder itself.
  const home = confinement.user === null ? folder : '.';
  const child = spawn('/bin/sh', ['-c', LIMITED, program, ...limitsOf(run), ...rest], {
    ...spawnedAs(confinement),
    cwd: folder,
    env: { PATH: run.path, HOME: home, TMPDIR: home, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = headOf(child.stdout);
  const complaint = headOf(child.stderr);
  const kill = () => child.kill('SIGKILL');
  run.signal.addEventListener('abort', kill, { once: true });
  try {
    const [status, killedBy]: Array<number | string | null> = await once(child, 'close');
    run.signal.throwIfAborted();
    if (status === 0) return printed();
    // 126 and 127: the program is not executable or not found (POSIX, XCU section 2.8.2).
    if (status === 126 || status === 127) throw new Error(`expected to be able to run ${command}, got ${status}`);
    if (complaint().includes('No space left on device')) throw new Error(`expected room on the disk for ${command}`);
    throw new ToolFailed(command, String(status ?? killedBy), complaint());
  } finally {
    run.signal.removeEventListener('abort', kill);
  }
}

/** File size: eight bytes per pixel. Memory: the program, its libraries and some copies of the pixels. */
function limitsOf({ maxPixels, timeoutMs }: ToolLimits): string[] {
  const fileBytes = 64 * 2 ** 20 + maxPixels * 8;
  const memoryBytes = 512 * 2 ** 20 + maxPixels * 10;
  // Several threads may use processor time at once.
  const processorSeconds = (timeoutMs / 1_000) * 10;
  // POSIX counts files in blocks of 512 bytes ("ulimit", XCU chapter 4); shells count memory in kibibytes.
  return [fileBytes / 512, memoryBytes / 1_024, processorSeconds].map((limit) => String(Math.ceil(limit)));
}

/** Reads a stream to its end and keeps its beginning, so that the program never blocks on a full pipe. */
function headOf(stream: Readable): () => string {
  let head = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    head += text.slice(0, KEPT_CHARACTERS - head.length);
  });
  return () => head;
}
