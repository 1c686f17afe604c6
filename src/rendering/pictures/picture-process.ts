import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PictureFormat } from '../media-formats.js';
import { type StillSpec, Unrenderable } from '../renderer.js';
import type { Confinement } from '../tools/confinement.js';

/** A file for the picture process. */
export interface Picture {
  readonly path: string;
  /** Bytes of another format are refused. */
  readonly format: PictureFormat;
  /** True: the orientation in the file's metadata has been applied already. */
  readonly upright: boolean;
  readonly maxPixels: number;
}

/** What the process makes of a file. A check reads only the header. */
export type PictureTask = Picture &
  (
    | { readonly make: 'still'; readonly spec: StillSpec; readonly maxSide: number }
    | { readonly make: 'base'; readonly side: number; readonly maxSide: number }
    | { readonly make: 'thumbHash' }
    | { readonly make: 'check' }
  );

export type PictureResult =
  | { readonly still: Buffer }
  | { readonly thumbHash: string; readonly width: number; readonly height: number }
  /** The index of the primary picture in the file, and whether it may be transparent. */
  | { readonly first: number; readonly hasAlpha: boolean };

interface Refusal {
  readonly refused: 'type' | 'corrupt' | 'pixels' | 'frames';
  /** The decoder's message, for the log. */
  readonly detail: string;
}

export type PictureAnswer = PictureResult | Refusal;

/** The messages from `picture-worker.js`. */
export type FromPictureProcess = { readonly ready: true } | { readonly id: number; readonly answer: PictureAnswer };

interface PendingTask {
  resolve(answer: PictureAnswer): void;
  reject(fault: Error): void;
}

/** The process ended during a task. Any of the tasks in it may have been the cause. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

const START_WITHIN_MS = 30_000;

export interface PictureProcessOptions {
  /** How many tasks run at once. */
  readonly concurrency: number;
  /** The largest limit of any task. */
  readonly maxPixels: number;
  readonly confinement: Confinement;
}

/** The memory of Node.js, sharp and their threads' stacks. */
const BASE_MEMORY_BYTES = 1_024 * 2 ** 20;
/** A picture that is turned is whole in memory twice: before and after. */
const BYTES_PER_PIXEL = 8;

/**
 * Applies the limits of setrlimit(2) that the system has: no core dump, and RLIMIT_DATA. A limit on address space would
 * keep V8 from starting, because it reserves more addresses than it uses.
 */
const LIMITED = `ulimit -c 0 2>/dev/null
ulimit -d "$1" 2>/dev/null
shift
unset PWD OLDPWD
exec "$0" "$@"`;

/** One process, from its start to its end. It never keeps the parent process alive. */
export class PictureProcess {
  /** Resolves once the process has ended, for any reason, and its tasks have been rejected. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #pending = new Map<number, PendingTask>();
  #lastId = 0;
  #isEnding = false;

  constructor({ concurrency, maxPixels, confinement }: PictureProcessOptions) {
    const memoryKibibytes = Math.ceil((BASE_MEMORY_BYTES + concurrency * maxPixels * BYTES_PER_PIXEL) / 1_024);
    // The process opens jobs' folders by their paths, to which another user has no access.
    const prefix = confinement.user === null ? confinement.prefix : [];
    const worker = fileURLToPath(new URL('./picture-worker.js', import.meta.url));
    const [program = process.execPath, ...args] = [...prefix, process.execPath, worker];
    this.#child = spawn('/bin/sh', ['-c', LIMITED, program, String(memoryKibibytes), ...args], {
      // sharp runs in libuv's thread pool, which has four threads by default.
      env: { UV_THREADPOOL_SIZE: String(Math.max(4, concurrency)) },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.unref();
    this.#child.channel?.unref();
    this.#child.on('message', (message: FromPictureProcess) => {
      if ('id' in message) this.#take(message.id)?.resolve(message.answer);
    });
    // A process that could not be started emits `error` and no `exit`.
    this.ended = new Promise<unknown>((resolve) => {
      this.#child.once('exit', resolve).on('error', resolve);
    }).then(() => this.#end());
    this.#ready = this.#start();
    // `make` awaits this promise and handles its rejection. Without a task, nothing else would.
    this.#ready.catch(() => {});
  }

  /** True: it takes no more tasks. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** @throws Unrenderable; Interrupted when the process died; another Error when it could not be started */
  async make(task: PictureTask, timeoutMs: number): Promise<PictureResult> {
    await this.#ready;
    const answer = await this.#send(task, timeoutMs);
    if ('refused' in answer) throw refusalOf(answer, task);
    return answer;
  }

  /** Kills the process at once, even during a task. */
  kill(): void {
    this.#isEnding = true;
    this.#child.kill('SIGKILL');
  }

  /** Resolves with the process's first message, which says that it is ready. */
  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.kill(), START_WITHIN_MS);
      this.#child.once('message', () => {
        clearTimeout(timer);
        resolve();
      });
      void this.ended.then(() => {
        clearTimeout(timer);
        reject(new Error('expected the picture process to start, got its end'));
      });
    });
  }

  #send(task: PictureTask, timeoutMs: number): Promise<PictureAnswer> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#take(id)?.reject(new Unrenderable(`expected to be rendered within ${timeoutMs} ms, got no end of it`));
        // A decoder that hangs can only be stopped with its process.
        this.kill();
      }, timeoutMs);
      this.#pending.set(id, {
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (fault) => {
          clearTimeout(timer);
          reject(fault);
        },
      });
      // A task that cannot be sent is rejected when the process ends.
      if (this.#child.connected) this.#child.send({ id, task }, () => {});
      else this.#end();
    });
  }

  #take(id: number): PendingTask | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #end(): void {
    this.#isEnding = true;
    for (const id of [...this.#pending.keys()])
      this.#take(id)?.reject(new Interrupted('expected the picture process to answer, got its end'));
  }
}

function refusalOf({ refused, detail }: Refusal, { format, maxPixels }: Picture): Unrenderable {
  const messages = {
    type: `expected bytes of the type ${format}, got others`,
    corrupt: `expected a whole picture of the type ${format}, got a corrupt one`,
    pixels: `expected at most ${maxPixels} pixels, got more`,
    frames: 'expected a picture or an animation, got more frames than any has',
  };
  return new Unrenderable(messages[refused], { cause: new Error(detail) });
}
