import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';

export interface WatchdogOptions {
  /** How long the event loop may stand still. */
  readonly stallMs?: number;
}

const STALL_MS = 30_000;
/** Beats in the time of a stall. */
const BEATS = 30;

/**
 * Ends the process with SIGKILL, and says why on standard output, when its event loop stands still for too long: then it
 * serves nothing and renews no lease, and an orchestrator or another replica has to go on. A thread of its own looks, since
 * nothing else of the process can; it counts its own steps and not the clock, so that a process that was stopped (SIGSTOP,
 * a laptop that sleeps) is not taken for one that hangs. While a debugger can attach, it only watches.
 * @returns ends the watch
 */
export function startWatchdog({ stallMs = STALL_MS }: WatchdogOptions = {}): () => Promise<void> {
  const beatMs = Math.ceil(stallMs / BEATS);
  // Beats so far; whether a debugger can attach.
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const beat = () => {
    Atomics.store(shared, 1, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(shared, 0, 1);
  };
  beat();
  const timer = setInterval(beat, beatMs / 2);
  timer.unref();
  // Without the loaders and flags of the process: the worker is plain JavaScript.
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
