type OnAbort = (reason: unknown) => void;

/**
 * Puts one listener on a signal for all calls that it may abort. A query makes one call per message under one signal,
 * and an EventTarget compares each new listener with every existing one.
 */
export class AbortFanOut {
  readonly #listeners = new WeakMap<AbortSignal, Set<OnAbort>>();

  /** Adds a callback until `remove`. A signal that has aborted already does not call it. */
  add(signal: AbortSignal, onAbort: OnAbort): void {
    const known = this.#listeners.get(signal);
    if (known) {
      known.add(onAbort);
      return;
    }
    const listeners = new Set([onAbort]);
    this.#listeners.set(signal, listeners);
    const notifyAll = () => {
      for (const listener of listeners) listener(signal.reason);
    };
    signal.addEventListener('abort', notifyAll, { once: true });
  }

  remove(signal: AbortSignal, onAbort: OnAbort): void {
    this.#listeners.get(signal)?.delete(onAbort);
  }
}
