import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
// Signals end this process by `process.exit`, so that its children end with it.
import './at-end.js';

const END_WITH_PARENT = new URL('./end-with-parent.js', import.meta.url).href;
/** The embedded database makes its files first, which takes long on a machine that is busy. */
const START_TIMEOUT_MS = 120_000;
/** A server that drains closes its embedded database, too. */
const STOP_TIMEOUT_MS = 10_000;
const TAIL_CHARACTERS = 2_000;

export interface ChildOptions {
  /** For messages. */
  readonly name: string;
  /** What stands after `node`. */
  readonly args: readonly string[];
  /** The child is ready when its output matches; the first group is what it said. */
  readonly ready: RegExp;
  /** Variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly pid: number;
  /** The first group of `ready`. */
  readonly said: string;
  /** All that it has printed. */
  output(): string;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
let folder: string | null = null;

/** A folder that is removed when this process ends. */
export function scratchFolder(): string {
  folder ??= mkdtempSync(join(tmpdir(), 'mediagraph-bench-'));
  return folder;
}

/**
 * Starts `node` in a process of its own, with its output in a file, as servers write it in production: a pipe would
 * make the measuring process read every log line. No child outlives this process, however it ends.
 */
export async function startChild({ name, args, ready, env }: ChildOptions): Promise<Child> {
  const output = join(scratchFolder(), `${name}-${process.hrtime.bigint()}.log`);
  const file = openSync(output, 'a');
  const child = spawn(process.execPath, ['--import', END_WITH_PARENT, ...args], {
    stdio: ['ignore', file, file, 'ipc'],
    env: { ...process.env, NODE_ENV: 'production', ...env },
  });
  closeSync(file);
  running.add(child);
  child.once('exit', () => running.delete(child));
  const said = await untilReady(child, output, { name, ready });
  return { pid: child.pid ?? 0, said, output: () => readFileSync(output, 'utf8'), stop: () => stop(child) };
}

async function untilReady(child: ChildProcess, output: string, { name, ready }: Pick<ChildOptions, 'name' | 'ready'>) {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const text = readFileSync(output, 'utf8');
    const said = ready.exec(text)?.[1];
    if (said !== undefined) return said;
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`expected ${name} to start; its output ends with:\n${text.slice(-TAIL_CHARACTERS)}`);
    }
    await sleep(20);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const overdue = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(overdue);
}

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  if (folder !== null) rmSync(folder, { recursive: true, force: true });
});
