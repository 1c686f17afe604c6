export interface ArrivalOptions {
  /** The first so many requests find nothing. */
  readonly afterRequests?: number;
  /** Requests find nothing for so long from now. */
  readonly afterMs?: number;
}

/** Something that a provider announces before it can be fetched. */
export class Arrival {
  private requestsLeft: number;
  private readonly from: number;

  constructor(
    options: ArrivalOptions,
    private readonly now: () => number,
  ) {
    this.requestsLeft = options.afterRequests ?? 0;
    this.from = now() + (options.afterMs ?? 0);
  }

  /** Whether it is there, without counting as a request. */
  get hasArrived(): boolean {
    return this.requestsLeft <= 0 && this.now() >= this.from;
  }

  /** Whether this request finds it. */
  request(): boolean {
    const found = this.hasArrived;
    if (this.requestsLeft > 0) this.requestsLeft -= 1;
    return found;
  }
}
