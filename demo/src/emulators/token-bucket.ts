export interface RateLimit {
  /** The bucket's size: the most requests at once. */
  readonly limit: number;
  /** How long an empty bucket takes to fill. */
  readonly windowMs: number;
}

/** A token bucket (providers: Kirim, developers.kirim.chat concepts/rate-limits: one per organisation and class). */
export class TokenBucket {
  private tokens: number;
  private filledAt: number;

  constructor(
    private readonly rateLimit: RateLimit,
    private readonly now: () => number,
  ) {
    this.tokens = rateLimit.limit;
    this.filledAt = now();
  }

  /** Takes a token. @returns whether there was one */
  take(): boolean {
    this.fill();
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  get limit(): number {
    return this.rateLimit.limit;
  }

  get remaining(): number {
    this.fill();
    return Math.floor(this.tokens);
  }

  /** When the bucket will be full, in Unix seconds. */
  get fullAtSeconds(): number {
    this.fill();
    return Math.ceil((this.now() + (this.rateLimit.limit - this.tokens) * this.msPerToken) / 1000);
  }

  /** Whole seconds until there is a token again, at least 1. */
  get retryAfterSeconds(): number {
    this.fill();
    return Math.max(1, Math.ceil(((1 - this.tokens) * this.msPerToken) / 1000));
  }

  private fill(): void {
    const now = this.now();
    this.tokens = Math.min(this.rateLimit.limit, this.tokens + (now - this.filledAt) / this.msPerToken);
    this.filledAt = now;
  }

  private get msPerToken(): number {
    return this.rateLimit.windowMs / this.rateLimit.limit;
  }
}
