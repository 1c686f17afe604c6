import { MAX_STILL_SIDE, type StillSpec, Unrenderable } from '../renderer.js';
import type { Confinement } from '../tools/confinement.js';
import { Interrupted, type Picture, type PictureMade, PictureProcess, type PictureTask } from './picture-process.js';

export interface PicturesOptions {
  /** The longest that a task may take, once the process has it. */
  readonly timeoutMs: number;
  /** How many tasks come at once, at most. */
  readonly concurrency: number;
  /** How long the process stays when there is nothing to do. */
  readonly idleMs: number;
  /** Of any task. */
  readonly maxPixels: number;
  readonly confinement: Confinement;
}

/**
 * The one picture process: there when it is needed, replaced when it dies, gone when nothing has come for a while. All
 * that is asked of it rejects with Unrenderable, or another Error when it could not be started or this is closed.
 */
export class Pictures {
  #shared: PictureProcess | null = null;
  readonly #all = new Set<PictureProcess>();
  #underWay = 0;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly options: PicturesOptions) {}

  async still(picture: Picture, spec: StillSpec): Promise<Buffer> {
    const made = await this.#make({ ...picture, make: 'still', spec, maxSide: MAX_STILL_SIDE });
    if ('still' in made) return made.still;
    throw unexpected('a still');
  }

  /** WebP, for further stills: its shorter side is `side` at most. */
  async base(picture: Picture, side: number): Promise<Buffer> {
    const made = await this.#make({ ...picture, make: 'base', side, maxSide: MAX_STILL_SIDE });
    if ('still' in made) return made.still;
    throw unexpected('a still');
  }

  /** With the size of the upright picture. */
  async thumbHash(picture: Picture) {
    const made = await this.#make({ ...picture, make: 'thumbHash' });
    if ('thumbHash' in made) return made;
    throw unexpected('a ThumbHash');
  }

  /**
   * Looks at the header only. `first`: the index of the picture that is shown first, of those in the file; `hasAlpha`:
   * whether it may be transparent.
   */
  async check(picture: Picture) {
    const made = await this.#make({ ...picture, make: 'check' });
    if ('first' in made) return made;
    throw unexpected('a header');
  }

  /** Ends the processes. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    const processes = [...this.#all];
    for (const one of processes) one.kill();
    await Promise.all(processes.map(({ ended }) => ended));
  }

  async #make(task: PictureTask): Promise<PictureMade> {
    clearTimeout(this.#idle);
    this.#underWay += 1;
    try {
      if (this.#shared === null || this.#shared.isEnding) this.#shared = this.#start();
      return await this.#shared.make(task, this.options.timeoutMs);
    } catch (thrown) {
      if (thrown instanceof Interrupted) return await this.#makeAlone(task);
      throw thrown;
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#rest();
    }
  }

  // Private: what was in a process when it died has another try in one of its own, where nothing else can be to blame
  // for its death and nothing else is harmed by it.
  async #makeAlone(task: PictureTask): Promise<PictureMade> {
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
    this.#all.add(started);
    void started.ended.then(() => this.#all.delete(started));
    return started;
  }

  #rest(): void {
    this.#idle = setTimeout(() => this.#shared?.kill(), this.options.idleMs).unref();
  }
}

function unexpected(expected: string): Error {
  return new Error(`expected ${expected} from the picture process, got something else`);
}
