import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import type { ByteSpan } from '../model/byte-range.js';
import type { BlobKey, StoredBlob } from './blob-store.js';

/** Larger blobs are streamed from the store, where the cost per request hardly matters. */
const MAX_HOT_BYTES = 1024 * 1024;

interface CachedBlob {
  /** The hash of the bytes, since a key may be given others. */
  readonly sha256: string;
  readonly bytes: Buffer;
}

/** A bounded cache of small blobs that are read often. */
export class HotBytes {
  readonly #blobs: LRUCache<BlobKey, CachedBlob> | null;
  readonly #loading = new Map<string, Promise<Buffer | null>>();

  /** @param maxBytes the size of the cache; 0 disables it */
  constructor(private readonly maxBytes: number) {
    const sizeCalculation = ({ bytes }: CachedBlob) => bytes.length;
    this.#blobs = maxBytes === 0 ? null : new LRUCache({ maxSize: maxBytes, sizeCalculation });
  }

  /** Whether a blob of that size is cached. */
  takes(sizeBytes: number): boolean {
    return this.#blobs !== null && sizeBytes > 0 && sizeBytes <= Math.min(MAX_HOT_BYTES, this.maxBytes);
  }

  get(key: BlobKey, sha256: string): Buffer | null {
    const cached = this.#blobs?.get(key);
    return cached?.sha256 === sha256 ? cached.bytes : null;
  }

  set(key: BlobKey, sha256: string, bytes: Buffer): void {
    if (this.takes(bytes.length)) this.#blobs?.set(key, { sha256, bytes });
  }

  /**
   * The bytes of a blob for which {@link takes} is true, or those of a range. Null: the stored blob has another length.
   * Rejects as `open` does.
   */
  async read(
    key: BlobKey,
    { sha256, sizeBytes }: StoredBlob,
    range: ByteSpan | null,
    open: () => Promise<Readable>,
  ): Promise<Buffer | null> {
    const bytes = this.get(key, sha256) ?? (await this.#load(key, sha256, sizeBytes, open));
    return bytes && range ? bytes.subarray(range.start, range.end + 1) : bytes;
  }

  /** Concurrent readers share one read. */
  #load(key: BlobKey, sha256: string, sizeBytes: number, open: () => Promise<Readable>): Promise<Buffer | null> {
    const name = `${key}\n${sha256}`;
    const pending = this.#loading.get(name);
    if (pending) return pending;
    const loading = this.#collect(key, sha256, sizeBytes, open).finally(() => {
      if (this.#loading.get(name) === loading) this.#loading.delete(name);
    });
    this.#loading.set(name, loading);
    return loading;
  }

  async #collect(
    key: BlobKey,
    sha256: string,
    sizeBytes: number,
    open: () => Promise<Readable>,
  ): Promise<Buffer | null> {
    const bytes = Buffer.allocUnsafeSlow(sizeBytes);
    let at = 0;
    for await (const chunk of (await open()) as AsyncIterable<Buffer>) {
      if (at + chunk.length > sizeBytes) return null;
      chunk.copy(bytes, at);
      at += chunk.length;
    }
    if (at !== sizeBytes) return null;
    this.set(key, sha256, bytes);
    return bytes;
  }

  /** Drops every blob whose key starts with the prefix. */
  forget(prefix: string): void {
    for (const key of this.#blobs?.keys() ?? []) if (key.startsWith(prefix)) this.#blobs?.delete(key);
  }
}
