import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { eventually } from './eventually.js';

/** Another project's server, in the foreground and with everything that it writes in a folder of its own. */
export class Daemon {
  #output = '';
  #hasEnded = false;
  readonly #ended: Promise<unknown>;

  private constructor(
    private readonly name: string,
    private readonly child: ChildProcess,
    private readonly stopSignal: NodeJS.Signals,
  ) {
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    this.#ended = once(child, 'close').finally(() => {
      this.#hasEnded = true;
    });
  }

  /**
   * @param isReady asked until it says so
   * @param stopSignal what makes it end well
   */
  static async start(
    name: string,
    args: readonly string[],
    isReady: () => Promise<boolean>,
    stopSignal: NodeJS.Signals = 'SIGTERM',
  ): Promise<Daemon> {
    const daemon = new Daemon(name, spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'] }), stopSignal);
    const look = async () => daemon.#hasEnded || (await isReady());
    try {
      await eventually(look, (over) => over, { what: `${name} to be ready` });
    } catch (thrown) {
      await daemon.stop();
      throw thrown;
    }
    if (daemon.#hasEnded) throw new Error(`expected ${name} to start, got: ${daemon.#output}`);
    return daemon;
  }

  /** By a signal that asks: only a process that is asked to end takes its workers with it. */
  async stop(): Promise<void> {
    if (!this.#hasEnded) this.child.kill(this.stopSignal);
    await this.#ended;
    if (this.child.exitCode !== 0) throw new Error(`expected ${this.name} to end well, got: ${this.#output}`);
  }
}

/** Describes what needs another project's program. Where it is not here, the tests are left out, which counts as skipped. */
export function describeWith(program: string, isHere: boolean, name: string, tests: () => void): void {
  if (!isHere) console.info(`not tested, because ${program} is not here: ${name}`);
  (isHere ? describe : describe.skip)(name, tests);
}

/**
 * A configuration as it is deployed, but for the lines that are marked with `yours: <name>`.
 * @param replaced all of these lines, by name
 */
export async function deployed(file: string, replaced: Readonly<Record<string, string>>): Promise<string> {
  const text = await readFile(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
  const left = new Set(Object.keys(replaced));
  const lines = text.split('\n').map((line) => {
    const [, name = ''] = /# yours: (\S+)$/.exec(line) ?? [];
    if (name === '') return line;
    const replacement = replaced[name];
    if (replacement === undefined) throw new Error(`expected a value for "${name}" of ${file}`);
    left.delete(name);
    return replacement;
  });
  if (left.size > 0) throw new Error(`expected ${file} to have lines that are marked with ${[...left]}`);
  return lines.join('\n');
}

/** For a server that can neither choose a port itself nor say which one it chose. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  return address.port;
}
