/** The paging parameters of a list (providers: SignalWire, openapi list media; Twilio, api v2010 specification). */
export interface PageQuery {
  readonly page: number;
  readonly pageSize: number;
  readonly pageToken: string | null;
}

/** An item of a list. Deleted items stay in place, but are not shown, so that page tokens keep their meaning. */
export interface PagedItem {
  readonly sid: string;
  readonly deleted: boolean;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** The index of the first item on the page. */
  readonly start: number;
  /** The queries of the next and previous pages. Null: there is no such page. */
  readonly next: string | null;
  readonly previous: string | null;
}

const DEFAULT_PAGE_SIZE = 50;
const LARGEST_PAGE_SIZE = 1000;

/** Null: out of bounds. `PageSize` is from 1 to 1000, and `Page` counts from 0. */
export function parsePageQuery(query: string, maxPageSize: number): PageQuery | null {
  const parameters = new URLSearchParams(query);
  const page = count(parameters.get('Page'), 0);
  const wanted = count(parameters.get('PageSize'), DEFAULT_PAGE_SIZE);
  if (page === null || wanted === null || wanted < 1 || wanted > LARGEST_PAGE_SIZE) return null;
  return { page, pageSize: Math.min(wanted, maxPageSize), pageToken: parameters.get('PageToken') };
}

/**
 * One page of a list. Its token, which is opaque to clients, names the item before the page (`PA`) or after it (`PB`).
 * Null: the token does not belong to this list.
 */
export function pageOf<Item extends PagedItem>(query: PageQuery, all: readonly Item[]): Page<Item> | null {
  const { page, pageSize } = query;
  const start = startOf(query, all);
  if (start === null) return null;
  const present = all.filter((item) => !item.deleted);
  const items = present.slice(start, start + pageSize);
  const first = items[0];
  const last = items.at(-1);
  return {
    items,
    start,
    next: last && start + pageSize < present.length ? pageQuery(page + 1, pageSize, `PA${last.sid}`) : null,
    previous: first && start > 0 ? pageQuery(Math.max(0, page - 1), pageSize, `PB${first.sid}`) : null,
  };
}

export function pageQuery(page: number, pageSize: number, pageToken?: string): string {
  const place = `Page=${page}&PageSize=${pageSize}`;
  return pageToken === undefined ? place : `${place}&PageToken=${pageToken}`;
}

function startOf({ page, pageSize, pageToken }: PageQuery, all: readonly PagedItem[]): number | null {
  if (pageToken === null) return page * pageSize;
  const index = all.findIndex((item) => item.sid === pageToken.slice(2));
  if (index < 0) return null;
  if (pageToken.startsWith('PA')) return presentIn(all.slice(0, index + 1));
  return pageToken.startsWith('PB') ? Math.max(0, presentIn(all.slice(0, index)) - pageSize) : null;
}

function presentIn(items: readonly PagedItem[]): number {
  return items.filter((item) => !item.deleted).length;
}

function count(text: string | null, absent: number): number | null {
  if (text === null) return absent;
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}
