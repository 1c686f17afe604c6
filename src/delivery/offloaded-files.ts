import { LRUCache } from 'lru-cache';
import { upTo } from '../model/lru-limit.js';
import { type BlobKey, type BlobStore, BlobStoreError } from '../storage/blob-store.js';

const MAX_REMEMBERED = 20_000;
/**
 * How long a found file is not looked up again. The proxy notices a file that vanishes meanwhile, and requests the bytes
 * from this server (deploy/offload/nginx.conf).
 */
const REMEMBERED_MS = 1_000;

interface FoundFile {
  readonly sizeBytes: number;
  readonly at: number;
}

/** Finds the files of blobs, for a proxy that sends them (`delivery.offload`). */
export class OffloadedFiles {
  readonly #found = new LRUCache<BlobKey, FoundFile>(upTo(MAX_REMEMBERED));

  private constructor(
    private readonly blobs: BlobStore,
    private readonly relativePath: (key: BlobKey) => string,
    private readonly prefix: string,
  ) {}

  /** Null: the blobs are no files of this machine. */
  static of(blobs: BlobStore, prefix: string): OffloadedFiles | null {
    return blobs.relativePath ? new OffloadedFiles(blobs, blobs.relativePath.bind(blobs), prefix) : null;
  }

  /**
   * The path by which the proxy knows a blob's file. Null: there is no such file, it has another size, or it cannot be
   * looked up. In these cases this server delivers the blob, and reports why it cannot.
   */
  async find(key: BlobKey, sizeBytes: number): Promise<string | null> {
    const at = performance.now();
    const stats = await this.blobs.stat(key).catch((thrown: unknown) => {
      if (thrown instanceof BlobStoreError) return null;
      throw thrown;
    });
    if (stats?.sizeBytes !== sizeBytes) {
      this.#found.delete(key);
      return null;
    }
    this.#found.set(key, { sizeBytes, at });
    return this.prefix + this.relativePath(key).split('/').map(encodeURIComponent).join('/');
  }

  /** Whether {@link find} found the file within the last moment. */
  isKnown(key: BlobKey, sizeBytes: number): boolean {
    const found = this.#found.get(key);
    return found?.sizeBytes === sizeBytes && performance.now() - found.at < REMEMBERED_MS;
  }
}
