/**
 * What `work` comes to, under a signal that aborts with `outer`, or after `ms` milliseconds with what `expired` makes.
 * Rejects with the reason of that abort, and not before `work` has ended: it leaves nothing running.
 */
export async function within<Result>(
  ms: number,
  expired: () => Error,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const inner = new AbortController();
  // `AbortSignal.any` would leave a trace on a long-lived signal for every call (Node 20).
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

/** The outcome of `work`, or the abort's reason as soon as there is one; what comes too late goes to `discardLate`. */
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
