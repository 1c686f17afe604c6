import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The package's own folder: three levels above this file in `src/` as well as in `dist/`. */
const SUBGRAPHS = new URL('../../../schema/supergraph/', import.meta.url);
/** Code that ends the child when its parent ends for any reason, because the pipe between them closes. */
const END_WITH_PARENT = 'data:text/javascript,process.stdin.on("end",()=>process.exit()).resume().unref()';

/** Another subgraph of the supergraph, in a process of its own. */
export class SubgraphProcess {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  /**
   * @param name the subgraph's folder
   * @throws Error with the process's output, if it ends before it listens
   */
  static async start(name: string, args: readonly string[] = []): Promise<SubgraphProcess> {
    const program = fileURLToPath(new URL(`${name}/server.js`, SUBGRAPHS));
    const child = spawn(process.execPath, ['--import', END_WITH_PARENT, program, '--port', '0', ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    const ended = once(child, 'close');
    for (;;) {
      const [, url] = /listens at (http:\S+)\n/.exec(output) ?? [];
      if (url !== undefined) return new SubgraphProcess(url, child);
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the ${name} subgraph did not start: ${output.trim()}`);
      await Promise.race([once(child.stdout, 'data'), ended]);
    }
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'close');
    this.child.kill('SIGTERM');
    await ended;
  }
}
