import { readdirSync, readFileSync } from 'node:fs';
import { residentMegabytes } from './memory.js';

/** USER_HZ, by which the kernel counts in `/proc/<pid>/stat` (Linux on all of Node's platforms). */
const MS_PER_TICK = 10;

/** A process and those that it started, as long as they run. */
export function processTree(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

export function residentMegabytesOfTree(pid: number): number {
  return processTree(pid).reduce((sum, one) => sum + residentMegabytes(one), 0);
}

/** User and system time of the tree, with that of children that have ended, milliseconds in steps of ten. */
export function cpuTimeOfTreeMs(pid: number): number {
  return processTree(pid).reduce((sum, one) => sum + withEndedChildrenMs(one), 0);
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  });
}

/** Fields 14 to 17 of `/proc/<pid>/stat`: proc(5). The second may contain spaces. */
function withEndedChildrenMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * MS_PER_TICK;
}
