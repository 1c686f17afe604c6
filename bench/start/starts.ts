import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { scratchFolder } from '../support/child-processes.js';
import { cpuTimeOfTreeMs } from '../support/process-tree.js';

const APOLLO_ALONE = fileURLToPath(new URL('./apollo-alone.js', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const END_WITH_PARENT = new URL('../support/end-with-parent.js', import.meta.url).href;
const POLL_MS = 5;
const START_TIMEOUT_MS = 120_000;

/** From the start of the process to its first answered query. */
export interface Start {
  readonly wallMs: number;
  /** The CPU time of the process tree. */
  readonly cpuMs: number;
}

/** A process that answers queries. */
export interface Started extends Start {
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startApolloAlone(): Promise<Started> {
  const port = await freePort();
  return await measure([APOLLO_ALONE, String(port)], () => answers(`http://127.0.0.1:${port}/`, '{ hello }'));
}

/** @param configFile names the port */
export async function startMediagraph(configFile: string, port: number): Promise<Started> {
  const url = `http://127.0.0.1:${port}`;
  return await measure([MAIN, 'serve', '--config', configFile], async () => {
    const isReady = await succeeds(`${url}/readyz`);
    return isReady && (await answers(`${url}/graphql`, '{ __typename }'));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}

async function measure(args: readonly string[], isReady: () => Promise<boolean>): Promise<Started> {
  const output = openSync(join(scratchFolder(), 'starts.log'), 'a');
  const began = performance.now();
  const child = spawn(process.execPath, ['--import', END_WITH_PARENT, ...args], {
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const pid = child.pid ?? 0;
  while (!(await isReady())) {
    if (child.exitCode !== null || performance.now() - began > START_TIMEOUT_MS) {
      child.kill('SIGKILL');
      throw new Error(`expected ${args.join(' ')} to start`);
    }
    await sleep(POLL_MS);
  }
  return { pid, wallMs: performance.now() - began, cpuMs: cpuTimeOfTreeMs(pid), stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function succeeds(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(url);
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

async function answers(url: string, query: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    });
    const answer = await body.text();
    return statusCode === 200 && answer.includes('"data"');
  } catch {
    return false;
  }
}
