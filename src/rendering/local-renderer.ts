import type { Readable } from 'node:stream';
import { essenceOf } from '../model/text/mime-type.js';
import type { JobQueue } from './job-queue.js';
import { DOCUMENT } from './media-formats.js';
import { type DecodablePicture, decodablePicture } from './pictures/decodable-picture.js';
import {
  BASE_MIME_TYPE,
  MAX_STILL_SIDE,
  type Playable,
  type Preview,
  type Renderer,
  type RenderOptions,
  type RenderSource,
  type Still,
  type StillSpec,
} from './renderer.js';
import { orAborted, within } from './tools/deadline.js';
import { inJobFolder, saveSource } from './tools/job-folder.js';
import { pagesOf } from './tools/page-count.js';
import { playableSound } from './tools/playable-sound.js';
import { baseTypesWith, playableTypesWith, stillTypesWith, type Tools } from './tools/tools.js';
import type { Job, Workshop } from './tools/workshop.js';

/** The limit of ThumbHash, in pixels. */
const THUMB_HASH_SIDE = 100;
/** The shorter side of the base of stills: that of the largest square still. */
const BASE_SIDE = 2_048;
const READ_AHEAD_BYTES = 256 * 1024;

export interface LocalRendererOptions {
  /** The programs that are installed. */
  readonly tools: Tools;
  /** Called before the first job. Its tools are those that can be run. */
  readonly openWorkshop: () => Promise<Workshop>;
  readonly queue: JobQueue;
  readonly timeoutMs: number;
  readonly maxSourceBytes: number;
}

interface RenderableTypes {
  readonly stills: ReadonlySet<string>;
  readonly bases: ReadonlySet<string>;
  readonly playables: ReadonlySet<string>;
}

function typesWith(tools: Tools): RenderableTypes {
  return { stills: stillTypesWith(tools), bases: baseTypesWith(tools), playables: playableTypesWith(tools) };
}

/** Renders with programs that are installed on this machine. Each job has a folder, which is removed at its end. */
export class LocalRenderer implements Renderer {
  #tools: Tools;
  #types: RenderableTypes;
  #workshop: Promise<Workshop> | null = null;
  // `close` aborts these jobs and waits for them.
  readonly #jobs = new Map<AbortController, Promise<unknown>>();
  #closed = false;

  constructor(private readonly options: LocalRendererOptions) {
    this.#tools = options.tools;
    this.#types = typesWith(options.tools);
  }

  get stillTypes(): ReadonlySet<string> {
    return this.#types.stills;
  }

  get baseTypes(): ReadonlySet<string> {
    return this.#types.bases;
  }

  get playableTypes(): ReadonlySet<string> {
    return this.#types.playables;
  }

  async renderStill(source: RenderSource, spec: StillSpec, { signal }: RenderOptions): Promise<Still> {
    assertSpec(spec);
    assertType(source, this.stillTypes);
    const side = Math.max(spec.width, spec.height ?? 0);
    const { width, height, fit, format } = spec;
    const bytes = await this.#job(source, signal, async (job, workshop) => {
      const picture = await pictureFor(job, side, workshop);
      return await workshop.pictures.still(picture, { width, height, fit, format });
    });
    return { bytes, mimeType: `image/${spec.format}` };
  }

  async preview(source: RenderSource, { signal }: RenderOptions): Promise<Preview> {
    assertType(source, this.stillTypes);
    const essence = essenceOf(source.mimeType);
    return await this.#job(source, signal, async (job, workshop) => {
      const { pictures } = workshop;
      const picture = await pictureFor(job, THUMB_HASH_SIDE, workshop);
      const { thumbHash, width, height } = await pictures.thumbHash(picture);
      if (essence === DOCUMENT) return { thumbHash, width: null, height: null, base: null };
      if (!this.baseTypes.has(essence)) return { thumbHash, width, height, base: null };
      const bytes = await pictures.base(picture, BASE_SIDE);
      return { thumbHash, width, height, base: { bytes, mimeType: BASE_MIME_TYPE } };
    });
  }

  async pageCount(source: RenderSource, { signal }: RenderOptions): Promise<number | null> {
    assertType(source, new Set([DOCUMENT]));
    if (this.#tools.pdfinfo === null) return null;
    return await this.#job<number | null>(source, signal, async (job, workshop) => {
      const { pdfinfo } = workshop.tools;
      return pdfinfo === null ? null : await pagesOf(pdfinfo, job, workshop);
    });
  }

  async renderPlayable(source: RenderSource, { signal }: RenderOptions): Promise<Playable> {
    assertType(source, this.playableTypes);
    const body = await this.#job<Readable>(
      source,
      signal,
      async (job, workshop) => {
        const file = await playableSound(job, workshop);
        return file.createReadStream({ highWaterMark: READ_AHEAD_BYTES });
      },
      (late) => late.destroy(),
    );
    return { body, mimeType: 'audio/mp4' };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const controller of this.#jobs.keys()) controller.abort(new Error('the renderer is closed'));
    await (await this.#workshop)?.pictures.close();
    await Promise.allSettled(this.#jobs.values());
  }

  #openWorkshop(): Promise<Workshop> {
    this.#workshop ??= this.options.openWorkshop().then((workshop) => {
      this.#tools = workshop.tools;
      this.#types = typesWith(workshop.tools);
      return workshop;
    });
    return this.#workshop;
  }

  // An aborted job rejects at once, but keeps its slot in the queue until the processes that it started have ended.
  async #job<Result>(
    source: RenderSource,
    signal: AbortSignal | undefined,
    work: (job: Job, workshop: Workshop) => Promise<Result>,
    discardLate: (late: Result) => void = () => {},
  ): Promise<Result> {
    signal?.throwIfAborted();
    if (this.#closed) throw new Error('the renderer is closed');
    const controller = new AbortController();
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const done = this.options.queue.run(controller.signal, () =>
      inJobFolder(async (folder) => {
        const [workshop] = await Promise.all([this.#openWorkshop(), this.#fetch(source, folder, controller.signal)]);
        return await work({ essence: essenceOf(source.mimeType), folder, signal: controller.signal }, workshop);
      }),
    );
    this.#jobs.set(controller, done);
    const forget = () => this.#jobs.delete(controller);
    done.then(forget, forget);
    try {
      return await orAborted(done, controller.signal, discardLate);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  // A slow source says nothing about its bytes, so this timeout is not an Unrenderable.
  async #fetch(source: RenderSource, folder: string, signal: AbortSignal): Promise<void> {
    const { timeoutMs, maxSourceBytes } = this.options;
    const tooLong = () => new Error(`expected the original within ${timeoutMs} ms`);
    await within(timeoutMs, tooLong, signal, (limited) =>
      saveSource(source, folder, { maxBytes: maxSourceBytes, signal: limited }),
    );
  }
}

async function pictureFor(
  job: Job,
  side: number,
  workshop: Workshop,
): Promise<DecodablePicture & { readonly maxPixels: number }> {
  return { ...(await decodablePicture(job, side, workshop)), maxPixels: workshop.maxPixels };
}

function assertType({ mimeType }: RenderSource, types: ReadonlySet<string>): void {
  const essence = essenceOf(mimeType);
  if (!types.has(essence)) throw new RangeError(`expected one of ${[...types].join(', ')}, got ${essence}`);
}

function assertSpec({ width, height }: StillSpec): void {
  for (const side of [width, height ?? 1])
    if (!Number.isInteger(side) || side < 1 || side > MAX_STILL_SIDE)
      throw new RangeError(`expected a side of 1 to ${MAX_STILL_SIDE} pixels, got ${side}`);
}
