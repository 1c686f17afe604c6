/** Few enough to take a fraction of the 10 s that a statement may take, however many rows a long pause has left. */
const BATCH = 5_000;

/**
 * Repeats a statement until it finds less than a batch.
 * @param statement changes up to `limit` rows, and resolves to their number
 * @returns the number of all rows
 */
export async function inBatches(statement: (limit: number) => Promise<number>): Promise<number> {
  let count = 0;
  for (;;) {
    const changed = await statement(BATCH);
    count += changed;
    if (changed < BATCH) return count;
  }
}
