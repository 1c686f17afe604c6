// @ts-check
/*
 * Loaded before a program (`node --import`). At SIGUSR2 it does what TEST_STRESS says: `loop` blocks the event loop for a
 * moment; `heap` fills the heap, and frees it at the next signal. It prints when it begins and when it has ended.
 */
import { getHeapStatistics } from 'node:v8';

const BLOCKED_MS = Number(process.env.TEST_STRESS_MS ?? 1_800);
const FILLED_BYTES = Number(process.env.TEST_STRESS_BYTES ?? 0);
/** @type {number[][]} */
let kept = [];

function block() {
  const start = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(start);
    if ((user + system) / 1_000 >= BLOCKED_MS) return;
  }
}

function fillOrFree() {
  if (kept.length > 0) {
    kept = [];
    return;
  }
  while (getHeapStatistics().used_heap_size < FILLED_BYTES) kept.push(new Array(10_000).fill(kept.length));
}

process.on('SIGUSR2', () => {
  process.stdout.write('stress begins\n');
  if (process.env.TEST_STRESS === 'heap') fillOrFree();
  else block();
  process.stdout.write('stress ended\n');
});
