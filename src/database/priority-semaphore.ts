/** `interactive`: a caller waits for the result. `background`: a job. */
export type Priority = 'interactive' | 'background';

/**
 * A semaphore with two priorities: interactive callers first, then background jobs. Within each priority, the first
 * caller is served first. Background jobs never hold all permits if there are more than one.
 */
export class PrioritySemaphore {
  #held = 0;
  #heldByBackground = 0;
  readonly #interactive: Array<() => void> = [];
  readonly #background: Array<() => void> = [];

  /** @param maxBackground the permits that background jobs may hold at once, at least one */
  constructor(
    private readonly permits: number,
    private readonly maxBackground: number,
  ) {}

  get held(): number {
    return this.#held;
  }

  /** Resolves when the caller has a permit. Call {@link release} once for it, with the same priority. */
  acquire(priority: Priority): Promise<void> {
    return new Promise((resolve) => {
      (priority === 'interactive' ? this.#interactive : this.#background).push(resolve);
      this.#grant();
    });
  }

  /** The callers that wait for a permit. */
  waiting(priority: Priority): number {
    return (priority === 'interactive' ? this.#interactive : this.#background).length;
  }

  release(priority: Priority): void {
    this.#held -= 1;
    if (priority === 'background') this.#heldByBackground -= 1;
    this.#grant();
  }

  #grant(): void {
    while (this.#held < this.permits) {
      const interactive = this.#interactive.shift();
      const next = interactive ?? (this.#heldByBackground < this.maxBackground ? this.#background.shift() : undefined);
      if (!next) return;
      this.#held += 1;
      if (!interactive) this.#heldByBackground += 1;
      next();
    }
  }
}
