import { AbortFanOut } from './abort-fan-out.js';

interface Waiting {
  start(): void;
  left: boolean;
}

const aborts = new AbortFanOut();
const KEPT_BEHIND_HEAD = 1_000;

/**
 * How many calls may be under way at once; the others wait in the order in which they came. Ours, because a caller that
 * goes away must leave the queue at once, and a call that need not wait must not pay for a queue.
 */
export class Slots {
  #free: number;
  #released = 0;
  #queue: Waiting[] = [];
  #head = 0;

  constructor(count: number) {
    this.#free = count;
  }

  /** null: the slot is the caller's. Else resolves when it is, or rejects the signal's reason at its abort. */
  take(signal?: AbortSignal): Promise<void> | null {
    if (this.#free === 0) return this.#wait(signal);
    this.#free -= 1;
    return null;
  }

  /** Once for every slot that was taken. Those who wait get it at the end of this turn of the event loop. */
  release(): void {
    this.#released += 1;
    // Together: requests that are written one after the other wake the receiving side once, not each time.
    if (this.#released === 1) setImmediate(this.#handOn);
  }

  readonly #handOn = (): void => {
    for (; this.#released > 0; this.#released -= 1) {
      const next = this.#nextWaiting();
      if (next) next.start();
      else this.#free += 1;
    }
  };

  #nextWaiting(): Waiting | null {
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head];
      this.#head += 1;
      if (!next || next.left) continue;
      this.#forgetServed();
      return next;
    }
    return null;
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown): void => {
        waiting.left = true;
        reject(reason);
      };
      const waiting: Waiting = {
        left: false,
        start: () => {
          if (signal) aborts.remove(signal, leave);
          resolve();
        },
      };
      if (signal) aborts.add(signal, leave);
      this.#queue.push(waiting);
    });
  }

  #forgetServed(): void {
    if (this.#head < KEPT_BEHIND_HEAD || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}
