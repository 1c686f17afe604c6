import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { FolderLock } from './folder-lock.js';

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
 * PostgreSQL compiled to WebAssembly (PGlite), in a thread of its own, over a folder that no other process has open. It knows
 * one session only; who may speak is decided by the pool above it, which has one client.
 */
export class EmbeddedEngine {
  readonly #worker: Worker;
  readonly #lock: FolderLock | null;
  // Answers come in the order of the questions.
  readonly #waiting: Waiting[] = [];
  #ended: Error | null = null;

  private constructor(dataFolder: string | null, lock: FolderLock | null) {
    this.#lock = lock;
    setFlagsFromString(`--wasm-tiering-budget=${OPTIMIZE_AFTER}`);
    // Without the loaders and flags of the process: the worker is plain JavaScript.
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { dataFolder },
      execArgv: [],
    });
    this.#worker.on('message', (message: FromWorker) => this.#waiting.shift()?.resolve(message));
    this.#worker.on('error', (error) => this.#end(new Error('the embedded database has failed', { cause: error })));
    this.#worker.on('exit', () => this.#end(new Error('the embedded database is closed')));
  }

  /**
   * The thread is started before this returns. `null`: in memory.
   * @throws Error when another process has the folder open, or when it holds something else
   */
  static async open(folder: string | null): Promise<EmbeddedEngine> {
    if (folder !== null) mkdirSync(folder, { recursive: true });
    const lock = folder === null ? null : FolderLock.take(folder);
    const engine = new EmbeddedEngine(folder === null ? null : join(folder, 'pgdata'), lock);
    try {
      answered(await engine.#next());
      return engine;
    } catch (thrown) {
      await engine.close();
      throw new Error('the embedded database could not be opened', { cause: thrown });
    }
  }

  /** Whole frontend messages in, the backend's messages out. PostgreSQL docs, section 55. */
  async exchange(messages: Uint8Array): Promise<Uint8Array> {
    // A copy of its own, to be handed over without another.
    const sent = Uint8Array.from(messages);
    const answer = this.#next();
    this.#worker.postMessage(sent, [sent.buffer]);
    const message = answered(await answer);
    return 'answer' in message ? message.answer : new Uint8Array();
  }

  /** Waits for what was asked before. Harmless when repeated. */
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
