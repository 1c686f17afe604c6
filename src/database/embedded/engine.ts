import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { FolderLock } from './folder-lock.js';
import { DATA_FOLDER } from './folder-state.js';

/** What the worker says: `embedded-worker.js`. */
type FromWorker = { readonly opened: true } | { readonly answer: Uint8Array } | { readonly fault: string };

/**
 * How much work a WebAssembly function does before V8 optimizes it. With V8's default a start spends more processor time on
 * optimizing functions that run once than on running them. What a loaded server runs often is optimized within seconds.
 */
const OPTIMIZE_AFTER = 2_000_000_000;

interface Waiting {
  resolve(message: FromWorker): void;
  reject(fault: Error): void;
}

/**
 * PostgreSQL compiled to WebAssembly (PGlite), in its own thread, for a folder that no other process has open. It has
 * only one session. The pool above it has one client and serialises the access.
 */
export class EmbeddedEngine {
  readonly #worker: Worker;
  readonly #lock: FolderLock | null;
  // Answers have the order of the requests.
  readonly #waiting: Waiting[] = [];
  #ended: Error | null = null;

  private constructor(dataFolder: string | null, lock: FolderLock | null) {
    this.#lock = lock;
    setFlagsFromString(`--wasm-tiering-budget=${OPTIMIZE_AFTER}`);
    // The worker is plain JavaScript and needs none of the process's loaders and flags.
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { dataFolder },
      execArgv: [],
    });
    this.#worker.on('message', (message: FromWorker) => this.#waiting.shift()?.resolve(message));
    this.#worker.on('error', (error) => this.#end(new Error('the embedded database has failed', { cause: error })));
    this.#worker.on('exit', () => this.#end(new Error('the embedded database is closed')));
  }

  /**
   * Opens a folder, or a database in memory for `null`. The engine's thread is started before this returns.
   * @throws Error if another process has the folder open, or if it contains something else
   */
  static async open(folder: string | null): Promise<EmbeddedEngine> {
    if (folder !== null) mkdirSync(folder, { recursive: true });
    const lock = folder === null ? null : FolderLock.take(folder);
    const engine = new EmbeddedEngine(folder === null ? null : join(folder, DATA_FOLDER), lock);
    try {
      answered(await engine.#next());
      return engine;
    } catch (thrown) {
      await engine.close();
      throw new Error('the embedded database could not be opened', { cause: thrown });
    }
  }

  /** Sends complete frontend messages and returns the backend's messages. PostgreSQL docs, section 55. */
  async exchange(messages: Uint8Array): Promise<Uint8Array> {
    // A separate copy, which can be transferred without another copy.
    const sent = Uint8Array.from(messages);
    const answer = this.#next();
    this.#worker.postMessage(sent, [sent.buffer]);
    const message = answered(await answer);
    return 'answer' in message ? message.answer : new Uint8Array();
  }

  /** Waits for all earlier requests. Repeated calls have no effect. */
  async close(): Promise<void> {
    if (this.#ended === null) {
      const exited = once(this.#worker, 'exit');
      this.#worker.postMessage(null);
      await exited;
    }
    this.#lock?.release();
  }

  #next(): Promise<FromWorker> {
    const ended = this.#ended;
    if (ended) return Promise.reject(ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}

function answered(message: FromWorker): Exclude<FromWorker, { readonly fault: string }> {
  if ('fault' in message) throw new Error(message.fault);
  return message;
}
