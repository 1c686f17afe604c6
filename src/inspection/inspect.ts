import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { MediaKind, MediaMeasures } from '../model/media.js';
import { essenceOf } from '../model/mime-type.js';
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

/** What bytes turned out to be. */
export interface Inspection {
  readonly measures: MediaMeasures;
  /** By the tracks of a container; null: the sniffed type stands. */
  readonly mimeType: string | null;
  /** By the tracks of a container, whatever the sender said; null: not told by the bytes. */
  readonly kind: Extract<MediaKind, 'VIDEO' | 'AUDIO'> | null;
  /** Where the still took too long to be waited for: what it showed. Never rejects; null: nothing, or not in time. */
  readonly late: Promise<LateFacts | null> | null;
}

/** What only decoding tells. */
export type LateFacts = Pick<MediaMeasures, 'thumbHash' | 'still' | 'width' | 'height'>;

/** So long a media waits for what it shows. */
const PATIENCE_MS = 5_000;
/** So long what it shows may come behind it. */
const LATE_MS = 30_000;

/**
 * Looks at bytes that have just been stored: at their headers and frames for sizes, at a small still for a placeholder. A
 * picture that takes long to decode is decoded here once: what stills are made from is stored beside the original.
 */
export class MediaInspector {
  constructor(private readonly options: MediaInspectorOptions) {}

  /** Never fails for what the bytes are, nor for want of a tool: what cannot be told is null. */
  async inspect(file: StoredFile, signal?: AbortSignal): Promise<Inspection> {
    signal?.throwIfAborted();
    const [soon, late] = [deadline(PATIENCE_MS, signal), deadline(LATE_MS, signal)];
    try {
      const looking = this.#look(file, soon.signal);
      const previewing = typeToShow(file.mimeType, looking)
        .then((mimeType) => this.#preview({ ...file, mimeType }, late.signal))
        .finally(late.clear);
      const [look, shown, pageCount] = await Promise.all([
        looking,
        unless(soon.signal, previewing),
        this.#pageCount(file, soon.signal),
      ]);
      signal?.throwIfAborted();
      const { placeholders } = this.options;
      const inspection = inspectionOf(look, shown === LATE ? null : shown, placeholders, pageCount);
      if (shown !== LATE || inspection.kind === 'AUDIO') return { ...inspection, late: null };
      return { ...inspection, late: previewing.then((preview) => lateFacts(inspection, look, preview, placeholders)) };
    } finally {
      soon.clear();
    }
  }

  #look({ key, mimeType, sizeBytes }: StoredFile, signal: AbortSignal): Promise<Look | null> {
    const { blobs } = this.options;
    const read = async (start: number, end: number) => buffer(await blobs.open(key, { signal, range: { start, end } }));
    return this.#orNull(inspectionThreads.look({ mimeType, sizeBytes, read }, signal), key);
  }

  // Private: false: no still can be made of these bytes; null: that is not known.
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
      this.options.logger.debug({ err, key }, 'no still could be made of stored bytes');
      return err instanceof Unrenderable ? false : null;
    }
  }

  // A removal takes the original first, and then what lies beside it: what came too late for that is taken away here.
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

  async #orNull<Found>(looking: Promise<Found>, key: BlobKey): Promise<Found | null> {
    try {
      return await looking;
    } catch (err) {
      this.options.logger.debug({ err, key }, 'stored bytes could not be looked at');
      return null;
    }
  }
}

/** Of a container, what the tracks say: a video that was called sound has a still, and sound that was called a video has none. */
async function typeToShow(sniffed: string, looking: Promise<Look | null>): Promise<string> {
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
  const shown = preview === false ? null : preview;
  const isSound = look?.kind === 'AUDIO';
  // A container of sound may hold a cover, which is no still of it.
  const size =
    isSound || width !== null ? { width, height } : { width: shown?.width ?? null, height: shown?.height ?? null };
  return {
    measures: {
      ...size,
      durationSeconds,
      thumbHash: placeholders && !isSound ? (shown?.thumbHash ?? null) : null,
      pageCount: pageCount ?? look?.pageCount ?? null,
      still: isSound || preview === false ? false : shown === null ? null : true,
    },
    mimeType: look?.mimeType ?? null,
    kind: look?.kind ?? null,
  };
}

function lateFacts(
  soon: Omit<Inspection, 'late'>,
  look: Look | null,
  preview: Preview | false | null,
  placeholders: boolean,
): LateFacts | null {
  if (preview === null) return null;
  const { thumbHash, still, width, height } = inspectionOf(
    look,
    preview,
    placeholders,
    soon.measures.pageCount,
  ).measures;
  return { thumbHash, still, width, height };
}

const LATE = Symbol('late');

/** What the work comes to, or {@link LATE} once the signal has aborted. */
function unless<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result | typeof LATE> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(LATE);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject);
  });
}

/** A signal that aborts after so long, or with `outer`. Not AbortSignal.any, which leaves something behind at `outer`. */
function deadline(ms: number, outer: AbortSignal | undefined) {
  const until = new AbortController();
  const stop = () => until.abort(outer?.reason);
  const overdue = setTimeout(() => until.abort(new Error('the inspection took too long')), ms);
  outer?.addEventListener('abort', stop, { once: true });
  if (outer?.aborted) stop();
  const clear = () => {
    clearTimeout(overdue);
    outer?.removeEventListener('abort', stop);
  };
  return { signal: until.signal, clear };
}
