import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MAIN_VARIABLE, PROGRAM_VARIABLE } from './made-once.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface CommandOptions {
  /** The whole environment of the process. */
  readonly env?: Readonly<Record<string, string>>;
  /** No file grows beyond it (setrlimit(2), RLIMIT_FSIZE): a write there is short, and the next one fails. Kibibytes. */
  readonly fileSizeKib?: number;
  /** The offset of the process's clock. */
  readonly clockOffsetMs?: number;
}

/** A process, and what it has printed. */
export class RunningProgram {
  stdout = '';
  stderr = '';
  /** Resolves with the exit status, or the signal's name, when everything was read. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;

  /** @param options.env the whole environment: nothing of the test runner's own, neither its options nor its NODE_ENV */
  constructor(
    command: string,
    args: readonly string[],
    { env, cwd = ROOT }: { readonly env: Readonly<Record<string, string>>; readonly cwd?: string },
  ) {
    this.#child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(this.#child, 'close').then(
      ([code, signal]: Array<number | string | null>) => code ?? signal ?? 'unknown',
    );
  }

  /** Resolves with the first match in what was printed; rejects when the process ends without. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found) return found;
      if (over) throw new Error(`expected ${pattern} to be printed, got: ${this.stdout}${this.stderr}`);
      await Promise.race([this.#moreOutput(), this.ended]);
    }
  }

  /** The id of the process, also after its end. */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('expected a process that could be started');
    return this.#child.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #moreOutput(): Promise<void> {
    if (this.#child.stdout) await once(this.#child.stdout, 'data');
  }
}

/** The command line as people run it, from the bundle that the global setup made, so that no build is needed. */
export class RunningCommand extends RunningProgram {
  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}, options: CommandOptions = {}) {
    const { clockOffsetMs } = options;
    const shifted = clockOffsetMs === undefined ? env : { ...env, TEST_CLOCK_OFFSET_MS: String(clockOffsetMs) };
    super(...commandLine(args, options), { env: shifted });
  }
}

/** The folder in which the global setup compiled `src`, as plain JavaScript, and bundled it, as `dist`. */
export function compiledProject(): string {
  return dirname(dirname(madeOnce(MAIN_VARIABLE)));
}

/** The bundle of the program. */
export function programFile(): string {
  return madeOnce(PROGRAM_VARIABLE);
}

function madeOnce(variable: string): string {
  const file = process.env[variable];
  if (file === undefined) throw new Error('expected the global setup to have compiled the program');
  return file;
}

/** The program that starts a command, and its arguments: node itself, or a shell that sets the limits and becomes it. */
function commandLine(args: readonly string[], { fileSizeKib, clockOffsetMs }: CommandOptions): [string, string[]] {
  const shift = clockOffsetMs === undefined ? [] : ['--import', `${ROOT}test/support/shifted-clock.js`];
  const command = [...shift, programFile(), ...args];
  if (fileSizeKib === undefined) return [process.execPath, command];
  // POSIX counts in blocks of 512 bytes ("ulimit", XCU chapter 4).
  return ['sh', ['-c', `ulimit -f ${fileSizeKib * 2} && exec "$0" "$@"`, process.execPath, ...command]];
}
