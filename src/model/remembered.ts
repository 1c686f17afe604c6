/** What an LRUCache is given that holds so many things. */
export interface UpTo {
  readonly maxSize: number;
  readonly sizeCalculation: () => number;
}

/**
 * The bound of a cache that takes room as it fills. Its option `max` takes the whole room at once: a megabyte for 50,000,
 * and every channel has several caches.
 */
export function upTo(count: number): UpTo {
  return { maxSize: count, sizeCalculation: one };
}

function one(): number {
  return 1;
}
