import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PictureFormat } from '../media-formats.js';
import { type StillSpec, Unrenderable } from '../renderer.js';
import type { Confinement } from '../tools/confinement.js';

/** A file that is to be looked at. */
export interface Picture {
  readonly path: string;
  /** Bytes of another format are refused. */
  readonly format: PictureFormat;
  /** True: what the file says about its orientation has been done already. */
  readonly upright: boolean;
  readonly maxPixels: number;
}

/** What is to become of it; a check reads the header only. */
export type PictureTask = Picture &
  (
    | { readonly make: 'still'; readonly spec: StillSpec; readonly maxSide: number }
    | { readonly make: 'base'; readonly side: number; readonly maxSide: number }
    | { readonly make: 'thumbHash' }
    | { readonly make: 'check' }
  );

export type PictureMade =
  | { readonly still: Buffer }
  | { readonly thumbHash: string; readonly width: number; readonly height: number }
  /** The index of the picture that is shown first, of those in the file, and whether it may be transparent. */
  | { readonly first: number; readonly hasAlpha: boolean };

interface Refusal {
  readonly refused: 'type' | 'corrupt' | 'pixels' | 'frames';
  /** In the decoder's words, for the log. */
  readonly detail: string;
}

export type PictureAnswer = PictureMade | Refusal;

/** What the process says: `picture-worker.js`. */
export type FromPictureProcess = { readonly ready: true } | { readonly id: number; readonly answer: PictureAnswer };

interface Waiting {
  resolve(answer: PictureAnswer): void;
  reject(fault: Error): void;
}

/** The process ended with a task in it. With several in it, nobody knows which of them it died of. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

const START_WITHIN_MS = 30_000;

export interface PictureProcessOptions {
  /** How many tasks are made side by side. */
  readonly concurrency: number;
  /** Of any task. */
  readonly maxPixels: number;
  readonly confinement: Confinement;
}

/** Node.js, sharp and their threads' stacks. */
const BASE_MEMORY_BYTES = 1_024 * 2 ** 20;
/** A picture that has to be whole in memory to be turned, and what it is turned into. */
const BYTES_PER_PIXEL = 8;

/**
 * The limits of setrlimit(2) as far as the system has them: no core dump, and data, which Linux counts by what can be
 * written to; V8 reserves more addresses than it uses, so that a limit of those would keep it from starting.
 */
const LIMITED = `ulimit -c 0 2>/dev/null
ulimit -d "$1" 2>/dev/null
shift
unset PWD OLDPWD
exec "$0" "$@"`;

/** One process, from its start to its end. It never keeps ours alive. */
export class PictureProcess {
  /** Resolves when it has ended, however that came, and every task that was in it knows. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #isEnding = false;

  constructor({ concurrency, maxPixels, confinement }: PictureProcessOptions) {
    const memoryKibibytes = Math.ceil((BASE_MEMORY_BYTES + concurrency * maxPixels * BYTES_PER_PIXEL) / 1_024);
    // It opens the folders of jobs by their full names, which another user could not.
    const prefix = confinement.user === null ? confinement.prefix : [];
    const worker = fileURLToPath(new URL('./picture-worker.js', import.meta.url));
    const [program = process.execPath, ...args] = [...prefix, process.execPath, worker];
    this.#child = spawn('/bin/sh', ['-c', LIMITED, program, String(memoryKibibytes), ...args], {
      // sharp works in libuv's pool, which has four threads unless it is told otherwise.
      env: { UV_THREADPOOL_SIZE: String(Math.max(4, concurrency)) },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.unref();
    this.#child.channel?.unref();
    this.#child.on('message', (message: FromPictureProcess) => {
      if ('id' in message) this.#take(message.id)?.resolve(message.answer);
    });
    // One that could not be started has no exit.
    this.ended = new Promise<unknown>((resolve) => {
      this.#child.once('exit', resolve).on('error', resolve);
    }).then(() => this.#end());
    this.#ready = this.#start();
    // Whoever waits for it is told; it may be that nobody does.
    this.#ready.catch(() => {});
  }

  /** Takes no more tasks. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** @throws Unrenderable; Interrupted when the process died; another Error when it could not be started */
  async make(task: PictureTask, timeoutMs: number): Promise<PictureMade> {
    await this.#ready;
    const answer = await this.#ask(task, timeoutMs);
    if ('refused' in answer) throw refusalOf(answer, task);
    return answer;
  }

  /** At once, whatever it is doing. */
  kill(): void {
    this.#isEnding = true;
    this.#child.kill('SIGKILL');
  }

  // Private: its first message says that it is ready.
  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const tooLate = setTimeout(() => this.kill(), START_WITHIN_MS);
      this.#child.once('message', () => {
        clearTimeout(tooLate);
        resolve();
      });
      void this.ended.then(() => {
        clearTimeout(tooLate);
        reject(new Error('expected the picture process to start, got its end'));
      });
    });
  }

  #ask(task: PictureTask, timeoutMs: number): Promise<PictureAnswer> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(() => {
        this.#take(id)?.reject(new Unrenderable(`expected to be rendered within ${timeoutMs} ms, got no end of it`));
        // A decoder cannot be stopped otherwise.
        this.kill();
      }, timeoutMs);
      this.#waiting.set(id, {
        resolve: (answer) => {
          clearTimeout(overdue);
          resolve(answer);
        },
        reject: (fault) => {
          clearTimeout(overdue);
          reject(fault);
        },
      });
      // Where it cannot be sent, the process is ending, and its end answers.
      if (this.#child.connected) this.#child.send({ id, task }, () => {});
      else this.#end();
    });
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #end(): void {
    this.#isEnding = true;
    for (const id of [...this.#waiting.keys()])
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
