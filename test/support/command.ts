import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The command line as people run it, from its sources, so that no build is needed. */
export class RunningCommand {
  stdout = '';
  stderr = '';
  /** Resolves with the exit status, or the signal's name, when everything was read. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { PATH = '' } = process.env;
    // Nothing of the test runner's own environment: neither its options nor its NODE_ENV.
    this.#child = spawn(process.execPath, ['--import', '@swc-node/register/esm-register', 'src/main.ts', ...args], {
      cwd: ROOT,
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
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

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #moreOutput(): Promise<void> {
    if (this.#child.stdout) await once(this.#child.stdout, 'data');
  }
}
