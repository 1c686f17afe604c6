// @ts-check
/*
 * The thread that looks whether the main one still moves, and ends the process if not. Plain JavaScript, so that a Worker
 * can load the same file from the sources, from the tests and from the build.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/** @type {{ shared: Int32Array, beatMs: number, beats: number }} */
const { shared, beatMs, beats } = workerData;
const pause = new Int32Array(new SharedArrayBuffer(4));
const STANDARD_OUTPUT = 1;

/** A line as the logger writes them. It must not wait: a full pipe may be what the main thread hangs on. */
function report() {
  const line = JSON.stringify({
    level: 'fatal',
    time: new Date().toISOString(),
    stalledMs: beats * beatMs,
    msg: 'the event loop stands still; this process ends itself, so that another goes on',
  });
  try {
    // Opened anew, a pipe has flags of its own; where that cannot be, as with sockets, it is written to as it is.
    writeSync(withoutWaiting() ?? STANDARD_OUTPUT, `${line}\n`);
  } catch {
    // It cannot be told; it has to end all the same.
  }
}

/** @returns {number | null} */
function withoutWaiting() {
  try {
    return openSync(`/dev/fd/${STANDARD_OUTPUT}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

let last = Atomics.load(shared, 0);
let missed = 0;
for (;;) {
  // One step of this thread, however long the clock says that it took: while it stood still, so did all of the process.
  Atomics.wait(pause, 0, 0, beatMs);
  const now = Atomics.load(shared, 0);
  const isDebugged = Atomics.load(shared, 1) === 1;
  missed = now === last && !isDebugged ? missed + 1 : 0;
  last = now;
  if (missed < beats) continue;
  report();
  process.kill(process.pid, 'SIGKILL');
}
