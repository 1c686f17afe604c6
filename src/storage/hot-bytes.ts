import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import type { ByteSpan } from '../model/byte-range.js';
import type { BlobKey, StoredBlob } from './blob-store.js';

/** A blob that is larger is streamed from the store, which reads it at full speed anyway. */
const MAX_HOT_BYTES = 1024 * 1024;

interface Hot {
  /** Of which bytes: a key may get others. */
  readonly sha256: string;
  readonly bytes: Buffer;
}

/** Small blobs that are asked for often, in a bounded part of memory. */
export class HotBytes {
  readonly #blobs: LRUCache<BlobKey, Hot> | null;
  readonly #loading = new Map<string, Promise<Buffer | null>>();

  /** @param maxBytes in all; 0 keeps nothing */
  constructor(private readonly maxBytes: number) {
    const sizeCalculation = ({ bytes }: Hot) => bytes.length;
    this.#blobs = maxBytes === 0 ? null : new LRUCache({ maxSize: maxBytes, sizeCalculation });
  }

  takes(sizeBytes: number): boolean {
    return this.#blobs !== null && sizeBytes > 0 && sizeBytes <= Math.min(MAX_HOT_BYTES, this.maxBytes);
  }

  get(key: BlobKey, sha256: string): Buffer | null {
    const hot = this.#blobs?.get(key);
    return hot?.sha256 === sha256 ? hot.bytes : null;
  }

  set(key: BlobKey, sha256: string, bytes: Buffer): void {
    if (this.takes(bytes.length)) this.#blobs?.set(key, { sha256, bytes });
  }

  /**
   * All bytes of a blob that {@link takes} says yes to, or those of a range. null: the blob is not as long as it should
   * be. Rejects as `open` does.
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

  // Private: once, however many ask.
  #load(key: BlobKey, sha256: string, sizeBytes: number, open: () => Promise<Readable>): Promise<Buffer | null> {
    const name = `${key}\n${sha256}`;
    const under = this.#loading.get(name);
    if (under) return under;
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

  /** Everything whose key starts so. */
  forget(prefix: string): void {
    for (const key of this.#blobs?.keys() ?? []) if (key.startsWith(prefix)) this.#blobs?.delete(key);
  }
}
