import { LRUCache } from 'lru-cache';
import { asCatalogueFault, inTime } from '../catalogue/catalogue-fault.js';
import type { CataloguedMedia, MediaCatalogue } from '../catalogue/media-catalogue.js';
import type { TenantId } from '../model/channel.js';
import { upTo } from '../model/lru-limit.js';
import type { MediaId } from '../model/media.js';

export interface StoredRowsOptions {
  readonly catalogue: MediaCatalogue;
  /** For how long a row counts, from when it was asked for; a deletion waits as long (see {@link FORGOTTEN_MS}). */
  readonly rememberMs: number;
}

/**
 * Replicas are not told of a deletion: they forget by themselves, and whoever deletes waits until all of them have. So it
 * holds when a notification is lost, and a media that everybody looks at costs four look-ups a second.
 */
export const FORGOTTEN_MS = 250;
/** Where this process is told of every deletion because it makes them all. */
export const REMEMBERED_ALONE_MS = 10_000;

const MAX_ROWS = 20_000;

interface Remembered {
  readonly askedAt: number;
  readonly row: Promise<CataloguedMedia | null>;
  /** What `row` came to. */
  known: CataloguedMedia | null;
}

/** Rows of media that is READY and stored, so that a blob that is asked for often costs no statement each time. */
export class StoredRows {
  readonly #rows = new LRUCache<string, Remembered>(upTo(MAX_ROWS));

  constructor(private readonly options: StoredRowsOptions) {}

  /** null: there is none. Rejects a retryable INTERNAL_SERVER_ERROR while the catalogue cannot be asked. */
  find(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    const name = nameOf(tenant, id);
    const known = this.#rows.get(name);
    const now = performance.now();
    if (known && now - known.askedAt < this.options.rememberMs) return known.row;
    const asked: Remembered = { askedAt: now, row: this.#ask(tenant, id), known: null };
    this.#rows.set(name, asked);
    const forgetUnlessStored = (row: CataloguedMedia | null) => {
      const lasts = row?.status === 'READY' && row.stored !== null;
      if (lasts) asked.known = row;
      else if (this.#rows.get(name) === asked) this.#rows.delete(name);
    };
    asked.row.then(forgetUnlessStored, () => forgetUnlessStored(null));
    return asked.row;
  }

  /** What is remembered just now; null: it has to be asked for. */
  peek(tenant: TenantId, id: MediaId): CataloguedMedia | null {
    const remembered = this.#rows.get(nameOf(tenant, id));
    return remembered && performance.now() - remembered.askedAt < this.options.rememberMs ? remembered.known : null;
  }

  forget(tenant: TenantId, id: MediaId): void {
    this.#rows.delete(nameOf(tenant, id));
  }

  /** The database may have been changed by somebody who told nobody, such as an operator. */
  clear(): void {
    this.#rows.clear();
  }

  async #ask(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    try {
      const found = await inTime(this.options.catalogue.findByIds(tenant, [id]));
      return found.get(id) ?? null;
    } catch (thrown) {
      throw asCatalogueFault(thrown);
    }
  }
}

function nameOf(tenant: TenantId, id: MediaId): string {
  return `${tenant}\n${id}`;
}
