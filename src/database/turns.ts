/** `first`: a request, whose caller waits for the answer. `later`: background work. */
export type Place = 'first' | 'later';

/**
 * Who may have one of a few things, in the order of asking, but for jobs: they wait until nobody else does, and never
 * have them all.
 */
export class Turns {
  #taken = 0;
  #takenLater = 0;
  readonly #first: Array<() => void> = [];
  readonly #later: Array<() => void> = [];

  /** @param most that are there; @param mostLater that jobs may have of them, at least one */
  constructor(
    private readonly most: number,
    private readonly mostLater: number,
  ) {}

  /** Resolves when it is the caller's turn. Once for each, {@link giveBack} with the same place. */
  take(place: Place): Promise<void> {
    return new Promise((resolve) => {
      (place === 'first' ? this.#first : this.#later).push(resolve);
      this.#serve();
    });
  }

  giveBack(place: Place): void {
    this.#taken -= 1;
    if (place === 'later') this.#takenLater -= 1;
    this.#serve();
  }

  #serve(): void {
    while (this.#taken < this.most) {
      const first = this.#first.shift();
      const next = first ?? (this.#takenLater < this.mostLater ? this.#later.shift() : undefined);
      if (!next) return;
      this.#taken += 1;
      if (!first) this.#takenLater += 1;
      next();
    }
  }
}
