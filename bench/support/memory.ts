import { readFileSync } from 'node:fs';

/** Resident memory of a process, megabytes (`VmRSS` of `/proc/<pid>/status`; Linux). */
export function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`expected process ${pid} to have memory`);
  return Number(kilobytes) / 1024;
}
