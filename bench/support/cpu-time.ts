import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const QUIET_WINDOW_MS = 50;
/** On a machine that is busy with others, work that waits for its turn looks like none for a window or two. */
const QUIET_WINDOWS = 4;
/** Polls for due jobs once a second, and no more. */
const QUIET_CPU_MS = 4;
const QUIET_TIMEOUT_MS = 60_000;

/**
 * CPU time, user and system, that a process has used so far with all its threads, milliseconds. The kernel's own count
 * in nanoseconds (`/proc/<pid>/task/<tid>/schedstat`, first field; Linux), since `/proc/<pid>/stat` counts in ticks of
 * 10 ms, which is more than a request takes. A thread that ends takes its time along; Node's live as long as it does.
 */
export function cpuTimeMs(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]);
  }
  return nanoseconds / 1e6;
}

/** CPU time of a server and of its database, as far as that has processes of its own. */
export interface CpuTime {
  readonly server: number;
  /** null: part of the server, or not to be seen from here. */
  readonly database: number | null;
}

/** Resolves when the work behind the answers is done and the processes use no more CPU time. */
export async function cpuTimeWhenQuiet(read: () => Promise<CpuTime>): Promise<CpuTime> {
  const deadline = performance.now() + QUIET_TIMEOUT_MS;
  let before = await read();
  for (let quiet = 0; performance.now() < deadline; ) {
    await sleep(QUIET_WINDOW_MS);
    const now = await read();
    quiet = total(now) - total(before) < QUIET_CPU_MS ? quiet + 1 : 0;
    if (quiet === QUIET_WINDOWS) return now;
    before = now;
  }
  throw new Error(`expected the server to be quiet within ${QUIET_TIMEOUT_MS} ms, and it is not`);
}

export function cpuTimeBetween(before: CpuTime, after: CpuTime): CpuTime {
  const seen = before.database !== null && after.database !== null;
  return {
    server: after.server - before.server,
    database: seen ? (after.database ?? 0) - (before.database ?? 0) : null,
  };
}

function total({ server, database }: CpuTime): number {
  return server + (database ?? 0);
}
