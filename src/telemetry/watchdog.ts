import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';

export interface WatchdogOptions {
  /** How long the event loop may be blocked. */
  readonly stallMs?: number;
}

const STALL_MS = 30_000;
/** Beats per `stallMs`: each wakes an idle process. */
const BEATS = 10;

/**
 * Ends the process with SIGKILL, and logs why on standard output, when its event loop is blocked for too long. Such a
 * process serves nothing and renews no lease, so an orchestrator or another replica must take over. A separate thread
 * checks, because nothing else in the process runs. It counts its own steps instead of reading the clock, so that a
 * suspended process (SIGSTOP, a sleeping laptop) does not count as blocked. While a debugger can attach, the watchdog
 * does not end the process.
 * @returns a function that stops the watchdog
 */
export function startWatchdog({ stallMs = STALL_MS }: WatchdogOptions = {}): () => Promise<void> {
  const beatMs = Math.ceil(stallMs / BEATS);
  // [0]: the number of beats. [1]: 1 while a debugger can attach.
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const beat = () => {
    Atomics.store(shared, 1, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(shared, 0, 1);
  };
  beat();
  const timer = setInterval(beat, beatMs / 2);
  timer.unref();
  // The worker needs none of the loaders and flags of the process, because it is plain JavaScript.
  const worker = new Worker(new URL('./watchdog-worker.js', import.meta.url), {
    workerData: { shared, beatMs, beats: BEATS },
    execArgv: [],
  });
  worker.unref();
  return async () => {
    clearInterval(timer);
    await worker.terminate();
  };
}
