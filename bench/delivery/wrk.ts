import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: readonly string[];
}

export interface LoadFigures {
  readonly requests: number;
  readonly perSecond: number;
}

/**
 * `wrk` with one thread, which costs the machine less than a client in JavaScript. Rejects when an answer is no 2xx; one
 * that takes longer than two seconds is a slow one.
 */
export async function drive({ url, connections, seconds, headers = [] }: Load): Promise<LoadFigures> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, ...headers.flatMap((header) => ['-H', header]), url];
  const { stdout } = await run('wrk', args);
  const faults = /Non-2xx or 3xx responses: \d+|Socket errors: .*[1-9].*(?=, timeout)/.exec(stdout)?.[0];
  if (faults !== undefined) throw new Error(`expected answers from ${new URL(url).origin}, got ${faults}`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  if (!Number.isFinite(requests * perSecond)) throw new Error(`expected the figures of wrk, got\n${stdout}`);
  return { requests, perSecond };
}
