import { type Done, InspectionThread, type Read, Stopped, type Task } from './thread.js';

export interface LaneOptions {
  /** The file that the threads run. */
  readonly worker: URL;
  /** The longest that one task may work. */
  readonly timeoutMs: number;
  /** How many threads at most. */
  readonly most: number;
  /** How long a thread stays when there is nothing to do. */
  readonly idleMs: number;
}

/** Another thread is started where tasks wait and every thread has been at its task for so long: most take milliseconds. */
const PATIENCE_MS = 100;

interface Waiting {
  take(thread: InspectionThread): void;
}

/** Tasks of a kind, in the order in which they came, and the threads that take them. */
export class InspectionLane {
  readonly #threads = new Set<InspectionThread>();
  readonly #free: InspectionThread[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #options: LaneOptions;
  #idle: NodeJS.Timeout | undefined;
  #grow: NodeJS.Timeout | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** A task whose thread was stopped has another try: a busy machine may have been to blame. @throws Error */
  async perform(task: Task, read: Read): Promise<Done> {
    try {
      return await this.#once(task, read);
    } catch (thrown) {
      if (thrown instanceof Stopped) return await this.#once(task, read);
      throw thrown;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const threads = [...this.#threads];
    this.#threads.clear();
    this.#free.length = 0;
    await Promise.all(threads.map((thread) => thread.stop()));
  }

  async #once(task: Task, read: Read): Promise<Done> {
    clearTimeout(this.#idle);
    const thread = await this.#turn();
    try {
      return await thread.perform(task, read, this.#options.timeoutMs);
    } finally {
      this.#release(thread);
    }
  }

  async #turn(): Promise<InspectionThread> {
    for (let thread = this.#free.pop(); thread !== undefined; thread = this.#free.pop()) {
      if (!thread.isEnded) return thread;
      this.#threads.delete(thread);
    }
    if (this.#threads.size === 0) return this.#started();
    return await new Promise<InspectionThread>((take) => {
      this.#waiting.push({ take });
      this.#grow ??= setTimeout(() => this.#helpOut(), PATIENCE_MS);
    });
  }

  #started(): InspectionThread {
    const thread = new InspectionThread(this.#options.worker);
    this.#threads.add(thread);
    return thread;
  }

  #helpOut(): void {
    this.#grow = undefined;
    if (this.#waiting.length === 0 || this.#threads.size >= this.#options.most) return;
    const asOf = performance.now() - PATIENCE_MS;
    if ([...this.#threads].every((thread) => thread.isEnded || thread.busySince <= asOf))
      this.#waiting.shift()?.take(this.#started());
    if (this.#waiting.length > 0) this.#grow = setTimeout(() => this.#helpOut(), PATIENCE_MS);
  }

  #release(thread: InspectionThread): void {
    if (thread.isEnded) this.#threads.delete(thread);
    const next = this.#waiting.shift();
    if (next !== undefined) next.take(thread.isEnded ? this.#started() : thread);
    else if (!thread.isEnded) this.#free.push(thread);
    if (this.#waiting.length === 0 && this.#free.length === this.#threads.size) this.#rest();
  }

  #rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMs).unref();
  }
}
