import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

let msPerTick: number | null = null;

/**
 * User and system time that a process has used so far with all its threads, milliseconds: fields 14 and 15 of
 * `/proc/<pid>/stat` (proc_pid_stat(5)). Counted by the kernel in ticks, mostly of 10 ms.
 */
export function cpuTimeMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  msPerTick ??= 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return (Number(fields[11]) + Number(fields[12])) * msPerTick;
}
