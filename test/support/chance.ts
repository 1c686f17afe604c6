import { createHash } from 'node:crypto';

/** Numbers in [0, 1) that a seed repeats. */
export class Chance {
  #drawn = 0;

  constructor(private readonly seed: string) {}

  next(): number {
    this.#drawn += 1;
    return createHash('sha256').update(`${this.seed} ${this.#drawn}`).digest().readUInt32BE() / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
}
