import DataLoader from 'dataloader';
import { LRUCache } from 'lru-cache';
import { inTime, queryCatalogue } from '../catalogue/catalogue-fault.js';
import type { CataloguedMedia, MediaCatalogue, MediaName } from '../catalogue/media/media-catalogue.js';
import type { TenantId } from '../model/channel.js';
import { upTo } from '../model/lru-limit.js';
import type { MediaId } from '../model/media.js';

export interface StoredRowsOptions {
  readonly catalogue: MediaCatalogue;
  /**
   * How long a row is remembered, from when it was requested. A deletion waits that long (see {@link FORGOTTEN_MS}).
   */
  readonly rememberMs: number;
}

/**
 * How long replicas remember a row. A deletion sends them no notification, which might be lost. It waits this long
 * instead, after which every replica has forgotten the row. Popular media costs four look-ups per second.
 */
export const FORGOTTEN_MS = 250;
/** How long a row is remembered where this process is the only one, and therefore knows of every deletion. */
export const REMEMBERED_ALONE_MS = 10_000;

const MAX_ROWS = 20_000;
/** A link cannot be answered without its row, and a burst of first openings keeps a small machine busy for seconds. */
const ROW_TIMEOUT_MS = 10_000;

interface RememberedRow {
  readonly requestedAt: number;
  readonly row: Promise<CataloguedMedia | null>;
  /** The row, once `row` has resolved to one that is remembered. */
  resolved: CataloguedMedia | null;
}

/** Remembers rows of media that is READY and stored, so that repeated deliveries of a media cost no statement each. */
export class StoredRows {
  readonly #rows = new LRUCache<string, RememberedRow>(upTo(MAX_ROWS));
  /** One statement for requests that arrive together: a page opens fifty links at once. */
  readonly #queries = new DataLoader((names: readonly MediaName[]) => this.#queryAll(names), { cache: false });

  constructor(private readonly options: StoredRowsOptions) {}

  /** Null: there is no such row. Rejects with a retryable INTERNAL_SERVER_ERROR while the catalogue is unavailable. */
  find(tenant: TenantId, id: MediaId): Promise<CataloguedMedia | null> {
    const name = nameOf(tenant, id);
    const remembered = this.#rows.get(name);
    const now = performance.now();
    if (remembered && now - remembered.requestedAt < this.options.rememberMs) return remembered.row;
    const requested: RememberedRow = { requestedAt: now, row: this.#queries.load({ tenant, id }), resolved: null };
    this.#rows.set(name, requested);
    const forgetUnlessStored = (row: CataloguedMedia | null) => {
      const isStored = row?.status === 'READY' && row.stored !== null;
      if (isStored) requested.resolved = row;
      else if (this.#rows.get(name) === requested) this.#rows.delete(name);
    };
    requested.row.then(forgetUnlessStored, () => forgetUnlessStored(null));
    return requested.row;
  }

  /** The remembered row. Null: {@link find} would have to query it. */
  peek(tenant: TenantId, id: MediaId): CataloguedMedia | null {
    const remembered = this.#rows.get(nameOf(tenant, id));
    return remembered && performance.now() - remembered.requestedAt < this.options.rememberMs
      ? remembered.resolved
      : null;
  }

  forget(tenant: TenantId, id: MediaId): void {
    this.#rows.delete(nameOf(tenant, id));
  }

  /** Forgets all rows, for changes to the database that no process announced, such as an operator's. */
  clear(): void {
    this.#rows.clear();
  }

  async #queryAll(names: readonly MediaName[]): Promise<Array<CataloguedMedia | null>> {
    const idsOf = new Map<TenantId, MediaId[]>();
    for (const { tenant, id } of names) {
      const ids = idsOf.get(tenant);
      if (ids) ids.push(id);
      else idsOf.set(tenant, [id]);
    }
    const query = async ([tenant, ids]: [TenantId, MediaId[]]) =>
      [tenant, await inTime(this.options.catalogue.findByIds(tenant, ids), ROW_TIMEOUT_MS)] as const;
    const rows = new Map(await queryCatalogue(() => Promise.all([...idsOf].map(query))));
    return names.map(({ tenant, id }) => rows.get(tenant)?.get(id) ?? null);
  }
}

function nameOf(tenant: TenantId, id: MediaId): string {
  return `${tenant}\n${id}`;
}
