/** `first`: somebody waits for an answer. `later`: a job, which nobody waits for. */
export type Place = 'first' | 'later';

/** Who may have the one thing that there is: in the order of asking, but for jobs, which wait until nobody else does. */
export class Turns {
  #taken = false;
  readonly #waiting: Readonly<Record<Place, Array<() => void>>> = { first: [], later: [] };

  /** Resolves when it is the caller's turn. */
  async take(place: Place): Promise<void> {
    if (!this.#taken) {
      this.#taken = true;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting[place].push(resolve));
  }

  /** Once for each {@link take}. */
  giveBack(): void {
    const next = this.#waiting.first.shift() ?? this.#waiting.later.shift();
    if (next) next();
    else this.#taken = false;
  }
}
