/** Ends a turn. Harmless when repeated. */
export type Leave = () => void;

interface Waiting {
  readonly isAlone: boolean;
  start(): void;
}

/**
 * A readers-writer lock for the jobs of one process: ordinary jobs run side by side; one that was under way when a process
 * died runs alone, so that the next death shows whose fault it is. Turns come in the order of asking.
 */
export class JobLock {
  #running = 0;
  #aloneRunning = false;
  #wasReserved = false;
  readonly #waiting: Waiting[] = [];
  readonly #onFree = new Set<() => void>();

  /** Whether a job runs alone, or waits until it can. */
  get isReserved(): boolean {
    return this.#aloneRunning || this.#waiting.some(({ isAlone }) => isAlone);
  }

  /** Called whenever {@link isReserved} has become false. */
  onFree(listener: () => void): void {
    this.#onFree.add(listener);
  }

  /** Rejects with the signal's reason when it aborts first. */
  share(signal: AbortSignal): Promise<Leave> {
    return this.#take(false, signal).then(() => this.#leaving(() => this.#end(false)));
  }

  /**
   * Rejects with the signal's reason when it aborts first.
   * @returns `leave` ends the turn; `letOthersIn` makes it one that is shared
   */
  async runAlone(signal: AbortSignal): Promise<{ readonly leave: Leave; readonly letOthersIn: Leave }> {
    await this.#take(true, signal);
    let isAlone = true;
    const end = this.#leaving(() => this.#end(isAlone));
    let hasLeft = false;
    return {
      leave: () => {
        hasLeft = true;
        end();
      },
      letOthersIn: this.#leaving(() => {
        // By now, another may be alone.
        if (hasLeft) return;
        isAlone = false;
        this.#aloneRunning = false;
        this.#startNext();
      }),
    };
  }

  #take(isAlone: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
        this.#startNext();
      };
      const waiting: Waiting = {
        isAlone,
        start: () => {
          signal.removeEventListener('abort', onAbort);
          this.#running += 1;
          this.#aloneRunning = isAlone;
          resolve();
        },
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
      this.#startNext();
    });
  }

  #leaving(end: () => void): Leave {
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      end();
    };
  }

  #end(isAlone: boolean): void {
    this.#running -= 1;
    if (isAlone) this.#aloneRunning = false;
    this.#startNext();
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next && this.#hasRoomFor(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.start();
    }
    const { isReserved } = this;
    const hasBecomeFree = this.#wasReserved && !isReserved;
    this.#wasReserved = isReserved;
    if (hasBecomeFree) for (const listener of this.#onFree) listener();
  }

  #hasRoomFor({ isAlone }: Waiting): boolean {
    return isAlone ? this.#running === 0 : !this.#aloneRunning;
  }
}
