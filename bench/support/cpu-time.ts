import { readdirSync, readFileSync } from 'node:fs';

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
