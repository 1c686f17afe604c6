// @ts-check
/*
 * This thread checks whether the main thread still makes progress, and ends the process if not. It is plain JavaScript,
 * so that a Worker can load the same file from the sources, the tests and the build.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/** @type {{ shared: Int32Array, beatMs: number, beats: number }} */
const { shared, beatMs, beats } = workerData;
const pause = new Int32Array(new SharedArrayBuffer(4));
const STANDARD_OUTPUT = 1;

/** Writes a line in the logger's format. It must not block: a full pipe may be what the main thread hangs on. */
function report() {
  const line = JSON.stringify({
    level: 'fatal',
    time: new Date().toISOString(),
    stalledMs: beats * beatMs,
    msg: 'the event loop stands still; this process ends itself, so that another goes on',
  });
  try {
    // Reopening a pipe gives it its own flags. Where that fails, as with sockets, the original descriptor is used.
    writeSync(openNonBlocking() ?? STANDARD_OUTPUT, `${line}\n`);
  } catch {
    // The line is lost, but the process must end nevertheless.
  }
}

/** @returns {number | null} */
function openNonBlocking() {
  try {
    return openSync(`/dev/fd/${STANDARD_OUTPUT}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

let last = Atomics.load(shared, 0);
let missed = 0;
for (;;) {
  // One step counts as one beat, however much time the clock shows: a suspended process suspends this thread too.
  Atomics.wait(pause, 0, 0, beatMs);
  const now = Atomics.load(shared, 0);
  const isDebugged = Atomics.load(shared, 1) === 1;
  missed = now === last && !isDebugged ? missed + 1 : 0;
  last = now;
  if (missed < beats) continue;
  report();
  process.kill(process.pid, 'SIGKILL');
}
