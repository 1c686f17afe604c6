/** A process whose event loop stands still ends itself. `TEST_LONG=1` lets a whole server hang for its thirty seconds. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { MAIN_VARIABLE } from '../support/made-once.js';
import { ServerFolder } from '../support/server-folder.js';

const STALL_MS = 1_500;
const TEST_MS = 60_000;

/** What the child prints, and how it ended. */
class Child {
  output = '';
  readonly ended: Promise<[code: number | null, signal: string | null]>;
  readonly process: ChildProcess;

  constructor(script: string, args: readonly string[] = []) {
    const main = process.env[MAIN_VARIABLE] ?? '';
    const watchdog = pathToFileURL(join(dirname(main), 'telemetry', 'watchdog.js')).href;
    const source = `import { startWatchdog } from ${JSON.stringify(watchdog)};
      const end = startWatchdog({ stallMs: ${STALL_MS} }); ${script}`;
    this.process = spawn(process.execPath, [...args, '--input-type=module', '-e', source], {
      env: {},
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.ended = once(this.process, 'close').then(([code, signal]: Array<number | string | null>) => [
      typeof code === 'number' ? code : null,
      typeof signal === 'string' ? signal : null,
    ]);
  }

  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      await Promise.race([this.process.stdout && once(this.process.stdout, 'data'), this.ended]);
      if (this.process.exitCode !== null || this.process.signalCode !== null) break;
    }
    expect(this.output).toContain(text);
  }
}

const HANG = 'for (;;);';
const READY = "console.log('ready');";
/** Keeps its event loop running for some time, and prints a line at its end. */
const MOVE = `let left = 40; const timer = setInterval(() => { if (--left > 0) return; clearInterval(timer); console.log('moved'); }, 100);`;

describe('the watchdog', () => {
  it(
    'ends a process whose event loop is blocked, and reports why',
    async () => {
      const child = new Child(`${READY} setTimeout(() => { ${HANG} }, 100);`);
      expect(await child.ended).toEqual([null, 'SIGKILL']);
      const line: { level: string; msg: string } = JSON.parse(child.output.trim().split('\n').at(-1) ?? '');
      expect(line).toMatchObject({ level: 'fatal', msg: expect.stringContaining('event loop') });
    },
    TEST_MS,
  );

  it(
    'ends a process that hangs because its output is not read',
    async () => {
      // Again and again, as the log does when its pipe is full.
      const child = new Child(`const { writeSync } = await import('node:fs'); const text = 'x'.repeat(65536);
        for (;;) try { writeSync(1, text); } catch {}`);
      child.process.stdout?.pause();
      const exit = once(child.process, 'exit');
      expect((await exit)[1]).toBe('SIGKILL');
      child.process.stdout?.destroy();
    },
    TEST_MS,
  );

  it(
    'does not end a busy process whose event loop runs, nor one that ends by itself',
    async () => {
      const busy = `${READY} const until = Date.now() + ${3 * STALL_MS};
        (function work() { const to = Date.now() + 200; while (Date.now() < to); if (Date.now() < until) setImmediate(work); else console.log('moved'); })();`;
      const children = [new Child(busy), new Child(MOVE), new Child(`${READY} await end();`)];
      expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([
        [0, null],
        [0, null],
        [0, null],
      ]);
      expect(children.map(({ output }) => output.includes('fatal'))).toEqual([false, false, false]);
    },
    TEST_MS,
  );

  it(
    'does not end a process that was suspended',
    async () => {
      const child = new Child(`${READY} ${MOVE}`);
      await child.printed('ready');
      child.process.kill('SIGSTOP');
      await sleep(2 * STALL_MS);
      child.process.kill('SIGCONT');
      expect(await child.ended).toEqual([0, null]);
      expect(child.output).toContain('moved');
    },
    TEST_MS,
  );

  it(
    'does not end a process that a debugger holds',
    async () => {
      const child = new Child(
        `${READY} const until = Date.now() + ${3 * STALL_MS}; while (Date.now() < until); ${MOVE}`,
        ['--inspect=127.0.0.1:0'],
      );
      expect(await child.ended).toEqual([0, null]);
    },
    TEST_MS,
  );

  const long = process.env.TEST_LONG === '1' ? it : it.skip;
  long(
    'watches over a server',
    async () => {
      const folder = await ServerFolder.make({ config: { channels: [] } });
      const hang = `data:text/javascript,process.on('SIGUSR2',()=>{${HANG}})`;
      const { command } = await folder.serve({ env: { NODE_OPTIONS: `--import=${hang}` } });
      command.kill('SIGUSR2');
      expect(await command.ended).toBe('SIGKILL');
      expect(command.stdout).toContain('the event loop stands still');
      await folder.close();
    },
    TEST_MS + 60_000,
  );
});
