import { Worker } from 'node:worker_threads';
import type { Look } from '../look.js';
import type { MeasuredSource } from '../measure/window.js';

export type Task =
  | { readonly kind: 'sniff'; readonly head: Uint8Array; readonly declared: string | null }
  | { readonly kind: 'look'; readonly mimeType: string; readonly sizeBytes: number };

export type Done = { readonly mimeType: string } | { readonly look: Look };

/** What the thread is told: `inspection-worker.js`. */
export type ToThread = { readonly task: Task } | { readonly bytes: Uint8Array } | { readonly failed: true };

/** What the thread says. */
export type FromThread =
  | { readonly ready: true }
  | { readonly read: { readonly start: number; readonly end: number } }
  /** What is known so far, if it comes to no end. */
  | { readonly soFar: Done }
  | { readonly done: Done }
  | { readonly fault: string };

export type Read = MeasuredSource['read'];

/** The thread was stopped since it had worked for too long, or it ended by itself: out of memory. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/**
 * How often time is looked at. A timer for the whole deadline would go off at once after a process that was halted
 * (SIGSTOP, a paused container) goes on, before the answer that is there already is read.
 */
const TICK_MS = 250;
const START_WITHIN_MS = 30_000;
/** V8's heaps of the thread. Few bytes of a media are in memory at a time; they lie outside of these. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 };

interface Performing {
  readonly read: Read;
  resolve(done: Done): void;
  reject(fault: Error): void;
  /** Reads under way: the time that they take is the store's, not the parser's. */
  reading: number;
  ticksLeft: number;
  soFar: Done | null;
}

/** One thread, from its start to its end. It performs one task at a time, and never keeps the process alive. */
export class InspectionThread {
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  #performing: Performing | null = null;
  #ended = false;
  #busySince = Number.POSITIVE_INFINITY;

  constructor(worker: URL) {
    // Reading the worker's output would keep the process alive in spite of `unref`; the worker writes none.
    this.#worker = new Worker(worker, { resourceLimits: RESOURCE_LIMITS, stdout: true, stderr: true });
    this.#worker.on('error', () => this.#end());
    this.#worker.on('exit', () => this.#end());
    this.#worker.on('message', (message: FromThread) => this.#hear(message));
    this.#ready = this.#start();
    // Told to the task that waits for it; there may be none any more.
    this.#ready.catch(() => {});
    // Behind the listeners, each of which would keep the process alive.
    this.#worker.unref();
  }

  /** When it was given the task that it is at, by `performance.now()`. Infinity = it is at none, or is starting. */
  get busySince(): number {
    return this.#busySince;
  }

  /** Takes no more tasks. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /**
   * @param timeoutMs of work, without the time that reads take
   * @throws Stopped; another Error when the task failed
   */
  async perform(task: Task, read: Read, timeoutMs: number): Promise<Done> {
    // Keeps the process alive until there is an answer, too.
    const tick = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#ready;
      if (this.#ended) throw new Stopped('expected the inspection thread to answer, got its end');
      return await new Promise<Done>((resolve, reject) => {
        const ticksLeft = Math.ceil(timeoutMs / TICK_MS);
        this.#performing = { read, resolve, reject, reading: 0, ticksLeft, soFar: null };
        this.#busySince = performance.now();
        this.#worker.postMessage({ task });
      });
    } finally {
      this.#performing = null;
      this.#busySince = Number.POSITIVE_INFINITY;
      clearInterval(tick);
    }
  }

  /** At once, whatever it is doing. */
  async stop(): Promise<void> {
    this.#end();
    await this.#worker.terminate();
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const tooLate = setTimeout(() => void this.stop(), START_WITHIN_MS).unref();
      this.#worker.once('message', () => {
        clearTimeout(tooLate);
        resolve();
      });
      this.#worker.once('exit', () => {
        clearTimeout(tooLate);
        reject(new Stopped('expected the inspection thread to start, got its end'));
      });
    });
  }

  #tick(): void {
    const performing = this.#performing;
    if (performing === null || performing.reading > 0) return;
    performing.ticksLeft -= 1;
    if (performing.ticksLeft <= 0) void this.stop();
  }

  #hear(message: FromThread): void {
    const performing = this.#performing;
    if (performing === null || 'ready' in message) return;
    if ('done' in message) performing.resolve(message.done);
    else if ('soFar' in message) performing.soFar = message.soFar;
    else if ('fault' in message) performing.reject(new Error(message.fault));
    else void this.#answerRead(performing, message.read);
  }

  async #answerRead(performing: Performing, { start, end }: { readonly start: number; readonly end: number }) {
    performing.reading += 1;
    const answer: ToThread = await performing.read(start, end).then(
      (bytes) => ({ bytes }),
      () => ({ failed: true as const }),
    );
    performing.reading -= 1;
    if (!this.#ended) this.#worker.postMessage(answer);
  }

  #end(): void {
    this.#ended = true;
    const performing = this.#performing;
    if (performing?.soFar) performing.resolve(performing.soFar);
    else performing?.reject(new Stopped('expected the inspection thread to answer, got its end'));
  }
}
