import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Leftover } from '../blob-store.js';
import { codeOf, entriesOf, fileStats } from './files.js';

/** The folder of temporary files. No key starts with it. */
export const TEMPORARY = 'tmp';

/**
 * Names this process in its temporary files. The token tells it from an earlier process with the same pid: in a
 * container it is always 1.
 */
const PROCESS = { pid: process.pid, token: randomBytes(6).toString('hex') };

export function temporaryFile(root: string): string {
  return join(root, TEMPORARY, `${PROCESS.pid}.${PROCESS.token}-${randomUUID()}`);
}

/** The files of dead processes that were last written to before a time. */
export async function* leftovers(folder: string, before: Date): AsyncGenerator<Leftover, void, undefined> {
  for (const { name } of await entriesOf(folder)) {
    const [, pid, token] = /^(\d{1,10})\.([0-9a-f]{12})-/.exec(name) ?? [];
    const path = join(folder, name);
    const stats = await fileStats(path);
    if (pid === undefined || !stats || stats.mtime > before) continue;
    if (await isAlive(Number(pid), token, stats.birthtime)) continue;
    yield { name, remove: () => rm(path, { force: true }) };
  }
}

/**
 * Whether the process that wrote a file is still running. A process that started after the file was created has only
 * been given the same pid. For a process on another machine, the age of the last write has to decide.
 */
async function isAlive(pid: number, token: string | undefined, createdAt: Date): Promise<boolean> {
  if (pid === PROCESS.pid) return token === PROCESS.token;
  if (!isRunning(pid)) return false;
  const startedAt = await startTimeOf(pid);
  return startedAt === null || startedAt <= createdAt;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return codeOf(thrown) === 'EPERM';
  }
}

/** Clock ticks per second in Linux's user interfaces (proc(5), "starttime"; sysconf(3), "_SC_CLK_TCK"). */
const TICKS_PER_SECOND = 100;

/** When a process started, to a tenth of a second. Null: the system does not tell. */
async function startTimeOf(pid: number): Promise<Date | null> {
  try {
    const [stat, uptime] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/uptime', 'utf8')]);
    // Field 2 is a name in parentheses, which may hold any character. Field 22 is the start time since boot.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ageS = Number.parseFloat(uptime) - Number(fields[19]) / TICKS_PER_SECOND;
    return Number.isFinite(ageS) ? new Date(Date.now() - ageS * 1_000 - 100) : null;
  } catch {
    return null;
  }
}
