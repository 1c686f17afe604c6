import { AbortFanOut } from './abort-fan-out.js';

interface WaitingCall {
  start(): void;
  isAborted: boolean;
}

const aborts = new AbortFanOut();
/** Served entries before the head that trigger a compaction of the queue. */
const COMPACT_AT = 1_000;

/**
 * A semaphore: limits the number of concurrent calls, and serves waiting calls in order of arrival. It is hand-written
 * because an aborted caller must leave the queue immediately, and a call that finds a free slot must not pay for the
 * queue.
 */
export class Slots {
  #free: number;
  #released = 0;
  #queue: WaitingCall[] = [];
  #head = 0;

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Takes a slot. Returns null if one was free. Otherwise resolves when the caller gets a slot, or rejects with the
   * signal's reason.
   */
  take(signal?: AbortSignal): Promise<void> | null {
    if (this.#free === 0) return this.#wait(signal);
    this.#free -= 1;
    return null;
  }

  /**
   * Returns a slot; called once per taken slot. The next waiting caller gets it at the end of this turn of the event
   * loop.
   */
  release(): void {
    this.#released += 1;
    // One wake-up serves all releases of this turn: requests that are written together wake the receiving side once.
    if (this.#released === 1) setImmediate(this.#serveWaiting);
  }

  readonly #serveWaiting = (): void => {
    for (; this.#released > 0; this.#released -= 1) {
      const next = this.#nextWaiting();
      if (next) next.start();
      else this.#free += 1;
    }
  };

  #nextWaiting(): WaitingCall | null {
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head];
      this.#head += 1;
      if (!next || next.isAborted) continue;
      this.#compactQueue();
      return next;
    }
    return null;
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown): void => {
        waiting.isAborted = true;
        reject(reason);
      };
      const waiting: WaitingCall = {
        isAborted: false,
        start: () => {
          if (signal) aborts.remove(signal, leave);
          resolve();
        },
      };
      if (signal) aborts.add(signal, leave);
      this.#queue.push(waiting);
    });
  }

  #compactQueue(): void {
    if (this.#head < COMPACT_AT || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}
