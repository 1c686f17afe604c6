import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import Negotiator from 'negotiator';
import type { ByteSpan } from '../model/byte-range.js';
import { MediagraphError } from '../model/errors.js';
import { upTo } from '../model/lru-limit.js';
import { essenceOf } from '../model/mime-type.js';
import { formatRendition, type ORIGINAL, type Rendition, type Still } from '../model/rendition.js';
import {
  BASE_MIME_TYPE,
  type Renderer,
  RendererOverloaded,
  type RenderSource,
  Unrenderable,
} from '../rendering/renderer.js';
import { type BlobKey, BlobNotFound, type BlobStore, derivedBlobKey, type StoredBlob } from '../storage/blob-store.js';
import type { HotBytes } from '../storage/hot-bytes.js';
import type { Logger } from '../telemetry/logger.js';

/** Something that is made from a media's bytes. */
export type Derived = Exclude<Rendition, typeof ORIGINAL>;

export interface RenditionsOptions {
  readonly blobs: BlobStore;
  readonly hot: HotBytes;
  readonly renderer: Renderer;
  readonly logger: Logger;
}

/** What renditions are made from, and where they are kept. */
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
/** For readers that name no newer format: types that may be transparent stay so. */
const MAY_BE_TRANSPARENT = /^image\/(png|gif|webp|avif)$/;
const MAX_FACTS = 10_000;
/** How long bytes that could not be rendered are not tried again. */
const UNRENDERABLE_MS = 10 * 60 * 1000;

/** Stills and playable sound: made once, when they are first asked for, and kept beside the original. */
export class Renditions {
  readonly #facts = new LRUCache<BlobKey, StoredBlob>(upTo(MAX_FACTS));
  readonly #making = new Map<BlobKey, Promise<StoredBlob>>();
  // Per original and kind of rendition, whatever size and format was asked for.
  readonly #unrenderable = new LRUCache<string, string>({ ...upTo(MAX_FACTS), ttl: UNRENDERABLE_MS });
  readonly #renderable = new LRUCache<string, true>(upTo(MAX_FACTS));
  readonly #first = new Map<string, Promise<unknown>>();

  constructor(private readonly options: RenditionsOptions) {}

  /** Whether such a rendition can be made of such bytes here. */
  makes(rendition: Derived, mimeType: string | null): boolean {
    if (mimeType === null) return false;
    const { stillTypes, playableTypes } = this.options.renderer;
    return (rendition.kind === 'still' ? stillTypes : playableTypes).has(essenceOf(mimeType));
  }

  /**
   * @param accept the reader's `Accept`, which decides a still's format
   * @param stillWanted asked after a rendition was stored: whether its media is still there
   * @throws MediagraphError CONTENT_TYPE_NOT_ALLOWED where the bytes give no such rendition; a retryable MEDIA_NOT_READY
   *   while too many are being made; MEDIA_GONE
   */
  async open(
    original: StoredOriginal,
    rendition: Derived,
    accept: string | undefined,
    stillWanted: () => Promise<boolean>,
  ): Promise<StoredRendition> {
    const format = rendition.kind === 'still' ? formatFor(original.mimeType, accept) : null;
    // The hash of what it was made from: a copy that was made anew gets renditions of its own.
    const name = `${formatRendition(rendition)}-${original.sha256.slice(0, 8)}`;
    const key = derivedBlobKey(original.key, name, format?.extension ?? 'm4a');
    const stored = await this.#find(key).catch((thrown: unknown) => {
      if (!(thrown instanceof BlobNotFound)) throw thrown;
      return this.#make(key, original, rendition, format, stillWanted);
    });
    return {
      ...stored,
      key,
      mimeType: format?.mimeType ?? PLAYABLE_MIME_TYPE,
      open: (range, { signal }) => this.#bytes(key, stored, range, signal),
    };
  }

  async #find(key: BlobKey): Promise<StoredBlob> {
    const known = this.#facts.get(key);
    if (known) return known;
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of (await this.options.blobs.open(key, {})) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      if (this.options.hot.takes(sizeBytes)) chunks.push(chunk);
    }
    const stored = { sizeBytes, sha256: hash.digest('hex') };
    this.#facts.set(key, stored);
    if (this.options.hot.takes(sizeBytes)) this.options.hot.set(key, stored.sha256, Buffer.concat(chunks));
    return stored;
  }

  // One at a time of each; it goes on when its readers leave, since the next will ask.
  #make(
    key: BlobKey,
    original: StoredOriginal,
    rendition: Derived,
    format: Format | null,
    stillWanted: () => Promise<boolean>,
  ): Promise<StoredBlob> {
    const under = this.#making.get(key);
    if (under) return under;
    const making = this.#unlessRefused(original, rendition.kind, async () => {
      if (rendition.kind === 'playable') {
        const { body } = await this.options.renderer.renderPlayable(this.#sourceOf(original), {});
        return await this.#keep(key, body, stillWanted);
      }
      const source = await this.#stillSource(original, stillWanted);
      const spec = { ...sizesOf(rendition), format: format?.name ?? 'jpeg' };
      const { bytes } = await this.options.renderer.renderStill(source, spec, {});
      return await this.#keep(key, Readable.from([bytes], { objectMode: false }), stillWanted);
    }).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  // While the first rendition of an original is being made, others of it wait: bytes that cannot be rendered cost one
  // attempt, whatever is asked for at once, and what takes long to decode is decoded once.
  async #unlessRefused(
    original: StoredOriginal,
    kind: Derived['kind'],
    make: () => Promise<StoredBlob>,
  ): Promise<StoredBlob> {
    const id = `${kind} ${original.key} ${original.sha256}`;
    for (let first = this.#first.get(id); first !== undefined; first = this.#first.get(id)) await first;
    const refused = this.#unrenderable.get(id);
    if (refused !== undefined) throw notRenderable(refused);
    const making = this.#toldApart(id, original.key, make);
    if (this.#renderable.has(id)) return await making;
    this.#first.set(
      id,
      making.then(
        () => this.#first.delete(id),
        () => this.#first.delete(id),
      ),
    );
    return await making;
  }

  async #toldApart(id: string, key: BlobKey, make: () => Promise<StoredBlob>): Promise<StoredBlob> {
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
      this.options.logger.info({ key, reason: thrown.message }, 'a rendition cannot be made');
      this.#unrenderable.set(id, thrown.message);
      throw notRenderable(thrown.message);
    }
  }

  #sourceOf({ key, mimeType }: StoredOriginal): RenderSource {
    return { mimeType, open: (signal) => this.options.blobs.open(key, { signal }) };
  }

  // The original, or what its decoding gave, which the inspection has kept, or the first still keeps.
  async #stillSource(original: StoredOriginal, stillWanted: () => Promise<boolean>): Promise<RenderSource> {
    const { renderer } = this.options;
    if (!renderer.baseTypes.has(essenceOf(original.mimeType))) return this.#sourceOf(original);
    const base: StoredOriginal = { ...original, key: baseKeyOf(original), mimeType: BASE_MIME_TYPE };
    if (!(await this.#isThere(base.key))) {
      const { base: made } = await renderer.preview(this.#sourceOf(original), {});
      if (made === null) return this.#sourceOf(original);
      await this.#keep(base.key, Readable.from([made.bytes], { objectMode: false }), stillWanted);
    }
    return this.#sourceOf(base);
  }

  async #isThere(key: BlobKey): Promise<boolean> {
    return (await this.options.blobs.stat(key)) !== null;
  }

  async #keep(key: BlobKey, bytes: Readable, stillWanted: () => Promise<boolean>): Promise<StoredBlob> {
    const { blobs } = this.options;
    const stored = await blobs.put(key, bytes, {});
    if (!(await stillWanted())) {
      await blobs.delete(key);
      throw new MediagraphError('MEDIA_GONE', 'this media is gone for good');
    }
    // Measured while it was written; else the next reader would read it all to know this.
    this.#facts.set(key, stored);
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

  /** That was lost: the next reader has it made anew. */
  forget(prefix: string): void {
    for (const key of this.#facts.keys()) if (key.startsWith(prefix)) this.#facts.delete(key);
    this.options.hot.forget(prefix);
  }
}

/** Where that lies which stills of an original are made from, if that takes long to decode. */
export function baseKeyOf({ key, sha256 }: Pick<StoredOriginal, 'key' | 'sha256'>): BlobKey {
  return derivedBlobKey(key, `base-${sha256.slice(0, 8)}`, 'webp');
}

function sizesOf({ width, height, fit }: Still) {
  return { width, height, fit };
}

/** WebP before AVIF, which takes ten times as long to make; either only for readers that name it. */
function formatFor(mimeType: string, accept: string | undefined): Format {
  const accepted = new Negotiator({ headers: { accept } }).mediaTypes();
  const named = [WEBP, AVIF].find((format) => accepted.includes(format.mimeType));
  return named ?? (MAY_BE_TRANSPARENT.test(essenceOf(mimeType)) ? PNG : JPEG);
}

function notRenderable(reason: string): MediagraphError {
  return new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', `expected bytes that can be rendered, got ${reason}`);
}
