import { InspectionThread, type Read, type Task, type TaskResult, ThreadEnded } from './inspection-thread.js';

export interface ThreadPoolOptions {
  /** The file that the threads run. */
  readonly worker: URL;
  /** The longest that one task may work. */
  readonly timeoutMs: number;
  readonly maxThreads: number;
  /** How long a thread stays without a task. */
  readonly idleMs: number;
}

/**
 * How long every thread must have been busy with its task before another one starts for a waiting task. Most tasks take
 * milliseconds, so that one thread is enough.
 */
const GROW_AFTER_MS = 100;

type Waiter = (thread: InspectionThread) => void;

/** The threads for one kind of task. Tasks start first come, first served. */
export class ThreadPool {
  readonly #threads = new Set<InspectionThread>();
  readonly #free: InspectionThread[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #options: ThreadPoolOptions;
  #idleTimer: NodeJS.Timeout | undefined;
  #growTimer: NodeJS.Timeout | undefined;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  /** A task whose thread ended is tried once more, since a busy machine may have been the cause. @throws Error */
  async perform(task: Task, read: Read): Promise<TaskResult> {
    try {
      return await this.#performOnce(task, read);
    } catch (thrown) {
      if (thrown instanceof ThreadEnded) return await this.#performOnce(task, read);
      throw thrown;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const threads = [...this.#threads];
    this.#threads.clear();
    this.#free.length = 0;
    await Promise.all(threads.map((thread) => thread.stop()));
  }

  async #performOnce(task: Task, read: Read): Promise<TaskResult> {
    clearTimeout(this.#idleTimer);
    const thread = await this.#acquire();
    try {
      return await thread.perform(task, read, this.#options.timeoutMs);
    } finally {
      this.#release(thread);
    }
  }

  async #acquire(): Promise<InspectionThread> {
    for (let thread = this.#free.pop(); thread !== undefined; thread = this.#free.pop()) {
      if (!thread.isEnded) return thread;
      this.#threads.delete(thread);
    }
    if (this.#threads.size === 0) return this.#startThread();
    return await new Promise<InspectionThread>((resolve) => {
      this.#waiters.push(resolve);
      this.#growTimer ??= setTimeout(() => this.#growIfBusy(), GROW_AFTER_MS);
    });
  }

  #startThread(): InspectionThread {
    const thread = new InspectionThread(this.#options.worker);
    this.#threads.add(thread);
    return thread;
  }

  #growIfBusy(): void {
    this.#growTimer = undefined;
    if (this.#waiters.length === 0 || this.#threads.size >= this.#options.maxThreads) return;
    const since = performance.now() - GROW_AFTER_MS;
    if ([...this.#threads].every((thread) => thread.isEnded || thread.busySince <= since))
      this.#waiters.shift()?.(this.#startThread());
    if (this.#waiters.length > 0) this.#growTimer = setTimeout(() => this.#growIfBusy(), GROW_AFTER_MS);
  }

  #release(thread: InspectionThread): void {
    if (thread.isEnded) this.#threads.delete(thread);
    const next = this.#waiters.shift();
    if (next !== undefined) next(thread.isEnded ? this.#startThread() : thread);
    else if (!thread.isEnded) this.#free.push(thread);
    if (this.#waiters.length === 0 && this.#free.length === this.#threads.size) this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => void this.close(), this.#options.idleMs).unref();
  }
}
