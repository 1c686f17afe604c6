import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const LINES = 1_000;
/** Counts the writes to standard output that the logger starts, and reports them on the error output at the exit. */
const PREPARE = `
  import fs from 'node:fs';
  let writes = 0;
  const write = fs.write;
  fs.write = (...args) => { writes += 1; return write(...args); };
  process.on('exit', () => fs.writeSync(2, 'writes: ' + writes));
  const { createLogger } = await import('./src/telemetry/logger.ts');
  const logger = createLogger({ level: 'info' });
  const { setImmediate: nextTurn, setTimeout: sleep } = await import('node:timers/promises');
  for (let line = 0; line < ${LINES}; line++) {
    logger.info({ line }, 'a line');
    await nextTurn();
  }
`;

interface Ended {
  readonly lines: readonly number[];
  readonly writes: number;
  readonly status: number | null;
}

async function run(end: string): Promise<Ended> {
  const args = ['--import', '@swc-node/register/esm-register', '--input-type=module', '--eval', PREPARE + end];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part) => {
    stdout += String(part);
  });
  child.stderr.on('data', (part) => {
    stderr += String(part);
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const lines = stdout.split('\n').flatMap((line) => (line === '' ? [] : [Number(JSON.parse(line).line)]));
  return { lines, writes: Number(/writes: (\d+)/.exec(stderr)?.[1]), status };
}

const ALL = Array.from({ length: LINES }, (_, line) => line);

describe('log lines', () => {
  it.each([
    ['at the regular end of the process', '', 0],
    ['at process.exit', 'process.exit(3);', 3],
    ['at an uncaught exception', "setTimeout(() => { throw new Error('a crash'); }); await sleep(10_000);", 1],
  ])('are gathered, and none is lost %s', async (_, end, expected) => {
    const { lines, writes, status } = await run(end);
    // Those of a write that was under way may come last.
    expect({ lines: lines.toSorted((a, b) => a - b), status }).toEqual({ lines: ALL, status: expected });
    expect(writes).toBeLessThan(LINES / 5);
  });

  it('are written soon after the last one, without a timer that stays', async () => {
    const end = `
      await sleep(200);
      const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
      // Nothing may be left to be written at the end.
      fs.writeSync(1, JSON.stringify({ line: timers === 0 ? -1 : -2 }) + '\\n');
      process.kill(process.pid, 'SIGKILL');`;
    const { lines } = await run(end);
    expect(lines).toEqual([...ALL, -1]);
  });

  it('of level fatal are written before the call returns', async () => {
    const { lines } = await run(`logger.fatal({ line: -1 }, 'the end'); process.kill(process.pid, 'SIGKILL');`);
    expect(lines).toContain(-1);
    // A thread of Node's performs the write that is under way. The kill may end it, and loses these lines at most.
    const missing = ALL.filter((line) => !lines.includes(line));
    expect(missing).toEqual(Array.from(missing, (_, index) => (missing[0] ?? 0) + index));
    expect(missing.length).toBeLessThan(LINES / 5);
  });
});
