import { Worker } from 'node:worker_threads';
import type { Look } from '../look.js';
import type { MeasuredSource } from '../measure/byte-window.js';

export type Task =
  | { readonly kind: 'sniff'; readonly head: Uint8Array; readonly declared: string | null }
  | { readonly kind: 'look'; readonly mimeType: string; readonly sizeBytes: number };

export type TaskResult = { readonly mimeType: string } | { readonly look: Look };

/** The messages to `worker.js`. */
export type ToThread = { readonly task: Task } | { readonly bytes: Uint8Array } | { readonly failed: true };

/** The messages from `worker.js`. */
export type FromThread =
  | { readonly ready: true }
  | { readonly read: { readonly start: number; readonly end: number } }
  /** A partial result, used if the task does not end. */
  | { readonly partial: TaskResult }
  | { readonly done: TaskResult }
  | { readonly fault: string };

export type Read = MeasuredSource['read'];

/** The thread was terminated because its task took too long, or it ended by itself, for instance out of memory. */
export class ThreadEnded extends Error {
  override readonly name = 'ThreadEnded';
}

/**
 * The deadline is counted in ticks. A single timer would fire as soon as a halted process (SIGSTOP, a paused container)
 * continues, before the process reads a result that has already arrived.
 */
const TICK_MS = 250;
const START_WITHIN_MS = 30_000;
/** Limits on the thread's V8 heap. The bytes of a media lie outside of it, and few of them are in memory at a time. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 };

interface RunningTask {
  readonly read: Read;
  resolve(result: TaskResult): void;
  reject(fault: Error): void;
  /** The number of reads in progress. Their time is the store's and does not count against the parser. */
  reading: number;
  ticksLeft: number;
  partial: TaskResult | null;
}

/**
 * One thread, from its start to its end. It performs one task at a time. Without a task it does not keep the process
 * alive.
 */
export class InspectionThread {
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  #running: RunningTask | null = null;
  #ended = false;
  #busySince = Number.POSITIVE_INFINITY;

  constructor(worker: URL) {
    // Piping the worker's output would keep the process alive in spite of `unref`. The worker writes none.
    this.#worker = new Worker(worker, { resourceLimits: RESOURCE_LIMITS, stdout: true, stderr: true });
    this.#worker.on('error', () => this.#end());
    this.#worker.on('exit', () => this.#end());
    this.#worker.on('message', (message: FromThread) => this.#onMessage(message));
    this.#ready = this.#start();
    // `perform` awaits this promise and handles its rejection. Without a task, nothing else would.
    this.#ready.catch(() => {});
    // After the listeners are added: each of them would keep the process alive again.
    this.#worker.unref();
  }

  /** When its current task began, by `performance.now()`. Infinity: it has no task, or is starting. */
  get busySince(): number {
    return this.#busySince;
  }

  /** True: it takes no more tasks. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /**
   * @param timeoutMs the limit on the task's work, without the time of its reads
   * @throws ThreadEnded; another Error when the task failed
   */
  async perform(task: Task, read: Read, timeoutMs: number): Promise<TaskResult> {
    // The timer also keeps the process alive until there is a result.
    const tick = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#ready;
      if (this.#ended) throw new ThreadEnded('expected the inspection thread to answer, got its end');
      return await new Promise<TaskResult>((resolve, reject) => {
        const ticksLeft = Math.ceil(timeoutMs / TICK_MS);
        this.#running = { read, resolve, reject, reading: 0, ticksLeft, partial: null };
        this.#busySince = performance.now();
        this.#worker.postMessage({ task });
      });
    } finally {
      this.#running = null;
      this.#busySince = Number.POSITIVE_INFINITY;
      clearInterval(tick);
    }
  }

  /** Terminates the thread at once, even during a task. */
  async stop(): Promise<void> {
    this.#end();
    await this.#worker.terminate();
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => void this.stop(), START_WITHIN_MS).unref();
      this.#worker.once('message', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#worker.once('exit', () => {
        clearTimeout(timer);
        reject(new ThreadEnded('expected the inspection thread to start, got its end'));
      });
    });
  }

  #tick(): void {
    const running = this.#running;
    if (running === null || running.reading > 0) return;
    running.ticksLeft -= 1;
    if (running.ticksLeft <= 0) void this.stop();
  }

  #onMessage(message: FromThread): void {
    const running = this.#running;
    if (running === null || 'ready' in message) return;
    if ('done' in message) running.resolve(message.done);
    else if ('partial' in message) running.partial = message.partial;
    else if ('fault' in message) running.reject(new Error(message.fault));
    else void this.#answerRead(running, message.read);
  }

  async #answerRead(running: RunningTask, { start, end }: { readonly start: number; readonly end: number }) {
    running.reading += 1;
    const answer: ToThread = await running.read(start, end).then(
      (bytes) => ({ bytes }),
      () => ({ failed: true as const }),
    );
    running.reading -= 1;
    if (!this.#ended) this.#worker.postMessage(answer);
  }

  #end(): void {
    this.#ended = true;
    const running = this.#running;
    if (running?.partial) running.resolve(running.partial);
    else running?.reject(new ThreadEnded('expected the inspection thread to answer, got its end'));
  }
}
