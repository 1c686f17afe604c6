type OnAbort = (reason: unknown) => void;

/**
 * One listener on a signal for all the calls that it may abort. A query makes a call per message under one signal, and
 * an EventTarget compares a new listener with every one that it has.
 */
export class AbortFanOut {
  readonly #listeners = new WeakMap<AbortSignal, Set<OnAbort>>();

  /** Until `remove`; not called for a signal that has aborted before. */
  add(signal: AbortSignal, onAbort: OnAbort): void {
    const known = this.#listeners.get(signal);
    if (known) {
      known.add(onAbort);
      return;
    }
    const listeners = new Set([onAbort]);
    this.#listeners.set(signal, listeners);
    const tellAll = () => {
      for (const listener of listeners) listener(signal.reason);
    };
    signal.addEventListener('abort', tellAll, { once: true });
  }

  remove(signal: AbortSignal, onAbort: OnAbort): void {
    this.#listeners.get(signal)?.delete(onAbort);
  }
}
