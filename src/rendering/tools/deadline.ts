/**
 * Runs `work` under a signal that aborts with `outer`, or after `ms` milliseconds with the error of `expired`. It
 * rejects with the reason of that abort, but only once `work` has ended, so that nothing is left running.
 */
export async function within<Result>(
  ms: number,
  expired: () => Error,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const inner = new AbortController();
  // `AbortSignal.any` would leak memory on a long-lived signal with every call (Node 20).
  const onAbort = () => inner.abort(outer.reason);
  const timer = setTimeout(() => inner.abort(expired()), ms);
  outer.addEventListener('abort', onAbort, { once: true });
  if (outer.aborted) onAbort();
  try {
    return await work(inner.signal);
  } catch (thrown) {
    throw inner.signal.aborted ? inner.signal.reason : thrown;
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', onAbort);
  }
}

/**
 * The result of `work`, or a rejection as soon as the signal aborts. A result after the abort goes to `discardLate`.
 */
export function orAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
  discardLate: (late: Result) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work
      .then((result) => (signal.aborted ? discardLate(result) : resolve(result)), reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
