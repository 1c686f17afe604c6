import { buffer } from 'node:stream/consumers';
import type { MediaKind, MediaMeasures } from '../model/media.js';
import { essenceOf } from '../model/mime-type.js';
import type { Renderer } from '../rendering/renderer.js';
import type { BlobKey, BlobStore } from '../storage/blob-store.js';
import type { Logger } from '../telemetry/logger.js';
import { measure } from './measure.js';

export interface MediaInspectorOptions {
  readonly blobs: BlobStore;
  readonly renderer: Pick<Renderer, 'stillTypes' | 'thumbHash'>;
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

/** What stored bytes turned out to be. */
export interface Inspection {
  readonly measures: MediaMeasures;
  /** By the tracks of a container; null: the sniffed type stands. */
  readonly mimeType: string | null;
  /** By the tracks of a container, whatever the sender said; null: not told by the bytes. */
  readonly kind: Extract<MediaKind, 'VIDEO' | 'AUDIO'> | null;
}

/** Nobody waits longer for a media because it is hard to look at. */
const PATIENCE_MS = 5_000;

/** Looks at bytes that have just been stored: at their headers for sizes, at a small still for a placeholder. */
export class MediaInspector {
  constructor(private readonly options: MediaInspectorOptions) {}

  /** Never fails for what the bytes are, nor for want of a tool: what cannot be told is null. */
  async inspect(file: StoredFile, signal?: AbortSignal): Promise<Inspection> {
    // Not AbortSignal.any, which leaves something behind at a signal that lives as long as the process.
    const until = new AbortController();
    const stop = () => until.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    const overdue = setTimeout(() => until.abort(new Error('the inspection took too long')), PATIENCE_MS);
    try {
      signal?.throwIfAborted();
      const looking = [this.#measure(file, until.signal), this.#thumbHash(file, until.signal)] as const;
      const [measured, thumbHash] = await Promise.all(looking);
      signal?.throwIfAborted();
      const { width = null, height = null, durationSeconds = null } = measured ?? {};
      return {
        measures: { width, height, durationSeconds, thumbHash, pageCount: null, still: null },
        mimeType: null,
        kind: null,
      };
    } finally {
      clearTimeout(overdue);
      signal?.removeEventListener('abort', stop);
    }
  }

  #measure({ key, mimeType, sizeBytes }: StoredFile, signal: AbortSignal) {
    const { blobs } = this.options;
    const read = async (start: number, end: number) => buffer(await blobs.open(key, { signal, range: { start, end } }));
    return this.#orNull(measure({ mimeType, sizeBytes, read }), key);
  }

  async #thumbHash({ key, mimeType }: StoredFile, signal: AbortSignal): Promise<string | null> {
    const { blobs, renderer, placeholders } = this.options;
    if (!placeholders || !renderer.stillTypes.has(essenceOf(mimeType))) return null;
    const source = { mimeType, open: (until: AbortSignal) => blobs.open(key, { signal: until }) };
    return this.#orNull(renderer.thumbHash(source, { signal }), key);
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
