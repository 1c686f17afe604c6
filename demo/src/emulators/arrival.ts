export interface ArrivalOptions {
  /** How many requests fail to find it first. */
  readonly afterRequests?: number;
  /** How long requests fail to find it, from now. */
  readonly afterMs?: number;
}

/** Something that a provider announces before it can be fetched. */
export class Arrival {
  private requestsLeft: number;
  private readonly arrivesAt: number;

  constructor(
    options: ArrivalOptions,
    private readonly now: () => number,
  ) {
    this.requestsLeft = options.afterRequests ?? 0;
    this.arrivesAt = now() + (options.afterMs ?? 0);
  }

  /** Whether it has arrived. This does not count as a request. */
  get hasArrived(): boolean {
    return this.requestsLeft <= 0 && this.now() >= this.arrivesAt;
  }

  /** Counts a request. @returns whether it finds it */
  request(): boolean {
    const { hasArrived } = this;
    if (this.requestsLeft > 0) this.requestsLeft -= 1;
    return hasArrived;
  }
}
