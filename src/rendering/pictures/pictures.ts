import { MAX_STILL_SIDE, type StillSpec, Unrenderable } from '../renderer.js';
import type { Confinement } from '../tools/confinement.js';
import { Interrupted, type Picture, PictureProcess, type PictureResult, type PictureTask } from './picture-process.js';

export interface PicturesOptions {
  /** The limit on a task, counted from when the process received it. */
  readonly timeoutMs: number;
  /** How many tasks run at once. */
  readonly concurrency: number;
  /** How long the process stays without a task. */
  readonly idleMs: number;
  /** The largest limit of any task. */
  readonly maxPixels: number;
  readonly confinement: Confinement;
}

/**
 * The shared picture process. It starts on demand, is replaced when it dies, and ends after a while without a task.
 * Every task rejects with Unrenderable, or with another Error when the process could not be started or this is closed.
 */
export class Pictures {
  #shared: PictureProcess | null = null;
  readonly #processes = new Set<PictureProcess>();
  #runningTasks = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly options: PicturesOptions) {}

  async still(picture: Picture, spec: StillSpec): Promise<Buffer> {
    const made = await this.#make({ ...picture, make: 'still', spec, maxSide: MAX_STILL_SIDE });
    if ('still' in made) return made.still;
    throw unexpected('a still');
  }

  /** A WebP for further stills, whose shorter side is at most `side`. */
  async base(picture: Picture, side: number): Promise<Buffer> {
    const made = await this.#make({ ...picture, make: 'base', side, maxSide: MAX_STILL_SIDE });
    if ('still' in made) return made.still;
    throw unexpected('a still');
  }

  /** The ThumbHash, and the size of the upright picture. */
  async thumbHash(picture: Picture) {
    const made = await this.#make({ ...picture, make: 'thumbHash' });
    if ('thumbHash' in made) return made;
    throw unexpected('a ThumbHash');
  }

  /**
   * Reads only the header. `first` is the index of the primary picture in the file, `hasAlpha` tells whether it may be
   * transparent.
   */
  async check(picture: Picture) {
    const made = await this.#make({ ...picture, make: 'check' });
    if ('first' in made) return made;
    throw unexpected('a header');
  }

  /** Ends the processes. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    const processes = [...this.#processes];
    for (const process of processes) process.kill();
    await Promise.all(processes.map(({ ended }) => ended));
  }

  async #make(task: PictureTask): Promise<PictureResult> {
    clearTimeout(this.#idleTimer);
    this.#runningTasks += 1;
    try {
      if (this.#shared === null || this.#shared.isEnding) this.#shared = this.#start();
      return await this.#shared.make(task, this.options.timeoutMs);
    } catch (thrown) {
      if (thrown instanceof Interrupted) return await this.#makeAlone(task);
      throw thrown;
    } finally {
      this.#runningTasks -= 1;
      if (this.#runningTasks === 0) this.#killWhenIdle();
    }
  }

  // Each task of a process that died is tried again in a process of its own. If that dies too, the task is the cause,
  // and no other task is lost with it.
  async #makeAlone(task: PictureTask): Promise<PictureResult> {
    const own = this.#start();
    try {
      return await own.make(task, this.options.timeoutMs);
    } catch (thrown) {
      if (!(thrown instanceof Interrupted) || this.#closed) throw thrown;
      throw new Unrenderable('expected a decoder to survive these bytes, got its end twice');
    } finally {
      own.kill();
    }
  }

  #start(): PictureProcess {
    if (this.#closed) throw new Error('the renderer is closed');
    const started = new PictureProcess(this.options);
    this.#processes.add(started);
    void started.ended.then(() => this.#processes.delete(started));
    return started;
  }

  #killWhenIdle(): void {
    this.#idleTimer = setTimeout(() => this.#shared?.kill(), this.options.idleMs).unref();
  }
}

function unexpected(expected: string): Error {
  return new Error(`expected ${expected} from the picture process, got something else`);
}
