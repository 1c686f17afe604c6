/** Options of an LRUCache that holds a limited number of entries. */
export interface EntryLimit {
  readonly maxSize: number;
  readonly sizeCalculation: () => number;
}

/**
 * Bounds a cache by its number of entries without allocating for all of them. LRUCache's own option `max` allocates at
 * once: a megabyte for 50,000 entries, and every channel has several caches.
 */
export function upTo(count: number): EntryLimit {
  return { maxSize: count, sizeCalculation: unitSize };
}

function unitSize(): number {
  return 1;
}
