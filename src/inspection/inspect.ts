import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { MediaKind, MediaMeasures } from '../model/media.js';
import { essenceOf } from '../model/text/mime-type.js';
import { type Preview, type Renderer, type Still, Unrenderable } from '../rendering/renderer.js';
import { baseKeyOf } from '../renditions/renditions.js';
import type { BlobKey, BlobStore } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import type { Look } from './look.js';
import { inspectionThreads } from './threads/inspection-threads.js';

export interface MediaInspectorOptions {
  readonly blobs: BlobStore;
  readonly renderer: Pick<Renderer, 'stillTypes' | 'preview' | 'pageCount'>;
  /** `rendering.placeholders` */
  readonly placeholders: boolean;
  readonly logger: Logger;
}

interface StoredFile {
  readonly key: BlobKey;
  readonly sha256: string;
  /** Sniffed. */
  readonly mimeType: string;
  readonly sizeBytes: number;
}

/** What an inspection of stored bytes told. */
export interface Inspection {
  readonly measures: MediaMeasures;
  /** The type by the tracks of a container. Null: the sniffed type is right. */
  readonly mimeType: string | null;
  /** The kind by the tracks of a container, whatever the sender said. Null: the bytes do not tell. */
  readonly kind: Extract<MediaKind, 'VIDEO' | 'AUDIO'> | null;
  /**
   * The facts of a still that took longer than {@link PREVIEW_WAIT_MS}. Never rejects. It resolves null where there are
   * none.
   */
  readonly late: Promise<LateFacts | null> | null;
}

/** The facts that only decoding tells. */
export type LateFacts = Pick<MediaMeasures, 'thumbHash' | 'still' | 'width' | 'height'>;

/** How long a media stays unavailable for its preview. */
const PREVIEW_WAIT_MS = 5_000;
/** How long the preview may take in all. */
const PREVIEW_TIMEOUT_MS = 30_000;

/**
 * Inspects bytes that have just been stored: headers and frames for the measures, a small still for the placeholder. A
 * picture that takes long to decode is decoded here once, and the base of all its stills is stored beside the original.
 */
export class MediaInspector {
  constructor(private readonly options: MediaInspectorOptions) {}

  /** Rejects only with the signal's reason. Facts that the bytes or the installed tools do not tell are null. */
  async inspect(file: StoredFile, signal?: AbortSignal): Promise<Inspection> {
    signal?.throwIfAborted();
    const [wait, timeout] = [deadline(PREVIEW_WAIT_MS, signal), deadline(PREVIEW_TIMEOUT_MS, signal)];
    try {
      const looking = this.#look(file, wait.signal);
      const previewing = typeForPreview(file.mimeType, looking)
        .then((mimeType) => this.#preview({ ...file, mimeType }, timeout.signal))
        .finally(timeout.clear);
      const [look, preview, pageCount] = await Promise.all([
        looking,
        unlessAborted(wait.signal, previewing),
        this.#pageCount(file, wait.signal),
      ]);
      signal?.throwIfAborted();
      const { placeholders } = this.options;
      const inspection = inspectionOf(look, preview === LATE ? null : preview, placeholders, pageCount);
      if (preview !== LATE || inspection.kind === 'AUDIO') return { ...inspection, late: null };
      return { ...inspection, late: previewing.then((made) => lateFacts(inspection, look, made, placeholders)) };
    } finally {
      wait.clear();
    }
  }

  #look({ key, mimeType, sizeBytes }: StoredFile, signal: AbortSignal): Promise<Look | null> {
    const { blobs } = this.options;
    const read = async (start: number, end: number) => buffer(await blobs.open(key, { signal, range: { start, end } }));
    return this.#orNull(inspectionThreads.look({ mimeType, sizeBytes, read }, signal), key);
  }

  /** False: no still can be made of these bytes. Null: it is unknown whether one can. */
  async #preview(file: StoredFile, signal: AbortSignal): Promise<Preview | false | null> {
    const { blobs, renderer } = this.options;
    const { key, mimeType } = file;
    if (!renderer.stillTypes.has(essenceOf(mimeType))) return null;
    const source = { mimeType, open: (until: AbortSignal) => blobs.open(key, { signal: until }) };
    try {
      const preview = await renderer.preview(source, { signal });
      if (preview.base !== null) await this.#orNull(this.#keepBase(file, preview.base, signal), key);
      return preview;
    } catch (err) {
      this.options.logger.debug({ err, key }, 'no still could be rendered from stored bytes');
      return err instanceof Unrenderable ? false : null;
    }
  }

  // A removal deletes the original before the blobs beside it. A base that is stored after the removal is deleted here.
  async #keepBase(original: StoredFile, { bytes }: Still, signal: AbortSignal): Promise<void> {
    const { blobs } = this.options;
    const key = baseKeyOf(original);
    await blobs.put(key, Readable.from([bytes], { objectMode: false }), { signal });
    if ((await blobs.stat(original.key)) === null) await blobs.delete(key);
  }

  async #pageCount({ key, mimeType }: StoredFile, signal: AbortSignal): Promise<number | null> {
    if (essenceOf(mimeType) !== 'application/pdf') return null;
    const { blobs, renderer } = this.options;
    const source = { mimeType, open: (until: AbortSignal) => blobs.open(key, { signal: until }) };
    return this.#orNull(renderer.pageCount(source, { signal }), key);
  }

  async #orNull<Fact>(fact: Promise<Fact>, key: BlobKey): Promise<Fact | null> {
    try {
      return await fact;
    } catch (err) {
      this.options.logger.debug({ err, key }, 'stored bytes could not be inspected');
      return null;
    }
  }
}

/**
 * The type by the tracks of a container: a video that was sent as sound has a still, and sound sent as video has none.
 */
async function typeForPreview(sniffed: string, looking: Promise<Look | null>): Promise<string> {
  if (!/^(audio|video)\//.test(sniffed)) return sniffed;
  return (await looking)?.mimeType ?? sniffed;
}

function inspectionOf(
  look: Look | null,
  preview: Preview | false | null,
  placeholders: boolean,
  pageCount: number | null,
): Omit<Inspection, 'late'> {
  const { width = null, height = null, durationSeconds = null } = look?.measures ?? {};
  const still = preview === false ? null : preview;
  const isSound = look?.kind === 'AUDIO';
  // A container of sound may hold cover art, which is no still of it.
  const size =
    isSound || width !== null ? { width, height } : { width: still?.width ?? null, height: still?.height ?? null };
  return {
    measures: {
      ...size,
      durationSeconds,
      thumbHash: placeholders && !isSound ? (still?.thumbHash ?? null) : null,
      pageCount: pageCount ?? look?.pageCount ?? null,
      still: isSound || preview === false ? false : still === null ? null : true,
    },
    mimeType: look?.mimeType ?? null,
    kind: look?.kind ?? null,
  };
}

function lateFacts(
  inspection: Omit<Inspection, 'late'>,
  look: Look | null,
  preview: Preview | false | null,
  placeholders: boolean,
): LateFacts | null {
  if (preview === null) return null;
  const { thumbHash, still, width, height } = inspectionOf(
    look,
    preview,
    placeholders,
    inspection.measures.pageCount,
  ).measures;
  return { thumbHash, still, width, height };
}

const LATE = Symbol('late');

/** The result of the work, or {@link LATE} once the signal has aborted. */
function unlessAborted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result | typeof LATE> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(LATE);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject);
  });
}

/**
 * A signal that aborts after `ms`, or with `outer`. AbortSignal.any would leak memory on a long-lived `outer` (Node
 * 20).
 */
function deadline(ms: number, outer: AbortSignal | undefined) {
  const controller = new AbortController();
  const stop = () => controller.abort(outer?.reason);
  const timer = setTimeout(() => controller.abort(new Error('the inspection took too long')), ms);
  outer?.addEventListener('abort', stop, { once: true });
  if (outer?.aborted) stop();
  const clear = () => {
    clearTimeout(timer);
    outer?.removeEventListener('abort', stop);
  };
  return { signal: controller.signal, clear };
}
