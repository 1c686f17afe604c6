/** The two halves of an iterator whose consumer may end it at any time. */
export interface Endable<Value> {
  next(): Promise<IteratorResult<Value, undefined>>;
  /** Called when the consumer needs no further value. */
  end(): unknown;
}

/**
 * An iterator whose `return` takes effect while `next` is pending. A generator would run its `return` only after the
 * pending `next`, which for a subscription may be hours later.
 */
export function endableIterator<Value>({ next, end }: Endable<Value>): AsyncIterableIterator<Value, undefined> {
  const iterator: AsyncIterableIterator<Value, undefined> = {
    next,
    async return() {
      await end();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
