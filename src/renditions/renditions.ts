import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import Negotiator from 'negotiator';
import type { ByteSpan } from '../model/byte-range.js';
import { MediagraphError } from '../model/errors.js';
import { upTo } from '../model/lru-limit.js';
import { formatRendition, type ORIGINAL, type Rendition, type Still } from '../model/rendition.js';
import { essenceOf } from '../model/text/mime-type.js';
import {
  BASE_MIME_TYPE,
  type Renderer,
  RendererOverloaded,
  type RenderSource,
  Unrenderable,
} from '../rendering/renderer.js';
import { type BlobKey, BlobNotFound, type BlobStore, derivedBlobKey, type StoredBlob } from '../storage/blob-store.js';
import type { HotBytes } from '../storage/hot-bytes.js';
import type { RenditionOutcome, WorkMetrics } from '../telemetry/instruments/work-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import { inSpan } from '../telemetry/spans.js';

/** A rendition that is made from the original, in contrast to the original itself. */
export type Derived = Exclude<Rendition, typeof ORIGINAL>;

export interface RenditionsOptions {
  readonly blobs: BlobStore;
  readonly hot: HotBytes;
  readonly renderer: Renderer;
  readonly logger: Logger;
  readonly metrics?: Pick<WorkMetrics, 'renditionEnded'>;
}

/** The original from which renditions are made, and beside whose key they are stored. */
export interface StoredOriginal {
  readonly key: BlobKey;
  readonly sha256: string;
  /** Sniffed. */
  readonly mimeType: string;
}

export interface StoredRendition extends StoredBlob {
  readonly key: BlobKey;
  readonly mimeType: string;
  open(range: ByteSpan | null, options: { readonly signal?: AbortSignal }): Promise<Buffer | Readable>;
}

/** One rendition that is to be made. */
interface RenditionJob {
  readonly key: BlobKey;
  readonly original: StoredOriginal;
  readonly rendition: Derived;
  /** Null: playable sound, which has one format. */
  readonly format: Format | null;
  readonly isWanted: () => Promise<boolean>;
}

interface Format {
  readonly name: 'jpeg' | 'png' | 'webp' | 'avif';
  readonly mimeType: string;
  readonly extension: string;
}

const JPEG: Format = { name: 'jpeg', mimeType: 'image/jpeg', extension: 'jpg' };
const PNG: Format = { name: 'png', mimeType: 'image/png', extension: 'png' };
const WEBP: Format = { name: 'webp', mimeType: 'image/webp', extension: 'webp' };
const AVIF: Format = { name: 'avif', mimeType: 'image/avif', extension: 'avif' };

const PLAYABLE_MIME_TYPE = 'audio/mp4';
/** Originals that may be transparent. Their stills are PNG for clients that name no newer format. */
const MAY_BE_TRANSPARENT = /^image\/(png|gif|webp|avif)$/;
const MAX_REMEMBERED = 10_000;
/** How long bytes that could not be rendered are not tried again. */
const UNRENDERABLE_MS = 10 * 60 * 1000;

/** Stills and playable sound. Each is made once, on its first request, and stored beside the original. */
export class Renditions {
  readonly #stored = new LRUCache<BlobKey, StoredBlob>(upTo(MAX_REMEMBERED));
  readonly #making = new Map<BlobKey, Promise<StoredBlob>>();
  // These three are by original and kind of rendition, for any size and format.
  readonly #unrenderable = new LRUCache<string, string>({ ...upTo(MAX_REMEMBERED), ttl: UNRENDERABLE_MS });
  readonly #renderable = new LRUCache<string, true>(upTo(MAX_REMEMBERED));
  readonly #firstAttempts = new Map<string, Promise<unknown>>();

  constructor(private readonly options: RenditionsOptions) {}

  /** Whether this machine can make such a rendition of bytes of that type. */
  makes(rendition: Derived, mimeType: string | null): boolean {
    if (mimeType === null) return false;
    const { stillTypes, playableTypes } = this.options.renderer;
    return (rendition.kind === 'still' ? stillTypes : playableTypes).has(essenceOf(mimeType));
  }

  /**
   * The stored rendition, made first if it is missing.
   * @param accept the client's `Accept` header, which decides a still's format
   * @param isWanted called after a rendition was stored: whether its media still exists
   * @throws MediagraphError CONTENT_TYPE_NOT_ALLOWED where the bytes cannot be rendered so; a retryable MEDIA_NOT_READY
   *   while too many renditions are being made; MEDIA_GONE
   */
  async open(
    original: StoredOriginal,
    rendition: Derived,
    accept: string | undefined,
    isWanted: () => Promise<boolean>,
  ): Promise<StoredRendition> {
    const format = rendition.kind === 'still' ? formatFor(original.mimeType, accept) : null;
    // The name contains the original's hash, so that a new copy with other bytes gets renditions of its own.
    const name = `${formatRendition(rendition)}-${original.sha256.slice(0, 8)}`;
    const key = derivedBlobKey(original.key, name, format?.extension ?? 'm4a');
    const stored = await this.#find(key).catch((thrown: unknown) => {
      if (!(thrown instanceof BlobNotFound)) throw thrown;
      return this.#make({ key, original, rendition, format, isWanted });
    });
    return {
      ...stored,
      key,
      mimeType: format?.mimeType ?? PLAYABLE_MIME_TYPE,
      open: (range, { signal }) => this.#bytes(key, stored, range, signal),
    };
  }

  async #find(key: BlobKey): Promise<StoredBlob> {
    const remembered = this.#stored.get(key);
    if (remembered) return remembered;
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of (await this.options.blobs.open(key, {})) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      if (this.options.hot.takes(sizeBytes)) chunks.push(chunk);
    }
    const stored = { sizeBytes, sha256: hash.digest('hex') };
    this.#stored.set(key, stored);
    if (this.options.hot.takes(sizeBytes)) this.options.hot.set(key, stored.sha256, Buffer.concat(chunks));
    return stored;
  }

  /** Concurrent requests share one rendering. It continues without them, since the next request needs it. */
  #make({ key, original, rendition, format, isWanted }: RenditionJob): Promise<StoredBlob> {
    const pending = this.#making.get(key);
    if (pending) return pending;
    const making = this.#afterFirstAttempt(original, rendition.kind, async () => {
      if (rendition.kind === 'playable') {
        const { body } = await this.options.renderer.renderPlayable(this.#sourceOf(original), {});
        return await this.#store(key, body, isWanted);
      }
      const source = await this.#stillSource(original, isWanted);
      const spec = { ...sizesOf(rendition), format: format?.name ?? 'jpeg' };
      const { bytes } = await this.options.renderer.renderStill(source, spec, {});
      return await this.#store(key, Readable.from([bytes], { objectMode: false }), isWanted);
    }).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  /**
   * Makes other renditions of an original wait for its first one. Bytes that cannot be rendered then cost one attempt,
   * and an original that takes long to decode is decoded once.
   */
  async #afterFirstAttempt(
    original: StoredOriginal,
    kind: Derived['kind'],
    make: () => Promise<StoredBlob>,
  ): Promise<StoredBlob> {
    const id = `${kind} ${original.key} ${original.sha256}`;
    for (let first = this.#firstAttempts.get(id); first !== undefined; first = this.#firstAttempts.get(id)) await first;
    const reason = this.#unrenderable.get(id);
    if (reason !== undefined) throw notRenderable(reason);
    const making = this.#attempt(id, original.key, () => this.#measured(kind, make));
    if (this.#renderable.has(id)) return await making;
    const forget = () => this.#firstAttempts.delete(id);
    this.#firstAttempts.set(id, making.then(forget, forget));
    return await making;
  }

  async #measured(kind: Derived['kind'], make: () => Promise<StoredBlob>): Promise<StoredBlob> {
    const startedAt = performance.now();
    let outcome: RenditionOutcome = 'failed';
    try {
      const made = await inSpan(() => ({ name: `rendition ${kind}` }), make);
      outcome = 'made';
      return made;
    } catch (thrown) {
      if (thrown instanceof RendererOverloaded) outcome = 'overloaded';
      if (thrown instanceof Unrenderable) outcome = 'unrenderable';
      throw thrown;
    } finally {
      this.options.metrics?.renditionEnded(kind, outcome, (performance.now() - startedAt) / 1000);
    }
  }

  /** Translates the renderer's errors, and remembers whether the original can be rendered. */
  async #attempt(id: string, key: BlobKey, make: () => Promise<StoredBlob>): Promise<StoredBlob> {
    try {
      const made = await make();
      this.#renderable.set(id, true);
      return made;
    } catch (thrown) {
      if (thrown instanceof RendererOverloaded) {
        const details = { retryable: true, retryAfterMs: 1_000 };
        throw new MediagraphError('MEDIA_NOT_READY', 'too much is being rendered at the moment', details);
      }
      if (!(thrown instanceof Unrenderable)) throw thrown;
      this.options.logger.info({ key, reason: thrown.message }, 'a rendition could not be created');
      this.#unrenderable.set(id, thrown.message);
      throw notRenderable(thrown.message);
    }
  }

  #sourceOf({ key, mimeType }: StoredOriginal): RenderSource {
    return { mimeType, open: (signal) => this.options.blobs.open(key, { signal }) };
  }

  /**
   * The source of a still: the original, or its base. The inspection stored the base; if it is missing, it is made
   * here.
   */
  async #stillSource(original: StoredOriginal, isWanted: () => Promise<boolean>): Promise<RenderSource> {
    const { renderer } = this.options;
    if (!renderer.baseTypes.has(essenceOf(original.mimeType))) return this.#sourceOf(original);
    const base: StoredOriginal = { ...original, key: baseKeyOf(original), mimeType: BASE_MIME_TYPE };
    if (!(await this.#exists(base.key))) {
      const preview = await renderer.preview(this.#sourceOf(original), {});
      if (preview.base === null) return this.#sourceOf(original);
      await this.#store(base.key, Readable.from([preview.base.bytes], { objectMode: false }), isWanted);
    }
    return this.#sourceOf(base);
  }

  async #exists(key: BlobKey): Promise<boolean> {
    return (await this.options.blobs.stat(key)) !== null;
  }

  async #store(key: BlobKey, bytes: Readable, isWanted: () => Promise<boolean>): Promise<StoredBlob> {
    const { blobs } = this.options;
    const stored = await blobs.put(key, bytes, {});
    if (!(await isWanted())) {
      await blobs.delete(key);
      throw new MediagraphError('MEDIA_GONE', 'this media was deleted or has expired');
    }
    // Remembered from writing. Otherwise the next request would read the whole blob to hash it.
    this.#stored.set(key, stored);
    return stored;
  }

  async #bytes(
    key: BlobKey,
    stored: StoredBlob,
    range: ByteSpan | null,
    signal: AbortSignal | undefined,
  ): Promise<Buffer | Readable> {
    const { hot, blobs } = this.options;
    if (hot.takes(stored.sizeBytes)) {
      const bytes = await hot.read(key, stored, range, () => blobs.open(key, {}));
      if (bytes) return bytes;
    }
    return blobs.open(key, { signal, range: range ?? { start: 0, end: stored.sizeBytes - 1 } });
  }

  /** Forgets renditions that are missing in the store, so that the next request makes them again. */
  forget(prefix: string): void {
    for (const key of this.#stored.keys()) if (key.startsWith(prefix)) this.#stored.delete(key);
    this.options.hot.forget(prefix);
  }
}

/** The key of an original's base, the decoded picture from which its stills are made, if decoding takes long. */
export function baseKeyOf({ key, sha256 }: Pick<StoredOriginal, 'key' | 'sha256'>): BlobKey {
  return derivedBlobKey(key, `base-${sha256.slice(0, 8)}`, 'webp');
}

function sizesOf({ width, height, fit }: Still) {
  return { width, height, fit };
}

/** WebP is preferred to AVIF, which takes ten times as long to encode. Either is only for clients that name it. */
function formatFor(mimeType: string, accept: string | undefined): Format {
  const accepted = new Negotiator({ headers: { accept } }).mediaTypes();
  const named = [WEBP, AVIF].find((format) => accepted.includes(format.mimeType));
  return named ?? (MAY_BE_TRANSPARENT.test(essenceOf(mimeType)) ? PNG : JPEG);
}

function notRenderable(reason: string): MediagraphError {
  return new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', `expected bytes that can be rendered, got ${reason}`);
}
